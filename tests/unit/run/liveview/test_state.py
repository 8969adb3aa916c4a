"""What the live view makes of messages: what counts, what is left, what it costs."""

from __future__ import annotations

import pytest

from bench.plan.plan import BOTH
from bench.plan.schedule import Amount, make_plan
from bench.run.liveview.messages import cells_of
from tests.support.harness import cell_of
from tests.support.live_messages import begin, cell, drawn, so_far, state_of, trial
from tests.support.scenarios import TEXT


def test_what_counts() -> None:
    """Warm-up, A/A, calibration and ramp are in no median; the ramp alone is progress of its cell."""
    trials = [trial(i, "streamed", phase=phase) for i, phase in enumerate(("warmup", "ramp", "aa", "calibrate"))]
    state = state_of(begin(cell()), so_far(*trials, trial(9, "blocking", phase="warmup", status="timeout")))
    assert state.cells[0].measured == []
    assert state.cells[0].ended == {"streamed": 1, "blocking": 0}
    assert (state.failures, state.phase) == (0, "warmup")


def test_time_left() -> None:
    """At the pace so far, by the schedule where there is one, and unknown where nobody knows how many will come."""
    state = state_of(begin(cell(), total=80), so_far(done=20))
    assert state.remaining_s(110.0) == pytest.approx(30.0)
    assert state_of(begin(cell(), seconds=60.0), so_far(done=20)).remaining_s(110.0) == pytest.approx(50.0)
    assert state_of(begin(cell(), total=None), so_far(done=20)).remaining_s(110.0) is None
    assert "0:10 passed (the load alone: 1:00)" in drawn(
        state_of(begin(cell(pairs=None), total=None, seconds=60.0), so_far(done=20)), now=110.0
    )


def test_at_most() -> None:
    """A run that may end earlier says so of its number and of its time; a cell that is narrow enough is over."""
    state = state_of(begin(cell(), cell(1), most=True), so_far(done=20, closed=[[0, "narrow enough"]]))
    text = drawn(state, now=110.0)
    assert "20 of at most 80" in text
    assert "at most 0:30 left" in text
    assert "cell0 (narrow enough)" in text
    assert [one.is_over for one in state.cells.values()] == [True, False]


def test_money_and_what_is_not_told() -> None:
    """Tokens always, money where there are prices, and what answers did not tell."""
    spent = {"input": 12_000, "output": 3_400, "untold": 900, "usd": 0.0123, "unpriced": False}
    text = drawn(state_of(begin(cell()), so_far(spent=spent)), width=120)
    assert "tokens 12,000 in, 3,400 out (and up to 900 not told) · 0.0123 USD" in text
    assert "USD" not in drawn(state_of(begin(cell()), so_far(spent={**spent, "usd": None})), width=120)


def test_planned_pairs() -> None:
    """Each cell with its measured pairs: of blocks, of segments, and none where time ends them."""
    alone, loaded = cell_of(TEXT, BOTH, 1, 1), cell_of(TEXT, ("streamed",), 4, 1, 1)
    plan = make_plan([alone, loaded], pairs=12, warmup=2, seed=1, aa=True)
    assert [(one["pairs"], one["alone"]) for one in cells_of(plan)] == [(12, True), (16, False)]
    timed = make_plan([cell_of(TEXT, BOTH, 4, 1)], pairs=12, warmup=2, seed=1, amount=Amount(seconds=2.0))
    assert [one["pairs"] for one in cells_of(timed)] == [None]
