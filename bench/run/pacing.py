"""How the trials of a group are begun: so many at a time, by a schedule, or ahead of a process that times them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from time import perf_counter_ns
from typing import Any, Protocol, Self

from bench.plan.plan import PlannedTrial

Unit = Sequence[PlannedTrial]
"""What is begun together: a pair, one trial after the other, or a single trial."""
Carry = Callable[[Unit], Coroutine[Any, Any, None]]
AHEAD_NS = 2_000_000_000
"""Open loop: for so long before its time a request lies ready at the process that sends it."""
MOST_AHEAD = 64
"""Closed loop: requests that lie ready for a slot to get free, at most."""


async def closed_loop(
    units: Iterator[Unit], carry: Carry, slots: int, *, t_group: int, ramp_s: float = 0.0, seconds: float | None = None
) -> None:
    """`slots` at a time; each takes the next unit when its last has ended. None is begun after `seconds`.

    With a ramp slot i waits for i / slots of it.
    """

    async def slot(number: int) -> None:
        if ramp_s:
            await asyncio.sleep(ramp_s * number / slots)
        for unit in units:
            if seconds is not None and perf_counter_ns() - t_group > seconds * 1e9:
                return
            await carry(unit)

    await run_all([slot(number) for number in range(slots)])


class Away(Protocol):
    """What another process does with the trials that are handed to it."""

    def all_read(self) -> None:
        """All answers are complete, and no more will be asked for."""

    def broken_off(self) -> object:
        """The run was stopped: what is complete is kept, the rest ends now."""


class Places:
    """Trials that were begun and whose answers are not complete yet."""

    def __init__(self) -> None:
        self._taken: set[int] = set()
        self._freed = asyncio.Event()

    def take(self, trial_id: int) -> None:
        """It is begun."""
        self._taken.add(trial_id)

    def free(self, trial_id: int) -> None:
        """Its answer is complete, or it has ended without one."""
        self._taken.discard(trial_id)
        self._freed.set()

    async def below(self, number: int) -> None:
        """Wait until there are fewer than so many."""
        while len(self._taken) >= number:
            self._freed.clear()
            await self._freed.wait()


async def open_loop(units: Iterator[Unit], carry: Carry, *, t_group: int) -> None:
    """Each unit at its time, whatever has become of those before."""
    async with _Tasks() as tasks:
        for unit in units:
            await _until(t_group + (unit[0].due or 0))
            tasks.begin(carry(unit))
            tasks.check()


async def scheduled(units: Iterator[Unit], carry: Carry, places: Places, away: Away, *, t_group: int) -> None:
    """Open loop whose times another process keeps: each unit lies ready there somewhat sooner."""
    async with _Tasks(away) as tasks:
        for unit in units:
            await _until(t_group + (unit[0].due or 0) - AHEAD_NS)
            places.take(unit[0].trial_id)
            tasks.begin(carry(unit))
            tasks.check()
        await places.below(1)
        away.all_read()


async def ahead(
    units: Iterator[Unit],
    carry: Carry,
    slots: int,
    places: Places,
    away: Away,
    *,
    t_group: int,
    seconds: float | None = None,
) -> None:
    """Closed loop whose slots are another process's: some units more than those are begun, and lie ready there."""
    room = slots + min(MOST_AHEAD, max(1, slots // 4))
    async with _Tasks(away) as tasks:
        for unit in units:
            if seconds is not None and perf_counter_ns() - t_group > seconds * 1e9:
                break
            places.take(unit[0].trial_id)
            tasks.begin(carry(unit))
            await places.below(room)
            tasks.check()
        await places.below(1)
        away.all_read()


async def run_all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run them side by side; the first error ends all and comes out bare."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for one in work:
                tasks.create_task(one)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _until(time: int) -> None:
    """Sleep until then."""
    if (left := time - perf_counter_ns()) > 0:
        await asyncio.sleep(left / 1e9)


class _Tasks:
    """Tasks that come while others run: the first error of one ends all, and so does being stopped.

    Stopped, tasks whose work is `away` end by themselves once they hear of it.
    """

    def __init__(self, away: Away | None = None) -> None:
        self._away = away
        self._running: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stop()
        try:
            await self._all()
        except asyncio.CancelledError:
            self._stop()
            await self._all()
            raise
        if kind is None:
            self.check()

    async def _all(self) -> None:
        while self._running:
            await asyncio.wait(self._running)

    def _stop(self) -> None:
        if self._away is not None and self._error is None:
            self._away.broken_off()
            return
        for task in self._running:
            task.cancel()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Another task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) and self._error is None:
            self._error = error
            for other in self._running:
                other.cancel()
