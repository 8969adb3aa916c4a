"""The live view: what it makes of messages, and how it fits into a terminal."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from rich.console import Console

from bench.core.trial import Delivery
from bench.plan.plan import BOTH, PlannedTrial
from bench.plan.schedule import Amount, make_plan
from bench.run.liveview.estimates import FiguresCache, figures
from bench.run.liveview.messages import cells_of, encode_trial
from bench.run.liveview.screen import choose_cells, clock, number, one_line, page
from bench.run.liveview.state import State
from bench.stats.intervals import hodges_lehmann, quantile_ci
from bench.stats.serial_correlation import shift_in_time, widen_by_parts
from tests.support.harness import cell_of
from tests.support.paths import ROOT
from tests.support.scenarios import TEXT

GOLDEN = ROOT / "tests/golden" / "liveview.txt"
MS = 1_000_000


def cell(number: int = 0, **other: Any) -> dict[str, Any]:
    known = {"pairs": 20, "deliveries": BOTH, "simulated": True, "alone": True}
    return {"number": number, "label": f"cell{number}", **known, **other}


def begin(*cells: Mapping[str, Any], total: int | None = 80, **other: Any) -> dict[str, Any]:
    known = {"what": "trials", "most": False, "seconds": None, "t": 100.0}
    return {"kind": "begin", "total": total, "cells": list(cells), **known, **other}


def so_far(*trials: Sequence[Any], done: int | None = None, **other: Any) -> dict[str, Any]:
    return {"kind": "so_far", "done": len(trials) if done is None else done, "text": "", "trials": trials, **other}


def trial(
    pair: int,
    delivery: Delivery,
    total_ms: float = 400.0,
    useful_ms: float | None = 120.0,
    *,
    number: int = 0,
    status: str = "ok",
    phase: str = "measure",
    block: int = 0,
    result: str = "same",
) -> Sequence[Any]:
    """As the feed sends it, made from a row of the table `trials`."""
    row = {
        "status": status,
        "phase": phase,
        "delivery": delivery,
        "result_sha256": result,
        "output_tokens": 10,
        "t_origin": pair * 1000 * MS,
        "t_end": pair * 1000 * MS + round(total_ms * MS),
        "t_first_useful": None if useful_ms is None else pair * 1000 * MS + round(useful_ms * MS),
    }
    known: dict[str, Any] = {"trial_id": 0, "order": 0, "ask": 0, "nonce": "", "seed": 0, "phase": "measure"}
    planned = PlannedTrial(cell=number, pair=pair, block=block, delivery=delivery, **known)
    return encode_trial(cell_of(TEXT, BOTH, 1, 1, number), planned, row)


def state_of(*messages: Mapping[str, Any]) -> State:
    state = State()
    for message in messages:
        state.apply(message)
    return state


def drawn(state: State, width: int = 80, height: int = 24, now: float = 142.0) -> str:
    """The view as plain text."""
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, color_system=None)
    console.print(page(state, FiguresCache(), now, width, height))
    return "".join(f"{line.rstrip()}\n" for line in out.getvalue().splitlines())


def pairs(times: Sequence[tuple[float, float]], **other: Any) -> list[Sequence[Any]]:
    """Trials of so many pairs: (first useful streamed, whole blocking) in ms."""
    return [
        one
        for place, (useful, whole) in enumerate(times)
        for one in (trial(place, "streamed", whole, useful, **other), trial(place, "blocking", whole, whole, **other))
    ]


TIMES = [(120.0 + i % 7, 400.0 + 3 * (i % 5)) for i in range(30)]


def test_medians_are_those_of_the_analysis() -> None:
    """First useful, whole and seen sooner are what the report's functions say of the same trials; a failure is ∞."""
    state = state_of(begin(cell()), so_far(*pairs(TIMES), trial(99, "streamed", status="http_5xx", useful_ms=None)))
    found = figures(state.cells[0])
    useful, whole = np.array(TIMES).T
    assert found.useful == quantile_ci([*useful, np.inf], 0.5)
    assert found.whole == quantile_ci(whole, 0.5)
    assert found.sooner == shift_in_time(whole - useful)
    assert found.sooner.value == hodges_lehmann(whole - useful).value


def test_too_few_have_no_interval() -> None:
    """Below six trials there is no median, and the view says of how many it is short."""
    state = state_of(begin(cell()), so_far(*pairs(TIMES[:5])))
    found = figures(state.cells[0])
    assert (found.useful.value, found.useful.note) == (None, "n/a (n=5 < 6)")
    assert "n=5 < 6" in drawn(state)


def test_only_pairs_that_can_be_compared() -> None:
    """Seen sooner is of pairs with the same answer; where more than a twentieth failed there is none."""
    other = [trial(50, "streamed", 900.0, 800.0, result="a"), trial(50, "blocking", 900.0, result="b")]
    found = figures(state_of(begin(cell()), so_far(*pairs(TIMES), *other)).cells[0])
    assert found.sooner == shift_in_time([whole - useful for useful, whole in TIMES])
    failed = [trial(i, "streamed", status="timeout") for i in range(50, 53)]
    failed += [trial(i, "blocking") for i in range(50, 53)]
    found = figures(state_of(begin(cell()), so_far(*pairs(TIMES), *failed)).cells[0])
    assert (found.sooner.value, found.sooner.note) == (None, "n/a (3 of 33 pairs excluded)")


