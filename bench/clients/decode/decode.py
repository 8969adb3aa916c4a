"""Decode the socket reads of an attempt into events, each with the stamp of the read that completed it.

This runs after the trial, never while a trial is timed.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httptools
import orjson

from bench.clients.decode.chat_events import read_chat_chunk, read_chat_completion
from bench.clients.decode.responses_events import Meaning, Usage, read_response, read_responses_event
from bench.clients.decode.sse import SseParser
from bench.clients.decode.websocket import is_websocket, messages

CHAT_PATH = "/chat/completions"
"""Last part of the path of a Chat Completions request."""
UNFINISHED = "the body ends inside an event"
"""Not the server's fault if the client left."""
CONFIRMED = ("background", "previous_response_id")
"""Parameters that a server repeats in its Response if it supports them."""


class Event(NamedTuple):
    """One SSE data event."""

    t_read: int
    read: int
    bytes: int
    meaning: Meaning


@dataclass(slots=True)
class Answer:
    """Everything that an attempt received."""

    events: list[Event] = field(default_factory=list)
    pings: int = 0
    done: bool = False
    """`[DONE]` was received."""
    terminal: str | None = None
    """`completed`, `failed`, `incomplete:REASON`, `error`, also for Chat's finish reasons; None: never received."""
    message: str | None = None
    usage: Usage | None = None
    malformed: str | None = None
    """Description of what is wrong with the body; None: nothing."""
    is_stream: bool = False
    """True if it was read as an event stream."""
    is_response: bool = False
    """True for a JSON body with the `output` of a Response, or the `choices` of a chat completion."""
    chat: bool = False
    """True if it was read as Chat Completions, by the path of the request; else as Responses."""
    id: str | None = None
    """Id of its Response object."""
    confirmed: set[str] = field(default_factory=set)
    """The parameters of `CONFIRMED` for which its Response object has a value."""


AT_ONCE = 128
"""Number of reads whose events are found together: faster than one by one, with little memory."""
DELTA_KINDS = frozenset({"content", "reasoning", "refusal", "tool_args"})
DONE, BROKEN = object(), object()
"""Stand for `[DONE]` and for an event that is not JSON among the values of events."""
_made = tuple.__new__
"""Makes a named tuple without calling its `__new__`, which would take most of the time here."""


def decode(
    reads: Sequence[tuple[int, bytes]], headers: Mapping[str, str], *, asked_stream: bool, path: str = ""
) -> Answer:
    """Decode an attempt: `reads` are (time in ns, bytes), `headers` the response's in lower case, `path` the request's.

    If a stream was requested, any content type but JSON and HTML is read as a stream, as the SDK does.
    """
    decoder = Decoder(headers, asked_stream=asked_stream, path=path)
    if is_websocket(headers):
        return decoder.websocket(reads)
    return decoder.decode(reads)


