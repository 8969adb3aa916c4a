"""An answer with what goes wrong with it, for every API and both deliveries: docs/simulator.md, "Faults"."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import count
from typing import Any, Protocol

import orjson

from bench.core.script import Fault, Turn, Write
from bench.simulator.delivery import EventStream, Frame, NoAnswer, ResponseHead, WholeBody
from bench.simulator.errors import ApiError, error_body
from bench.simulator.truth import SentResponse, TruthLog

_NS_PER_MS = 1_000_000
_PING_NS = 50 * _NS_PER_MS
_IN_BAND = {"error", "error_nested", "failed"}
_CODES = {401: "invalid_api_key", 429: "rate_limit_exceeded"}


class Renderer(Protocol):
    """An answer in the words of one API: when all is well, and when it is not."""

    def frames(self, schedule: Iterable[tuple[int, int]]) -> Iterator[Frame]:
        """Yield the frames of the stream; `schedule` gives (tokens, ns) of every delta event."""

    def body(self) -> dict[str, Any]:
        """Return the body of the whole answer."""

    def is_delta(self, frame: Frame) -> bool:
        """Return True if this frame of the stream brings a piece of the answer."""

    def failure(self, kind: str, number: int) -> tuple[str, bytes]:
        """(type, bytes) of the frame that ends a stream of `number` frames as `error`, `error_nested` or `failed`."""

    def failed_body(self) -> dict[str, Any]:
        """Return the blocking counterpart of all three, with HTTP status 200."""


def stream_with(
    fault: Fault | None, frames: Iterable[Frame], reply: Renderer, sent: SentResponse, log: TruthLog
) -> EventStream | WholeBody:
    """Return the stream of these frames with its fault. `incomplete` is a fault of the answer, not of its frames."""
    if fault is None:
        return EventStream(frames, sent, log)
    if fault.kind == "status":
        return _refusal(fault, sent, log)
    head = ResponseHead(due=int(fault.ms * _NS_PER_MS) if fault.kind == "slow_headers" else 0)
    return EventStream(break_stream(fault, frames, reply), sent, log, head=head, cut=fault.kind == "cut")


def body_with(
    fault: Fault | None, due: int, reply: Renderer, sent: SentResponse, log: TruthLog
) -> WholeBody | NoAnswer:
    """Return the blocking answer, due at `due` ns, with its fault."""
    if fault is None:
        return WholeBody(due, lambda: orjson.dumps(reply.body()), sent, log)
    if fault.kind == "status":
        return _refusal(fault, sent, log)
    if fault.kind == "pings":
        return NoAnswer(sent, log)
    late = int(fault.ms * _NS_PER_MS) if fault.kind in {"slow_headers", "stall"} else 0
    return WholeBody(due + late, lambda: broken_body(fault, reply), sent, log, cut=fault.kind == "cut")


def _refusal(fault: Fault, sent: SentResponse, log: TruthLog) -> WholeBody:
    """Return an HTTP error in OpenAI's shape."""
    message = f"HTTP {fault.status} was asked of the simulator."
    body = orjson.dumps(error_body(fault.status, message, code=_CODES.get(fault.status)))
    again = [] if fault.retry_after_s is None else [(b"retry-after", f"{fault.retry_after_s:.15g}".encode())]
    return WholeBody(0, lambda: body, sent, log, head=ResponseHead(status=fault.status, headers=again))


def break_stream(fault: Fault, frames: Iterable[Frame], reply: Renderer) -> Iterable[Frame]:
    """Yield the frames of a stream with this fault."""
    if fault.kind == "incomplete":
        return frames
    if fault.kind == "pings":
        return ((number * _PING_NS, "ping", b": ping\n\n") for number in count())
    whole, late = list(frames), int(fault.ms * _NS_PER_MS)
    place = _place([index for index, frame in enumerate(whole) if reply.is_delta(frame)], fault.after)
    if fault.kind == "slow_headers":
        return _later(whole, late)
    if fault.kind == "stall":
        return [*whole[:place], *_later(whole[place:], late)]
    return [*whole[:place], *_last_words(fault, reply, whole[:place])]


def _place(deltas: Sequence[int], share: float) -> int:
    """Count the frames before the fault: up to that share of the deltas, at least to the first one."""
    number = round(share * len(deltas))
    if number:
        return deltas[number - 1] + 1
    return deltas[0] if deltas else 1


def _later(frames: Iterable[Frame], late: int) -> list[Frame]:
    return [(due + late, type_, frame) for due, type_, frame in frames]


def _last_words(fault: Fault, reply: Renderer, before: Sequence[Frame]) -> Iterator[Frame]:
    """Yield the wrong frame that ends the stream; none if the stream is only cut off."""
    due = before[-1][0] if before else 0
    if fault.kind == "malformed":
        yield due, "malformed", b'data: {"type":\n\n'
    elif fault.kind in _IN_BAND:
        yield due, *reply.failure(fault.kind, len(before))


def broken_body(fault: Fault, reply: Renderer) -> bytes:
    """Return the blocking body with this fault; one that is cut is whole here."""
    if fault.kind == "silent_end":
        return b""
    body = orjson.dumps(reply.failed_body() if fault.kind in _IN_BAND else reply.body())
    return body[: len(body) // 2] if fault.kind == "malformed" else body


def scripted_stream(turn: Turn, stream: bool | None, sent: SentResponse, log: TruthLog) -> EventStream:
    """Return the raw stream of a script, write by write. Raise `ApiError` where a blocking answer was asked for."""
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in turn.headers.items()]
    kind = dict(headers).get(b"content-type", b"text/event-stream")
    if not stream and turn.status < 300 and kind.startswith(b"text/event-stream"):
        raise ApiError(400, "This script is a stream: ask with 'stream': true.", param="stream", code="bad_script")
    frames = sorted(map(_write, turn.writes), key=lambda frame: frame[0])
    return EventStream(
        frames, sent, log, head=ResponseHead(status=turn.status, headers=headers), cut=turn.close == "cut"
    )


def _write(write: Write) -> Frame:
    """Return a write as one frame, under the name of its first event."""
    text = b"".join(_sse(event, lines=write.lines) for event in write.events)
    text += write.raw.encode() + write.base64
    kinds = [str(event["type"]) for event in write.events if "type" in event]
    return int(write.at * _NS_PER_MS), kinds[0] if kinds else "raw", text


def _sse(event: dict[str, Any], *, lines: bool) -> bytes:
    name = b"event: %b\n" % str(event["type"]).encode() if lines and "type" in event else b""
    return name + b"data: %b\n\n" % orjson.dumps(event)