def test_segments_that_differ_widen_the_interval() -> None:
    """Under load the two trials of a pair are in different blocks: as in the report, differing rounds count."""
    slow = [(useful, whole + 200) for useful, whole in TIMES]
    rounds = [
        trial(place, delivery, whole, useful, block=block + (delivery == "blocking"))
        for place, (block, (useful, whole)) in enumerate([(0, one) for one in TIMES] + [(2, one) for one in slow])
        for delivery in BOTH
    ]
    found = figures(state_of(begin(cell()), so_far(*rounds)).cells[0]).sooner
    gains = [[whole - useful for useful, whole in part] for part in (TIMES, slow)]
    whole = shift_in_time([*gains[0], *gains[1]])
    assert found == widen_by_parts(whole, [shift_in_time(part) for part in gains])
    assert (found.high or 0) > (whole.high or 0) > 0


def test_what_counts() -> None:
    """Warm-up, A/A, calibration and ramp are in no median; the ramp alone is progress of its cell."""
    trials = [trial(i, "streamed", phase=phase) for i, phase in enumerate(("warmup", "ramp", "aa", "calibrate"))]
    state = state_of(begin(cell()), so_far(*trials, trial(9, "blocking", phase="warmup", status="timeout")))
    assert state.cells[0].measured == []
    assert state.cells[0].ended == {"streamed": 1, "blocking": 0}
    assert (state.failures, state.phase) == (0, "warmup")


def test_figures_are_made_again_only_for_news() -> None:
    """A cell to which nothing has come keeps its figures: drawing costs no more the longer a run takes."""
    state, cache = state_of(begin(cell()), so_far(*pairs(TIMES))), FiguresCache()
    cells = list(state.cells.values())
    first = cache.get(cells)[0]
    assert cache.get(cells)[0] is first
    state.apply(so_far(trial(60, "streamed")))
    assert cache.get(cells)[0] is not first


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


def test_many_cells() -> None:
    """31 cells in 24 lines: those under way, then what ended last; a line counts the others."""
    cells = [cell(i, pairs=1, alone=False) for i in range(31)]
    ended = [one for i in range(12) for one in pairs(TIMES[:1], number=i)]
    state = state_of(begin(*cells), so_far(*ended, trial(0, "streamed", number=12)))
    for width in (60, 80, 120):
        text = drawn(state, width=width)
        assert len(text.splitlines()) < 24
        assert max(map(len, text.splitlines())) <= width
        assert "cell12 " in text
        assert "cell11 " in text
        assert "cell30 " not in text
        assert "under way" not in text
    shown, others = choose_cells(list(state.cells.values()), 4)
    assert [one.number for one in shown] == [9, 10, 11, 12]
    assert sum(one.is_over for one in others) == 9
    assert "… 27 more: 9 done, 18 to come" in drawn(state, height=18)


def test_rows_keep_their_places() -> None:
    """Cells that take turns pair by pair do not change places with every trial."""
    state = state_of(begin(*[cell(i) for i in range(9)]))
    seen = set()
    for turn in (0, 1, 2, 3, 4, 8, 5, 7, 6, 2, 8, 0):
        state.apply(so_far(trial(0, "streamed", number=turn)))
        shown, _ = choose_cells(list(state.cells.values()), 3)
        seen.add(tuple(one.number for one in shown))
    assert seen == {(0, 1, 2)}


def test_a_server_cannot_write_into_the_terminal() -> None:
    """Errors and names lose their control characters and line breaks, and mark-up in them stays text."""
    evil = "HTTP 500: \x1b[2J\x1b]0;owned\x07 [red]x[/red]\nnext \u202eback"
    state = state_of(begin(cell(label="a\x1b[31mb")), so_far(error=[0, "http_5xx", evil]))
    text = drawn(state, width=120)
    assert not {"\x1b", "\x07", "\u202e"} & set(text)
    assert "[red]x[/red] next back" in text
    assert one_line("a\r\nb") == "a b"


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


@pytest.mark.parametrize(
    ("value", "text"), [(3.214, "3.21"), (32.14, "32.1"), (321.4, "321"), (3214.0, "3,214"), (float("inf"), "∞")]
)
def test_three_digits(value: float, text: str) -> None:
    """A time has three digits, or all before the point."""
    assert number(value) == text


def test_clock() -> None:
    """Minutes and seconds, hours where there are some."""
    assert [clock(seconds) for seconds in (0.4, 42, 3723)] == ["0:00", "0:42", "1:02:03"]


def test_the_whole_view() -> None:
    """What an 80 columns wide terminal shows, to the character."""
    failed = trial(98, "blocking", number=1, status="http_5xx")
    state = state_of(
        begin(cell(label="text"), cell(1, label="function_call"), cell(2, label="structured_output"), total=120),
        so_far(
            *pairs(TIMES[:18]),
            *pairs(TIMES[3:11], number=1),
            failed,
            done=54,
            total=120,
            lags=[0.2, 0.4, 0.3, 1.2, 0.1] * 4,
            spent={"input": 12_345, "output": 6_789, "untold": 0, "usd": 0.0425, "unpriced": False},
            error=[1, "http_5xx", "HTTP 500: the server had an error"],
        ),
    )
    assert drawn(state) == GOLDEN.read_text()
