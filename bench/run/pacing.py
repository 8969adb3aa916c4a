"""Start the trials of a group: N at a time, by a schedule, or ahead of a process that times them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Sequence
from time import perf_counter_ns
from typing import Any, Protocol, Self

from bench.plan.plan import PlannedTrial

Unit = Sequence[PlannedTrial]
"""A pair, whose trials run one after the other, or a single trial."""
Carry = Callable[[Unit], Coroutine[Any, Any, None]]
AHEAD_NS = 2_000_000_000
"""Open loop: a request is handed to the process that sends it this long before its time."""
MOST_AHEAD = 64
"""Closed loop: at most this many requests wait in the sending process for a free slot."""


async def closed_loop(
    units: Iterator[Unit], carry: Carry, slots: int, *, t_group: int, ramp_s: float = 0.0, seconds: float | None = None
) -> None:
    """Run `slots` units concurrently; each slot takes the next unit when its last has ended.

    No unit begins after `seconds`. With a ramp, slot i first waits i / slots of `ramp_s`.
    """

    async def slot(number: int) -> None:
        if ramp_s:
            await asyncio.sleep(ramp_s * number / slots)
        for unit in units:
            if seconds is not None and perf_counter_ns() - t_group > seconds * 1e9:
                return
            await carry(unit)

    await run_all([slot(number) for number in range(slots)])


class RemoteGroup(Protocol):
    """A group of trials that another process sends and times."""

    def end_timing(self) -> None:
        """Tell the process that all answers are complete and no trial follows."""

    def abort(self) -> object:
        """Stop the process: complete answers are kept, the other trials end now."""


class Outstanding:
    """Trials that have begun and whose answers are not complete yet."""

    def __init__(self) -> None:
        self._trials: set[int] = set()
        self._removed = asyncio.Event()

    def add(self, trial_id: int) -> None:
        """Note that a trial has begun."""
        self._trials.add(trial_id)

    def remove(self, trial_id: int) -> None:
        """Note that a trial's answer is complete, or that it ended without one."""
        self._trials.discard(trial_id)
        self._removed.set()

    async def wait_below(self, number: int) -> None:
        """Wait until fewer than `number` trials are outstanding."""
        while len(self._trials) >= number:
            self._removed.clear()
            await self._removed.wait()


async def open_loop(units: Iterator[Unit], carry: Carry, *, t_group: int) -> None:
    """Begin each unit at its time, regardless of whether earlier ones have ended."""
    async with _Tasks() as tasks:
        for unit in units:
            await _sleep_until(t_group + (unit[0].due or 0))
            tasks.begin(carry(unit))
            tasks.check()


async def prefetch_open_loop(
    units: Iterator[Unit], carry: Carry, outstanding: Outstanding, remote: RemoteGroup, *, t_group: int
) -> None:
    """Run an open loop that another process times: hand each unit over `AHEAD_NS` before it is due."""
    async with _Tasks(remote) as tasks:
        for unit in units:
            await _sleep_until(t_group + (unit[0].due or 0) - AHEAD_NS)
            outstanding.add(unit[0].trial_id)
            tasks.begin(carry(unit))
            tasks.check()
        await outstanding.wait_below(1)
        remote.end_timing()


async def prefetch_closed_loop(
    units: Iterator[Unit],
    carry: Carry,
    slots: int,
    outstanding: Outstanding,
    remote: RemoteGroup,
    *,
    t_group: int,
    seconds: float | None = None,
) -> None:
    """Run a closed loop in another process's slots: hand over a few more units than it has slots."""
    room = slots + min(MOST_AHEAD, max(1, slots // 4))
    async with _Tasks(remote) as tasks:
        for unit in units:
            if seconds is not None and perf_counter_ns() - t_group > seconds * 1e9:
                break
            outstanding.add(unit[0].trial_id)
            tasks.begin(carry(unit))
            await outstanding.wait_below(room)
            tasks.check()
        await outstanding.wait_below(1)
        remote.end_timing()


async def run_all(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run the coroutines concurrently; the first error cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for coroutine in work:
                tasks.create_task(coroutine)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


async def _sleep_until(time: int) -> None:
    """Sleep until `time` (`perf_counter_ns`)."""
    if (left := time - perf_counter_ns()) > 0:
        await asyncio.sleep(left / 1e9)


class _Tasks:
    """A task group that takes tasks while others run: the first error, or a cancellation, ends all of them.

    Where a `remote` process does the work, a cancellation aborts that process; the tasks then end by themselves.
    """

    def __init__(self, remote: RemoteGroup | None = None) -> None:
        self._remote = remote
        self._running: set[asyncio.Task[None]] = set()
        self._error: BaseException | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self._stop()
        try:
            await self._wait_all()
        except asyncio.CancelledError:
            self._stop()
            await self._wait_all()
            raise
        if kind is None:
            self.check()

    async def _wait_all(self) -> None:
        while self._running:
            await asyncio.wait(self._running)

    def _stop(self) -> None:
        if self._remote is not None and self._error is None:
            self._remote.abort()
            return
        for task in self._running:
            task.cancel()

    def begin(self, work: Coroutine[Any, Any, None]) -> None:
        """Start `work` as a task of this group."""
        task = asyncio.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._on_done)

    def check(self) -> None:
        """Raise the first error, if a task has failed."""
        if self._error is not None:
            raise self._error

    def _on_done(self, task: asyncio.Task[None]) -> None:
        self._running.discard(task)
        if not task.cancelled() and (error := task.exception()) and self._error is None:
            self._error = error
            for other in self._running:
                other.cancel()
