"""The bins of the gaps between deltas: on runs of which every stamp is known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np

from bench.analysis.tables import load
from bench.reports.charts import gaps
from bench.reports.charts.gaps import GapHistogram
from tests.support.synthetic import Truth, make_run

EXACT = Truth(noise=0, stamped=True)
"""Each trial is like the other: first delta after 120 ms, then one each 5 ms."""


def counted(tmp_path: Path, truth: Truth, pairs: int = 9) -> GapHistogram | None:
    return gaps.data(load(make_run(tmp_path / "run", [truth], pairs=pairs, memory=False))).get(0)


def test_gap_counts_add_up(tmp_path: Path) -> None:
    """59 gaps of each ok streamed trial, each in one bin or of 0; warm-up, failed and blocking trials have none."""
    truth = replace(EXACT, noise=0.3, stalled={2: 300.0}, fail={("streamed", 5): "timeout"})
    found = counted(tmp_path, truth)
    assert found is not None
    assert found.n == 8 * 59 == found.same_read + sum(bin_.number for bin_ in found.bins)
    assert found.stalled == 1
    assert found.bins[-1].low <= 300 + 5 <= found.bins[-1].high * 1.3


def test_bins_are_even_on_a_log_axis_and_hold_what_they_say() -> None:
    """Neighbours touch, none is left out in between, the first and the last hold something; ends belong to one bin."""
    values = np.exp(np.random.default_rng(1).normal(1, 1.5, 1000))
    values[:3] = 10.0, 1.0, 0.1
    found = list(gaps.bins(values))
    assert all(low.high == high.low for low, high in pairwise(found))
    assert {round(math.log10(bin_.high / bin_.low), 6) for bin_ in found} == {1 / gaps.BINS_A_DECADE}
    assert [bin_.number for bin_ in found] == [int(((values >= b.low) & (values < b.high)).sum()) for b in found]
    assert sum(bin_.number for bin_ in found) == 1000
    assert min(found[0].number, found[-1].number) > 0


def test_deltas_of_one_read_are_counted_apart(tmp_path: Path) -> None:
    """A gap of 0 is on no log axis."""
    found = counted(tmp_path, replace(EXACT, token_ms=0.0), pairs=3)
    assert found is not None
    assert (found.bins, found.same_read, found.n) == ((), 3 * 59, 3 * 59)


def test_a_cell_without_deltas_has_no_gaps(tmp_path: Path) -> None:
    """Nothing is drawn of nothing."""
    assert counted(tmp_path, replace(EXACT, unstored=frozenset(range(9)))) is None
