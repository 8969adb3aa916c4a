"""How the trials of a group are begun: with real tasks and a real clock, without a server."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Sequence
from contextlib import suppress
from time import perf_counter_ns
from typing import Any

import pytest

from bench.core.trial import Interruption
from bench.plan.plan import PlannedTrial
from bench.run.pacing import (
    AHEAD_NS,
    MOST_AHEAD,
    Carry,
    Outstanding,
    Unit,
    closed_loop,
    open_loop,
    prefetch_closed_loop,
    prefetch_open_loop,
)

pytestmark = pytest.mark.alone


def planned(number: int, due: int | None = None) -> PlannedTrial:
    """The trial of that number."""
    return PlannedTrial(
        trial_id=number,
        cell=0,
        pair=number,
        block=0,
        order=0,
        phase="measure",
        delivery="streamed",
        ask=0,
        nonce="",
        seed=0,
        due=due,
    )


def units(number: int, dues: Sequence[int | None] | None = None) -> Iterator[Unit]:
    """So many units of one trial."""
    return iter([(planned(i, dues[i] if dues else None),) for i in range(number)])


class Carried:
    """Carries units and notes when each began, in ns from `t_group`, and how many ran at a time."""

    def __init__(self, *, seconds: float = 0.01, first: float | None = None, failing: int | None = None) -> None:
        self.t_group = perf_counter_ns()
        self.begun: list[tuple[int, int]] = []
        self.ended: list[int] = []
        self.cancelled: list[int] = []
        self.running = self.most = 0
        self.three = asyncio.Event()
        self.abort = asyncio.Event()
        self._seconds, self._first, self._failing = seconds, first, failing

    async def __call__(self, unit: Unit) -> None:
        number = unit[0].trial_id
        self.begun.append((number, perf_counter_ns() - self.t_group))
        self.running += 1
        self.most = max(self.most, self.running)
        if self.running == 3:
            self.three.set()
        try:
            seconds = self._first if number == 0 and self._first is not None else self._seconds
            with suppress(TimeoutError):
                await asyncio.wait_for(self.abort.wait(), seconds)
                raise Interruption
            if number == self._failing:
                raise ValueError("a plugin's fault")
            self.ended.append(number)
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise
        finally:
            self.running -= 1

    def freeing(self, outstanding: Outstanding) -> Carry:
        """The same, each leaving its place at its end."""

        async def carry(unit: Unit) -> None:
            try:
                await self(unit)
            finally:
                outstanding.remove(unit[0].trial_id)

        return carry


class Elsewhere:
    """Another process, as far as it is told; broken off, it ends what it was given."""

    def __init__(self, carried: Carried | None = None) -> None:
        self.carried = carried
        self.said: list[str] = []
        self.over = asyncio.Event()

    def end_timing(self) -> None:
        """Noted."""
        self.said.append("all read")
        self.over.set()

    def abort(self) -> None:
        """Noted, and done."""
        self.said.append("broken off")
        if self.carried is not None:
            self.carried.abort.set()


def test_open_loop_begins_at_its_time_whatever_became_of_those_before() -> None:
    """One that hangs for longer than the whole schedule delays none after it, and is waited for at the end."""
    dues = [20_000_000 * place for place in range(6)]
    carried = Carried(first=0.4)
    asyncio.run(open_loop(units(6, dues), carried, t_group=carried.t_group))
    assert [number for number, _ in carried.begun] == list(range(6))
    late = [at - due for (_, at), due in zip(carried.begun, dues, strict=True)]
    assert min(late) >= 0
    assert max(at for _, at in carried.begun) < 400_000_000, "before the first had ended"
    assert sorted(carried.ended) == list(range(6))


def test_open_loop_may_begin_ahead() -> None:
    """Where another process keeps the time, a unit is handed over that much sooner."""
    dues = [0, AHEAD_NS, AHEAD_NS + 200_000_000]
    carried = Carried()
    outstanding = Outstanding()
    asyncio.run(
        prefetch_open_loop(
            units(3, dues), carried.freeing(outstanding), outstanding, Elsewhere(), t_group=carried.t_group
        )
    )
    assert carried.begun[1][1] < 100_000_000
    assert carried.begun[2][1] >= 100_000_000


def test_closed_loop_keeps_its_slots_busy_and_no_more() -> None:
    """Three at a time, each slot taking the next unit when its last has ended."""
    carried = Carried()
    asyncio.run(closed_loop(units(10), carried, 3, t_group=carried.t_group))
    assert carried.most == 3
    assert sorted(carried.ended) == list(range(10))


def test_closed_loop_brings_its_slots_up_over_the_ramp() -> None:
    """Slot i waits for i / slots of the ramp; until then only the earlier ones run."""
    carried = Carried(seconds=0.05)
    asyncio.run(closed_loop(units(40), carried, 4, t_group=carried.t_group, ramp_s=0.4))
    assert len([at for _, at in carried.begun if at < 90_000_000]) <= 3, "one slot, 50 ms a trial"
    assert carried.most == 4


def test_closed_loop_begins_none_after_its_time() -> None:
    """Time ends it, however many units there are; what is in flight then is finished."""
    carried = Carried()
    asyncio.run(closed_loop(units(10_000), carried, 2, t_group=carried.t_group, seconds=0.1))
    assert 2 <= len(carried.begun) < 100
    assert max(at for _, at in carried.begun) <= 100_000_000 + 50_000_000
    assert len(carried.ended) == len(carried.begun)


def test_ahead_hands_over_a_few_more_than_the_slots() -> None:
    """Some lie ready for the process that keeps the slots, and not all of them."""
    few, many = Carried(), Carried()
    asyncio.run(handed_over(few, 20, 4))
    asyncio.run(handed_over(many, 1_500, 1_000))
    assert few.most == 5
    assert many.most == 1_000 + MOST_AHEAD


def test_what_is_read_leaves_its_place_before_it_is_decoded() -> None:
    """A trial whose answer is complete holds no place, so that the slots stay busy; decoding waits for the last."""
    outstanding, elsewhere, carried = Outstanding(), Elsewhere(), Carried()

    async def carry(unit: Unit) -> None:
        await carried(unit)
        outstanding.remove(unit[0].trial_id)
        await elsewhere.over.wait()

    asyncio.run(prefetch_closed_loop(units(20), carry, 4, outstanding, elsewhere, t_group=carried.t_group))
    assert sorted(carried.ended) == list(range(20))
    assert elsewhere.said == ["all read"]


def handed_over(carried: Carried, number: int, slots: int) -> Coroutine[Any, Any, None]:
    """So many units, ahead of another process with so many slots."""
    outstanding = Outstanding()
    return prefetch_closed_loop(
        units(number), carried.freeing(outstanding), slots, outstanding, Elsewhere(carried), t_group=carried.t_group
    )


def driven(loop: str, carried: Carried, number: int, dues: Sequence[int]) -> Coroutine[Any, Any, None]:
    """So many units by this kind of loop, three at a time where it has slots."""
    if loop == "open":
        return open_loop(units(number, dues), carried, t_group=carried.t_group)
    if loop == "ahead":
        return handed_over(carried, number, 3)
    return closed_loop(units(number), carried, 3, t_group=carried.t_group)


@pytest.mark.parametrize("loop", ["closed", "open", "ahead"])
def test_the_first_error_ends_all(loop: str) -> None:
    """What runs then is cancelled, nothing more is begun, and the error comes out bare."""
    carried = Carried(seconds=0.02, first=5.0, failing=2)
    with pytest.raises(ValueError, match="a plugin's fault"):
        asyncio.run(driven(loop, carried, 50, [10_000_000 * place for place in range(50)]))
    assert 0 in carried.cancelled
    assert len(carried.begun) < 50
    assert carried.running == 0


@pytest.mark.parametrize("loop", ["closed", "open", "ahead"])
def test_cancelled_it_leaves_nothing_running(loop: str) -> None:
    """Ctrl-C: every trial in flight is cancelled and waited for."""
    carried = Carried(seconds=5.0)

    async def interrupted() -> None:
        task = asyncio.create_task(driven(loop, carried, 9, [0] * 9))
        await carried.three.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(interrupted())
    assert carried.running == 0
    assert sorted(carried.cancelled) == sorted(number for number, _ in carried.begun)
