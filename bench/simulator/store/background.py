"""A response that goes on without its client: its frames are kept, can be read again, and end when it is cancelled.

No task makes them: each frame has its time from the start, so what there is of the response follows from the clock, and
whoever reads (the first stream, a resumed one, a poll) finds the same.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import Any

import orjson

from bench.simulator.delivery import Frame
from bench.simulator.timing.pacing import Stop

_STATES = {f"response.{state}" for state in ("created", "queued", "in_progress", "completed", "failed", "incomplete")}
_LAST = {"response.completed", "response.failed", "response.incomplete"}


def is_last(type_: str) -> bool:
    """Return True if an event of this type ends a response."""
    return type_ in _LAST


def response_in(frame: bytes) -> dict[str, Any]:
    """Return the Response object that a frame carries whose event tells a state."""
    data = frame[frame.index(b"data: ") + len(b"data: ") :]
    response: dict[str, Any] = orjson.loads(data)["response"]
    return response


class Background:
    """One response made with `background: true`.

    `frames` are all frames of its stream, in the order of their sequence numbers 0, 1, 2, …; they are taken
    only as far as somebody reads, once for all readers.
    """

    def __init__(
        self, *, items: Sequence[Any], frames: Iterator[Frame], t_received: int, streamed: bool, size: int
    ) -> None:
        self.items = items
        """The input items that it answers, those of earlier responses included."""
        self.t_received = t_received
        """`time.perf_counter_ns()` from which the frames' times count."""
        self.streamed = streamed
        """Created with `stream: true`: only such a one can be streamed again, as at OpenAI."""
        self.size = size
        """Bytes, about."""
        self.stop = Stop()
        self._made: list[Frame] = []
        self._further = frames

    def frames(self, after: int = -1) -> Iterator[Frame]:
        """Yield each frame with a higher sequence number than `after`, also those whose time is still to come."""
        number = after + 1
        while self._has(number):
            yield self._made[number]
            number += 1

    def frames_since(self, t_received: int, after: int = -1) -> Iterator[Frame]:
        """Yield the frames for a reader that came at `t_received`; times count from there (below 0: long due)."""
        late = t_received - self.t_received
        return ((due - late, type_, frame) for due, type_, frame in self.frames(after))

    def response(self) -> dict[str, Any]:
        """Return the Response object as it stands now."""
        frame, ended = self._state()
        response = response_in(frame)
        return response if ended or self.stop.at is None else {**response, "status": "cancelled"}

    def cancel(self) -> None:
        """End it now, with all its streams; nothing happens where it has ended before."""
        if self.stop.at is None and not self._state()[1]:
            self.stop.now()

    def _state(self) -> tuple[bytes, bool]:
        """Return the latest frame that carries the response's state, and whether it is the last frame."""
        passed = (self.stop.at or time.perf_counter_ns()) - self.t_received
        state = b"", False
        for due, type_, frame in self.frames():
            if due > passed:
                break
            if type_ in _STATES:
                state = frame, is_last(type_)
        return state

    def _has(self, number: int) -> bool:
        while len(self._made) <= number:
            frame = next(self._further, None)
            if frame is None:
                return False
            self._made.append(frame)
        return True
