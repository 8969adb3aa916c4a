"""Start the requests of a group: by free slots (closed loop) or by a schedule (open loop)."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import TYPE_CHECKING

from bench.clients.load_generator.alarm import Alarm

if TYPE_CHECKING:
    from bench.clients.load_generator.shooter import Round


@dataclass(frozen=True)
class Pace:
    """The pace at which a group's requests start."""

    slots: int | None = None
    """Closed loop: number of concurrent requests."""
    cap: int | None = None
    """Open loop (`slots` None): a request is shed if this many are in flight."""
    ramp_ns: int = 0
    """Closed loop: slot i begins after i/slots of it."""


class RequestGroup:
    """The requests of one cell that run together. `on_end` is called once the group is closed and all have ended."""

    def __init__(self, pace: Pace, t_group: int, alarm: Alarm, on_end: Callable[[], None]) -> None:
        self.t_group = t_group
        self._pace, self._alarm, self._on_end = pace, alarm, on_end
        self._queue: deque[Round] = deque()
        self._scheduled: set[Round] = set()
        self._in_flight = self._free = 0
        self._closing = False
        for slot in range(pace.slots or 0):
            opens = t_group + pace.ramp_ns * slot // (pace.slots or 1)
            if opens <= t_group:
                self._free += 1
            else:
                alarm.call_at(opens, self._open_slot)

    def add(self, planned: Round) -> None:
        if self._pace.slots is None:
            self._scheduled.add(planned)
            self._alarm.call_at(self._due(planned), lambda: self._now_due(planned))
        else:
            self._queue.append(planned)
            self._take()

    def request_ended(self) -> None:
        """Free the slot of a request that has ended."""
        self._in_flight -= 1
        if self._pace.slots is not None:
            self._free += 1
            self._take()
        self._end_if_all()

    def close(self) -> None:
        """Close the group: no more requests will be added."""
        self._closing = True
        self._end_if_all()

    def drop_waiting(self) -> None:
        """Drop the requests that have not started."""
        self._alarm.clear()
        waiting = [*self._queue, *self._scheduled]
        self._queue.clear()
        self._scheduled.clear()
        for planned in waiting:
            planned.drop()
        self._end_if_all()

    def _due(self, planned: Round) -> int:
        return self.t_group + (planned.due or 0)

    def _now_due(self, planned: Round) -> None:
        """Start or shed a request that is due. A request that was added late still counts from its due time."""
        self._scheduled.discard(planned)
        if self._pace.cap is not None and self._in_flight >= self._pace.cap:
            planned.shed(self._due(planned))
            self._end_if_all()
        else:
            self._in_flight += 1
            planned.begin(self._due(planned))

    def _open_slot(self) -> None:
        self._free += 1
        self._take()

    def _take(self) -> None:
        while self._free and self._queue:
            self._free -= 1
            self._in_flight += 1
            self._queue.popleft().begin(perf_counter_ns())

    def _end_if_all(self) -> None:
        if self._closing and not (self._in_flight or self._queue or self._scheduled):
            self._closing = False
            self._alarm.clear()
            self._on_end()
