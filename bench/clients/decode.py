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

from bench.clients.chat_events import read_chat_chunk, read_chat_completion
from bench.clients.events import Meaning, Usage, read_response, read_responses_event
from bench.clients.sse import SseParser
from bench.clients.ws_decode import is_websocket, messages

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


def decode(
    reads: Sequence[tuple[int, bytes]], headers: Mapping[str, str], *, asked_stream: bool, path: str = ""
) -> Answer:
    """Read what came over the socket: `reads` are (time in ns, bytes), `headers` those of the response, lower case.

    `path` is the request's, which tells the API.
    Where a stream was asked for, a missing or odd content type is read as one, as the SDK does; JSON and HTML are not.
    """
    kind = headers.get("content-type", "").lower()
    other = "json" in kind or "html" in kind
    is_stream = kind.startswith("text/event-stream") or (asked_stream and not other)
    answer = Answer(is_stream=is_stream, chat=path.endswith(CHAT_PATH))
    try:
        if is_websocket(headers):
            _decode_websocket(answer, reads)
            return answer
        unpack = _unpacker(headers.get("content-encoding", "identity"))
        (_decode_stream if answer.is_stream else _decode_body)(answer, reads, unpack)
    except (httptools.HttpParserError, zlib.error, ValueError) as error:
        answer.malformed = answer.malformed or f"{type(error).__name__}: {error}"
    return answer


def _decode_stream(answer: Answer, reads: Sequence[tuple[int, bytes]], unpack: Callable[[bytes], bytes]) -> None:
    sse = SseParser()
    try:
        for number, time, body in _bodies(reads):
            for data in sse.feed(unpack(body)):
                _take(answer, Event(time, number, len(data), _meaning(answer, data)))
    finally:
        answer.pings = sse.pings
    if sse.unfinished and answer.terminal is None:
        answer.malformed = answer.malformed or UNFINISHED


def _decode_websocket(answer: Answer, reads: Sequence[tuple[int, bytes]]) -> None:
    """Each message is an event, as it would stand in a stream."""
    answer.is_stream = True
    for message in messages(reads):
        _take(answer, Event(message.t_read, message.read, len(message.data), _meaning(answer, message.data)))


def _meaning(answer: Answer, data: bytes) -> Meaning:
    if data.startswith(b"[DONE]"):
        answer.done = True
        return Meaning("done", "[DONE]")
    try:
        value = _json(data)
    except ValueError as error:
        answer.malformed = answer.malformed or f"event {len(answer.events)} is not JSON: {error}"
        return Meaning("other", "malformed")
    if not isinstance(value, dict):
        answer.malformed = answer.malformed or f"event {len(answer.events)} is not a JSON object"
        return Meaning("other", "malformed")
    _note_response(answer, value.get("response"))
    return read_chat_chunk(value) if answer.chat else read_responses_event(value)


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


def _take(answer: Answer, event: Event) -> None:
    answer.events.append(event)
    meaning = event.meaning
    if meaning.status is not None and answer.terminal is None:
        answer.terminal, answer.message = meaning.status, meaning.message
    answer.usage = meaning.usage or answer.usage


def _decode_body(answer: Answer, reads: Sequence[tuple[int, bytes]], unpack: Callable[[bytes], bytes]) -> None:
    """A blocking answer, or an error body: the status, message and usage of the object in it."""
    body = b"".join(unpack(part) for _, _, part in _bodies(reads))
    try:
        value = _json(body)
    except ValueError as error:
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


def _bodies(reads: Sequence[tuple[int, bytes]]) -> Iterator[tuple[int, int, bytes]]:
    """(number of the read, its time, the body bytes it brought) for each read that brought any."""
    parser = _Http()
    for number, (time, data) in enumerate(reads):
        parser.feed(data)
        if parser.body:
            yield number, time, parser.take()


class _Http:
    """HTTP/1.1 framing: chunks and lengths off, interim (1xx) answers passed over."""

    def __init__(self) -> None:
        self.body = bytearray()
        self.complete = False
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        if not self.complete:
            self._parser.feed_data(data)

    def take(self) -> bytes:
        body = bytes(self.body)
        self.body.clear()
        return body

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.complete = self._parser.get_status_code() >= 200


def _unpacker(encoding: str) -> Callable[[bytes], bytes]:
    if encoding in {"", "identity"}:
        return bytes
    if encoding in {"gzip", "deflate"}:
        return zlib.decompressobj(zlib.MAX_WBITS | 32).decompress  # 32: zlib or gzip, by its own header
    raise ValueError(f"content-encoding {encoding!r} cannot be read here")
