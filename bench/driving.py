"""How the trials of a group are begun: so many at a time, by a schedule, or ahead of a process that times them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from time import perf_counter_ns
from typing import Any, Self

from bench.plan import PlannedTrial

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

    await together([slot(number) for number in range(slots)])


async def open_loop(units: Iterator[Unit], carry: Carry, *, t_group: int, ahead_ns: int = 0) -> None:
    """Each unit at its time, whatever has become of those before; `ahead_ns` sooner where another process times it."""
    async with _Tasks() as tasks:
        for unit in units:
            await _until(t_group + (unit[0].due or 0) - ahead_ns)
            tasks.begin(carry(unit))
            tasks.check()


async def ahead(units: Iterator[Unit], carry: Carry, slots: int, *, t_group: int, seconds: float | None = None) -> None:
    """Closed loop whose slots are another process's: some units more than those are begun, and lie ready there."""
    room = slots + min(MOST_AHEAD, max(1, slots // 4))
    async with _Tasks() as tasks:
        for unit in units:
            if seconds is not None and perf_counter_ns() - t_group > seconds * 1e9:
                return
            tasks.begin(carry(unit))
            await tasks.below(room)


async def together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
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
    """Tasks that come while others run: the first error of one ends all."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()
        self._ended = asyncio.Event()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None or self._error is not None:
            for task in self._running:
                task.cancel()
        try:
            while self._running:
                await asyncio.wait(self._running)
        except asyncio.CancelledError:
            for task in self._running:
                task.cancel()
            await asyncio.wait(self._running)
            raise
        if kind is None:
            self.check()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Another task."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._done)

    def check(self) -> None:
        """Raise the first error, if there was one."""
        if self._error is not None:
            raise self._error

    async def below(self, number: int) -> None:
        """Wait until fewer than so many run."""
        while len(self._running) >= number:
            self._ended.clear()
            await self._ended.wait()
        self.check()

    def _done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        self._ended.set()
        if not task.cancelled() and (error := task.exception()) and self._error is None:
            self._error = error
            for other in self._running:
                other.cancel()
