"""The rule that ends a cell by the width of its intervals, and a run by its budget."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from bench.plan.cost.budget import parse_budget
from bench.plan.plan import FEWEST_AA, FEWEST_CHECKED, PlannedTrial
from bench.plan.settings import FIRST_LOOK
from bench.run.stopping.precision import CellWidth, TrialTimes
from bench.run.stopping.stopping import Stopping
from tests.support.stopping import CELL, LOOKS, pair_of, planned, row_of, run_pair


def wants(stopping: Stopping, pair: Sequence[PlannedTrial]) -> bool:
    """As the runner asks before it begins a pair."""
    return stopping.wants(pair[0].phase, pair[0].cell)


def test_time_ends_before_the_pair_that_could_exceed_it() -> None:
    """It counts from the first trial, and a pair is taken to last as long as the longest of its cell so far."""
    now = 50.0
    stopping = Stopping(budgets=[parse_budget("10s")], clock=lambda: int(now * 1e9))
    assert stopping.allows(pair_of(0))
    now += 4
    for trial in pair_of(0):
        stopping.trial_ended(trial, CELL, row_of(trial))
    now += 1.9
    assert stopping.allows(pair_of(1))
    for trial in pair_of(1):
        stopping.trial_ended(trial, CELL, row_of(trial))
    now += 0.2
    assert not stopping.allows(pair_of(2))
    assert stopping.out_of == parse_budget("10s")
    assert stopping.seconds == pytest.approx(5.9)
    assert not stopping.allows([planned(9, cell=1)])


def test_a_cell_that_is_close_enough_needs_no_more() -> None:
    """At 30 pairs and not one earlier; its A/A pairs end with it, once the run has enough of them."""
    stopping = Stopping(precision=0.05)
    for number in range(FIRST_LOOK - 1):
        run_pair(stopping, number)
    stopping.look()
    assert wants(stopping, pair_of(99))
    run_pair(stopping, FIRST_LOOK)
    stopping.look()
    assert not wants(stopping, pair_of(99))
    for number in range(100, 100 + FEWEST_AA):
        assert wants(stopping, pair_of(number, "aa"))
        run_pair(stopping, number, "aa")
    assert not wants(stopping, pair_of(99, "aa"))
    assert wants(stopping, [planned(0, cell=1)])
    assert len(stopping.widths[0].pairs) == FIRST_LOOK


def test_nobody_looks_while_trials_are_in_flight() -> None:
    """A look at 400 pairs takes 15 ms: it waits until the segment is done, and then counts all of its pairs."""
    stopping = Stopping(precision=0.05)
    assert stopping.allows(pair_of(0))
    for number in range(1, FIRST_LOOK + 5):
        assert stopping.allows(pair_of(number))
        for trial in pair_of(number):
            stopping.trial_ended(trial, CELL, row_of(trial))
    assert wants(stopping, pair_of(99)), "pair 0 is still in flight"
    for trial in pair_of(0):
        stopping.trial_ended(trial, CELL, row_of(trial))
    stopping.look()
    assert not wants(stopping, pair_of(99))


def test_a_look_counts_once() -> None:
    """Between two looks nothing is decided, however often it is asked: at 32 pairs, and next at 42."""
    cell = CellWidth(simulated=True, deliveries=1)
    noisy = [
        TrialTimes(0, "streamed", ok=True, useful=10 ** (3 + n % 3), total=5000, result="x", tokens=1)
        for n in range(32)
    ]
    calm = [TrialTimes(0, "streamed", ok=True, useful=1000, total=5000, result="x", tokens=1) for _ in range(60)]
    ends = []
    for number, trial in enumerate([*noisy, *calm]):
        cell.add(number, trial)
        if number >= 31:
            cell.look(0.05)
        if cell.met:
            ends.append(number + 1)
    assert ends[0] in LOOKS


def test_the_calibration_has_its_pairs_before_it_ends() -> None:
    """Above concurrency 1 a cell may be close enough before its first calibration: that one is not left out."""
    stopping = Stopping(precision=0.05)
    for number in range(FIRST_LOOK):
        run_pair(stopping, number)
    stopping.look()
    for number in range(100, 100 + FEWEST_CHECKED):
        assert wants(stopping, pair_of(number, "calibrate"))
        run_pair(stopping, number, "calibrate")
    assert not wants(stopping, pair_of(99, "calibrate"))


def test_without_a_precision_nothing_is_skipped() -> None:
    """The plan is carried out however close the numbers are."""
    stopping = Stopping()
    for number in range(FIRST_LOOK):
        run_pair(stopping, number)
    stopping.look()
    assert wants(stopping, pair_of(99))


def test_failed_pairs_are_not_close_enough() -> None:
    """Where more than 5 % failed, the report compares nothing, so no width is narrow enough."""
    stopping = Stopping(precision=0.05)
    for number in range(FIRST_LOOK):
        run_pair(stopping, number, status="timeout" if number in {3, 7} else "ok")
    stopping.look()
    assert wants(stopping, pair_of(99))
    assert stopping.widths[0].half_width() is None


def test_one_delivery_is_measured_by_its_medians() -> None:
    """Without pairs the interval of the median counts; failures are answers that never came."""
    cell = CellWidth(simulated=True, deliveries=1)
    for number in range(FIRST_LOOK):
        cell.add(
            number, TrialTimes(number, "streamed", ok=True, useful=1000 + number, total=5000, result="x", tokens=1)
        )
    low, high = math.log(1000 + 9), math.log(1000 + 20)  # order statistics 10 and 21 of 30
    assert cell.half_width() == pytest.approx((high - low) / 2)
    late = [[trial._replace(ok=trial.began > 14)] for (trial,) in cell.pairs]
    assert CellWidth(simulated=True, deliveries=1, pairs=list(late)).half_width() is None
