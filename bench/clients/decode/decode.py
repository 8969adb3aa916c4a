"""From the socket reads of one attempt to its events, each with the stamp of the read that completed it. Pure.

Runs after the trial, never while one is timed.
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
"""How the path of a Chat Completions request ends."""
UNFINISHED = "the body ends inside an event"
"""No fault of the server's where the client left."""
CONFIRMED = ("background", "previous_response_id")
"""Parameters that a server which does what they ask repeats in its Response; without that, it passed them over."""


class Event(NamedTuple):
    """One SSE data event."""

    t_read: int
    read: int
    bytes: int
    meaning: Meaning


@dataclass(slots=True)
class Answer:
    """All that one attempt brought."""

    events: list[Event] = field(default_factory=list)
    pings: int = 0
    done: bool = False
    """`[DONE]` came."""
    terminal: str | None = None
    """`completed`, `failed`, `incomplete:REASON`, `error`; null: it never came. Of Chat the finish reason, as these."""
    message: str | None = None
    usage: Usage | None = None
    malformed: str | None = None
    """What is wrong with the body, where something is."""
    is_stream: bool = False
    """It was read as an event stream."""
    is_response: bool = False
    """It is one JSON body with the `output` of a Response, or the `choices` of a chat completion."""
    chat: bool = False
    """It is read as Chat Completions, by the path of the request; else as Responses."""
    id: str | None = None
    """Of its Response object."""
    confirmed: set[str] = field(default_factory=set)
    """Those of `CONFIRMED` that its Response object has a value for."""


AT_ONCE = 128
"""Reads whose events are found together: quicker than one by one, and little memory."""
DELTA_KINDS = frozenset({"content", "reasoning", "refusal", "tool_args"})
DONE, BROKEN = object(), object()
"""What stands for `[DONE]` and for an event that is no JSON, where the values of events are given."""
_made = tuple.__new__
"""A named tuple without the call of its `__new__`, which takes longer than all else that is done with it here."""


def decode(
    reads: Sequence[tuple[int, bytes]], headers: Mapping[str, str], *, asked_stream: bool, path: str = ""
) -> Answer:
    """Read what came over the socket: `reads` are (time in ns, bytes), `headers` those of the response, lower case.

    `path` is the request's, which tells the API.
    Where a stream was asked for, a missing or odd content type is read as one, as the SDK does; JSON and HTML are not.
    """
    decoder = Decoder(headers, asked_stream=asked_stream, path=path)
    if is_websocket(headers):
        return decoder.websocket(reads)
    return decoder.decode(reads)


class Decoder:
    """The same, event by event. The answer is complete after `end`."""

    def __init__(self, headers: Mapping[str, str], *, asked_stream: bool, path: str = "", unpacks: bool = True) -> None:
        """`unpacks`: a compressed body is no fault."""
        kind = headers.get("content-type", "").lower()
        other = "json" in kind or "html" in kind
        is_stream = kind.startswith("text/event-stream") or (asked_stream and not other)
        self.answer = Answer(is_stream=is_stream, chat=path.endswith(CHAT_PATH))
        self.value: Any = None
        """The JSON value of an answer that is no stream, after `end`."""
        self.failure: ValueError | None = None
        """What JSON said of an event, or a body, that is none; the latest."""
        self._read = read_chat_chunk if self.answer.chat else read_responses_event
        self._http, self._sse, self._body = Http(), SseParser(), list[bytes]()
        self.t = 0
        """Time of the read that completed the event given last."""
        self._number = self._t_taken = 0
        self._found: Iterator[tuple[int, int, bytes]] | None = None
        """Time, read and data of events that were read, as far as they were not given yet."""
        self._unpack: Callable[[bytes], bytes] | None = None
        self._broken = False
        self._error: Exception | None = None
        """What is wrong behind those."""
        try:
            self._unpack = unpacker(headers.get("content-encoding", "identity"), unpacks=unpacks)
        except ValueError as error:
            self._fail(error)

    def decode(self, reads: Sequence[tuple[int, bytes]]) -> Answer:
        """All of them, to the end."""
        for _ in self.values(reads):
            pass
        return self.end()

    def values(self, reads: Sequence[tuple[int, bytes]]) -> Iterator[Any]:
        """The JSON value of each event, when it is asked for; DONE and BROKEN stand for what is none.

        `reads` are all there are so far; those that were taken before are passed over. An event is in the answer once
        it has been given.
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
        """Find the events of some more reads, unless some are left that were not given. False: no read is left."""
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
        """What the reads brought of the body, up to one that cannot be read."""
        http, unpack, bodies = self._http.feed, self._unpack, list[bytes]()
        try:
            for _, data in reads:
                bodies.append(unpack(http(data)) if unpack else http(data))
        except (httptools.HttpParserError, zlib.error, ValueError) as error:
            self._error = error
        return bodies

    def end(self) -> Answer:
        """No further read comes."""
        answer = self.answer
        if answer.is_stream:
            answer.pings = self._sse.pings
            if not self._broken and self._sse.unfinished and answer.terminal is None:
                answer.malformed = answer.malformed or UNFINISHED
        elif not self._broken:
            self._end_body(self.body)
        return answer

    @property
    def body(self) -> bytes:
        """What is no stream, as far as it was read."""
        return b"".join(self._body)

    def websocket(self, reads: Sequence[tuple[int, bytes]]) -> Answer:
        """All reads of a WebSocket. Each message is an event, as it would stand in a stream."""
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
        """What an event says of the answer as a whole."""
        answer = self.answer
        if meaning.status is not None and answer.terminal is None:
            answer.terminal, answer.message = meaning.status, meaning.message
        answer.usage = meaning.usage or answer.usage
        if type(value) is dict and "response" in value:
            _note_response(answer, value["response"])

    def _no_object(self, value: Any) -> Meaning:
        if value is DONE:
            return Meaning("done", "[DONE]")
        self._complain("is not a JSON object")  # unless it was said that it is no JSON
        return Meaning("other", "malformed")

    def _value(self, data: bytes) -> Any:
        try:
            return orjson.loads(data)
        except ValueError:
            return self._odd(data)

    def _odd(self, data: bytes) -> Any:
        """The value of an event that orjson does not take: DONE, BROKEN, or what only the SDK's JSON reads."""
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
        """A blocking answer, or an error body: the status, message and usage of the object in it."""
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
    """JSON as the SDK reads it: what strict orjson refuses (half a surrogate pair, NaN) is no fault of the stream."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return json.loads(data)


class Http:
    """HTTP/1.1 framing: chunks and lengths off, interim (1xx) answers passed over."""

    def __init__(self) -> None:
        self.complete = False
        self._parts: list[bytes] = []
        self.on_body = self._parts.append
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> bytes:
        """The body bytes that the read brought."""
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
    """None: there is nothing to unpack."""
    if encoding in {"", "identity"}:
        return None
    if not unpacks:
        raise ValueError(f"the answer is compressed ({encoding}), though nothing but identity was asked for")
    if encoding in {"gzip", "deflate"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress  # 32: zlib or gzip, by its own header
    raise ValueError(f"content-encoding {encoding!r} cannot be read here")
