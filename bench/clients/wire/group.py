"""When the requests of a group are begun: closed loop by slots, open loop by the schedule."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Protocol

from bench.clients.wire.alarm import Alarm


@dataclass(frozen=True)
class Pace:
    """How a group's requests are begun."""

    slots: int | None = None
    """Closed loop: so many at a time."""
    cap: int | None = None
    """Open loop (`slots` None): a request that would be one more in flight than this is shed."""
    ramp_ns: int = 0
    """Closed loop: slot i begins after i/slots of it."""


class Planned(Protocol):
    """A request that is to be begun."""

    due: int | None
    """Open loop: ns after the group's start."""

    def begin(self, t_origin: int) -> None:
        """Send it."""

    def shed(self, t_origin: int) -> None:
        """It was due, and is not sent: too many are in flight."""

    def drop(self) -> None:
        """It was not begun, and will not be."""


class Group:
    """The requests of one cell that run together. `on_end` is called once no more will come and all have ended."""

    def __init__(self, pace: Pace, t_group: int, alarm: Alarm, on_end: Callable[[], None]) -> None:
        self.t_group = t_group
        self._pace, self._alarm, self._on_end = pace, alarm, on_end
        self._queue: deque[Planned] = deque()
        self._scheduled: set[Planned] = set()
        self._in_flight = self._free = 0
        self._closing = False
        for slot in range(pace.slots or 0):
            self._free_at(t_group + pace.ramp_ns * slot // (pace.slots or 1))

    def add(self, planned: Planned) -> None:
        """One more request."""
        if self._pace.slots is None:
            self._scheduled.add(planned)
            self._alarm.at(self._due(planned), lambda: self._now_due(planned))
        else:
            self._queue.append(planned)
            self._take()

    def ended(self) -> None:
        """One that was begun has ended: its slot takes the next."""
        self._in_flight -= 1
        if self._pace.slots is not None:
            self._free += 1
            self._take()
        self._end_if_all()

    def close(self) -> None:
        """No more will come."""
        self._closing = True
        self._end_if_all()

    def drop_waiting(self) -> None:
        """Begin no more of those that wait."""
        self._alarm.clear()
        waiting = [*self._queue, *self._scheduled]
        self._queue.clear()
        self._scheduled.clear()
        for planned in waiting:
            planned.drop()
        self._end_if_all()

    def _due(self, planned: Planned) -> int:
        return self.t_group + (planned.due or 0)

    def _now_due(self, planned: Planned) -> None:
        """Whatever the earlier ones do; what came too late to be on time counts from when it was due all the same."""
        self._scheduled.discard(planned)
        if self._pace.cap is not None and self._in_flight >= self._pace.cap:
            planned.shed(self._due(planned))
            self._end_if_all()
        else:
            self._in_flight += 1
            planned.begin(self._due(planned))

    def _free_at(self, t: int) -> None:
        """A slot of the ramp opens."""
        if t <= self.t_group:
            self._free += 1
        else:
            self._alarm.at(t, self._open_slot)

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