class Decoder:
    """Decodes an attempt event by event. The answer is complete after `end`."""

    def __init__(self, headers: Mapping[str, str], *, asked_stream: bool, path: str = "", unpacks: bool = True) -> None:
        """`unpacks`: accept a compressed body."""
        kind = headers.get("content-type", "").lower()
        other = "json" in kind or "html" in kind
        is_stream = kind.startswith("text/event-stream") or (asked_stream and not other)
        self.answer = Answer(is_stream=is_stream, chat=path.endswith(CHAT_PATH))
        self.value: Any = None
        """JSON value of an answer that is not a stream, after `end`."""
        self.failure: ValueError | None = None
        """Latest error of an event, or a body, that is not JSON."""
        self._read = read_chat_chunk if self.answer.chat else read_responses_event
        self._http, self._sse, self._body = Http(), SseParser(), list[bytes]()
        self.t = 0
        """Time of the read that completed the latest event."""
        self._number = self._t_taken = 0
        self._found: Iterator[tuple[int, int, bytes]] | None = None
        """Time, read and data of events that were found and not given yet."""
        self._unpack: Callable[[bytes], bytes] | None = None
        self._broken = False
        self._error: Exception | None = None
        """Error after those events."""
        try:
            self._unpack = unpacker(headers.get("content-encoding", "identity"), unpacks=unpacks)
        except ValueError as error:
            self._fail(error)

    def decode(self, reads: Sequence[tuple[int, bytes]]) -> Answer:
        """Decode all reads and end the answer."""
        for _ in self.values(reads):
            pass
        return self.end()

    def values(self, reads: Sequence[tuple[int, bytes]]) -> Iterator[Any]:
        """Yield the JSON value of each event; DONE and BROKEN stand for events without one.

        `reads` are all reads so far; those of earlier calls are skipped. An event is in the answer once it was yielded.
        """
        note, read, loads = self.answer.events.append, self._read, orjson.loads
        while self._take(reads):
            for time, number, event in self._found or ():  # no further call for what nearly every event is: a delta
                self.t = time
                try:
                    value = loads(event)
                except ValueError:
                    value = self._odd(event)
                meaning = read(value) if type(value) is dict else self._no_object(value)
                note(_made(Event, (time, number, len(event), meaning)))
                if meaning[0] not in DELTA_KINDS or meaning[5] or meaning[7]:
                    self._look(meaning, value)
                yield value
            self._found = None

    def _take(self, reads: Sequence[tuple[int, bytes]]) -> bool:
        """Find the events of some more reads, unless found events are left. Return False if no read is left."""
        if self._found is not None:
            return True
        self.t = self._t_taken or self.t
        if self._error is not None:
            self._fail(self._error)
        if self._broken or self._number >= len(reads):
            return False
        first, taken = self._number, reads[self._number : self._number + AT_ONCE]
        self._number += len(taken)
        bodies = self._bodies(taken)
        times = [time for time, _ in taken[: len(bodies)]]
        self._t_taken = times[-1] if times else 0
        places, found = self._sse.feed_all(bodies) if self.answer.is_stream else ([], [])
        self._found = zip(map(times.__getitem__, places), map(first.__add__, places), found, strict=True)
        if not self.answer.is_stream:
            self._body += bodies
        return True

    def _bodies(self, reads: Sequence[tuple[int, bytes]]) -> list[bytes]:
        """Return the parts of the body in these reads, up to the first read that cannot be decoded."""
        http, unpack, bodies = self._http.feed, self._unpack, list[bytes]()
        try:
            for _, data in reads:
                bodies.append(unpack(http(data)) if unpack else http(data))
        except (httptools.HttpParserError, zlib.error, ValueError) as error:
            self._error = error
        return bodies

    def end(self) -> Answer:
        """End the answer: there are no more reads."""
        answer = self.answer
        if answer.is_stream:
            answer.pings = self._sse.pings
            if not self._broken and self._sse.is_unfinished and answer.terminal is None:
                answer.malformed = answer.malformed or UNFINISHED
        elif not self._broken:
            self._end_body(self.body)
        return answer

    @property
    def body(self) -> bytes:
        """Body of an answer that is not a stream, as far as it was read."""
        return b"".join(self._body)

    def websocket(self, reads: Sequence[tuple[int, bytes]]) -> Answer:
        """Decode all reads of a WebSocket. Each message is an event."""
        self.answer.is_stream = True
        try:
            for message in messages(reads):
                value = self._value(message.data)
                meaning = self._read(value) if type(value) is dict else self._no_object(value)
                self.answer.events.append(Event(message.t_read, message.read, len(message.data), meaning))
                self._look(meaning, value)
        except ValueError as error:
            self._fail(error)
        return self.answer

    def _fail(self, error: Exception) -> None:
        self._broken = True
        self.answer.malformed = self.answer.malformed or f"{type(error).__name__}: {error}"

    def _look(self, meaning: Meaning, value: Any) -> None:
        """Record what an event says about the whole answer."""
        answer = self.answer
        if meaning.status is not None and answer.terminal is None:
            answer.terminal, answer.message = meaning.status, meaning.message
        answer.usage = meaning.usage or answer.usage
        if type(value) is dict and "response" in value:
            _note_response(answer, value["response"])

    def _no_object(self, value: Any) -> Meaning:
        if value is DONE:
            return Meaning("done", "[DONE]")
        self._complain("is not a JSON object")  # unless it is already recorded as no JSON
        return Meaning("other", "malformed")

    def _value(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except ValueError:
            return self._odd(data)

    def _odd(self, data: bytes) -> Any:
        """Return the value of an event that orjson refuses: DONE, BROKEN, or what only the SDK's JSON accepts."""
        if data.startswith(b"[DONE]"):
            self.answer.done = True
            return DONE
        try:
            return _json(data)
        except ValueError as error:
            self.failure = error
            self._complain(f"is not JSON: {error}")
        try:
            data.decode()
        except UnicodeDecodeError as error:
            self.failure = error
        return BROKEN

    def _complain(self, what: str) -> None:
        self.answer.malformed = self.answer.malformed or f"event {len(self.answer.events)} {what}"

    def _end_body(self, body: bytes) -> None:
        """Read status, message and usage of a blocking answer or an error body."""
        answer = self.answer
        try:
            value = self.value = _json(body)
        except ValueError as error:
            self.failure = error
            answer.malformed = f"the body is not JSON: {error}" if body else "the body is empty"
            return
        if not isinstance(value, dict):
            answer.malformed = "the body is not a JSON object"
            return
        answer.terminal, answer.message, answer.usage = (read_chat_completion if answer.chat else read_response)(value)
        answer.is_response = isinstance(value.get("choices" if answer.chat else "output"), list)
        _note_response(answer, value)
        if answer.message and answer.terminal is None:  # an error object in place of a response
            answer.terminal = "error"
        detail = value.get("detail")  # how FastAPI says what was wrong
        answer.message = answer.message or (detail if isinstance(detail, str) else None)


def _note_response(answer: Answer, response: object) -> None:
    if isinstance(response, dict):
        answer.id = str(response["id"]) if response.get("id") else answer.id
        answer.confirmed.update(name for name in CONFIRMED if response.get(name))


def _json(data: bytes) -> Any:
    """Parse JSON as the SDK does, which accepts more than orjson (half a surrogate pair, NaN)."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


class Http:
    """Removes HTTP/1.1 framing: heads, chunks, and interim (1xx) answers."""

    def __init__(self) -> None:
        self.complete = False
        self._parts: list[bytes] = []
        self.on_body = self._parts.append
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """Return the body bytes in a read."""
        parts = self._parts
        if self.complete:
            return b""
        self._parser.feed_data(data)
        if len(parts) == 1:
            return parts.pop()
        body = b"".join(parts)
        parts.clear()
        return body

    def on_message_complete(self) -> None:
        self.complete = self._parser.get_status_code() >= 200


def unpacker(encoding: str, *, unpacks: bool) -> Callable[[bytes], bytes] | None:
    """Return a function that unpacks the body, or None if it is not compressed."""
    if encoding in {"", "identity"}:
        return None
    if not unpacks:
        raise ValueError(f"the answer is compressed ({encoding}), though nothing but identity was asked for")
    if encoding in {"gzip", "deflate"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress  # 32: zlib or gzip, by its own header
    raise ValueError(f"content-encoding {encoding!r} cannot be read here")
