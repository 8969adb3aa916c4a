"""The figures of the live view are those of the analysis."""

from __future__ import annotations

import numpy as np

from bench.plan.plan import BOTH
from bench.run.liveview.estimates import FiguresCache, figures
from bench.stats.intervals import hodges_lehmann, quantile_ci
from bench.stats.serial_correlation import shift_in_time, widen_by_parts
from tests.support.live_messages import TIMES, begin, cell, drawn, pairs, so_far, state_of, trial


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


def test_figures_are_made_again_only_for_news() -> None:
    """A cell to which nothing has come keeps its figures: drawing costs no more the longer a run takes."""
    state, cache = state_of(begin(cell()), so_far(*pairs(TIMES))), FiguresCache()
    cells = list(state.cells.values())
    first = cache.get(cells)[0]
    assert cache.get(cells)[0] is first
    state.apply(so_far(trial(60, "streamed")))
    assert cache.get(cells)[0] is not first
