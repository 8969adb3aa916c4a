"""Pairs that follow each other and are alike."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.cell.arm import Arm
from bench.analysis.measured_cell import MeasuredCell
from bench.analysis.pairs import Pairs, make_pairs
from bench.analysis.tables import load
from bench.core.results.labels import cell_key
from bench.core.results.metrics.pairs import METRICS
from bench.core.results.row import CellKey, Row
from bench.stats.intervals import Estimate, hodges_lehmann, log_ratio
from bench.stats.serial_correlation import ratio_in_time, serial_correlation, shift_in_time, widen
from tests.support.synthetic import make_run

WAVE = np.sin(np.arange(60) / 4)
"""Neighbours are alike."""
MIXED = np.random.default_rng(8).permutation(WAVE)
"""The same values in no order."""


@pytest.mark.parametrize("r", [-0.5, 0, 0.5, 0.9])
def test_the_correlation_of_a_long_series_is_found(r: float) -> None:
    """Of 5,000 values that each take over a share r of the one before, it is r."""
    series = [0.0]
    for noise in np.random.default_rng(1).normal(size=5000):
        series.append(r * series[-1] + noise)
    assert serial_correlation(series) == pytest.approx(r, abs=0.05)


@given(st.lists(st.integers(-50, 50).map(float), max_size=40), st.integers(-9, 9), st.integers(1, 9))
def test_only_ranks_count(d: list[float], shift: int, factor: int) -> None:
    """It lies within ±1, and neither a constant nor a factor nor time turned round changes it."""
    r = serial_correlation(d)
    assert -1 <= r <= 1
    assert serial_correlation(np.array(d) * factor + shift) == r
    assert serial_correlation(d[::-1]) == pytest.approx(r)


def test_an_outlier_does_not_hide_it() -> None:
    """One value a thousand times as large leaves the correlation of its 60 neighbours in sight."""
    d = WAVE.copy()
    d[30] = 1000
    assert serial_correlation(d) > 0.8


def test_the_interval_is_widened_and_says_so() -> None:
    """Alike neighbours widen both halves of the interval by one factor; the estimate stays."""
    bare, wide = hodges_lehmann(WAVE), shift_in_time(WAVE)
    assert wide.value == bare.value
    assert wide.note.startswith("pairs that follow each other are alike (r=0.9")
    assert None not in (bare.value, bare.low, bare.high, wide.low, wide.high)
    below = (wide.value - wide.low) / (bare.value - bare.low)  # type: ignore[operator]
    above = (wide.high - wide.value) / (bare.high - bare.value)  # type: ignore[operator]
    assert below == pytest.approx(above)
    assert 3 < above < 6.3


def test_values_in_no_order_keep_their_interval() -> None:
    """The same values mixed up, constant ones and too few ones are left as they are."""
    assert shift_in_time(MIXED) == hodges_lehmann(MIXED)
    assert shift_in_time(np.ones(30)) == Estimate(1, 1, 1)
    assert widen(Estimate(note="n/a (n=2 < 6)"), [1.0, 2.0]).note == "n/a (n=2 < 6)"


def test_a_ratio_is_widened_on_the_log_scale() -> None:
    """A ratio of pairs that are alike can become very uncertain, but never lower than -100 %."""
    a, b = np.exp(3 * WAVE), np.ones(WAVE.size)
    wide, bare = ratio_in_time(a, b), log_ratio(a, b)
    assert wide.value == bare.value
    assert wide.low is not None
    assert bare.low is not None
    assert -1 < wide.low < bare.low


def _pairs(d: np.ndarray) -> Pairs:
    same = pd.DataFrame({"ttfu_s": 10 + d, "total_s": 100 + d, "total_b": np.full(d.size, 100.0)}).assign(
        block_s=0, block_b=0
    )
    return Pairs(CellKey(*"abcdefg"), d.size, d.size, d.size, same)


def _pair_rows(pairs: Pairs) -> list[Row]:
    cell = cast("MeasuredCell", SimpleNamespace(pairs=pairs, seed=1, is_paired=True))
    return [row for metric in METRICS if metric.cell_rows for row in metric.cell_rows(metric, cell)]


def test_rows_of_alike_pairs_are_widened() -> None:
    """`overhead` and `gain` of alike neighbours are wider than of the same pairs in no order, with a note."""
    alike, mixed = (_pair_rows(_pairs(d)) for d in (WAVE, MIXED))
    assert [row.estimate for row in alike] == pytest.approx([row.estimate for row in mixed])
    for wide, bare in zip(alike, mixed, strict=True):
        assert wide.high - wide.low > 3 * (bare.high - bare.low)  # type: ignore[operator]
        assert "alike" in wide.note
        assert not bare.note


def test_pairs_are_in_the_order_of_time(tmp_path: Path) -> None:
    """Pairs whose numbers run backwards are compared in the order in which they were sent."""
    frames = load(make_run(tmp_path / "run", pairs=8))
    trials = frames.trials.assign(pair=100 - frames.trials["pair"])
    arms = [
        Arm(cell_key(frames.cells[0]), name, trials[trials["delivery"] == name]) for name in ("streamed", "blocking")
    ]
    pairs = make_pairs(cell_key(frames.cells[0]), *arms, simulated=True)
    assert len(pairs.same) == 8
    assert list(pairs.same.index) == sorted(pairs.same.index, reverse=True)
    assert pairs.same["t_origin_s"].is_monotonic_increasing
