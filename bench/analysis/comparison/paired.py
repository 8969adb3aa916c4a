"""Compare two targets or models of one run pair by pair. Their trials were interleaved, so drift hits both alike."""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.arm import per_trial
from bench.analysis.comparison.runs import change, hindrance, make_change
from bench.analysis.pairs import too_few_left
from bench.analysis.tables import RunFrames
from bench.core.load import parse_load
from bench.core.results.comparison import Change
from bench.core.results.row import Row
from bench.core.results.summary import Cell
from bench.stats.mover import bounds
from bench.stats.same_work import SAME_TOKENS
from bench.stats.serial_correlation import ratio_in_time, shift_in_time

PAIRED = (("streamed", "ttft"), ("streamed", "ttfu"), ("streamed", "total"), ("blocking", "total"))
"""Delivery and metric of what is compared ask by ask; the rest from the intervals of both."""
STATISTIC = "p50"


def is_interleaved(cell: Cell) -> bool:
    """Return True if trials ran one at a time.

    Then each block of the plan has one pair of every cell, of the same ask.
    """
    return parse_load(cell.key.load).sequential


def paired_change(frames: RunFrames, cells: tuple[Cell, Cell], rows: tuple[Row, Row], label: str) -> Change:
    """Compare the medians of two cells by the shift between them: Hodges-Lehmann over their common asks."""
    (baseline, current), (one, other) = cells, rows
    hindered = hindrance(other.metric, baseline, current)
    if not is_interleaved(current):
        return change(one, other, label, hindered)
    both = common_asks(frames, baseline, current, other.delivery, other.metric)
    ok = both.dropna(subset=["ms_b", "ms_c"])
    few, seed = too_few_left(len(both) - len(ok), len(both)), int(frames.plan["seed"])
    note = hindered or (f"n/a ({few})" if few else "" if len(both) else "n/a (no ask that both were given)")
    if note:
        return make_change(one, other, label, "paired", None, None, len(ok), note)
    b, c = _floats(ok["ms_b"]), _floats(ok["ms_c"])
    found, apart = ratio_in_time(c, b, seed=seed), shift_in_time(c - b, seed=seed)
    said = "; ".join(filter(None, (found.note, _lengths(ok, other.metric))))
    ratio, difference = (bounds(e.value, e.low, e.high) for e in (found, apart))
    return make_change(one, other, label, "paired", ratio, difference, len(ok), said)


def common_asks(frames: RunFrames, baseline: Cell, current: Cell, delivery: str, metric: str) -> pd.DataFrame:
    """Tabulate the blocks in which both were offered, in the order of time: ms of the ok trials, and their tokens."""
    sides = [_arm_times(frames, cell, delivery, metric) for cell in (baseline, current)]
    joined = sides[0].add_suffix("_b").join(sides[1].add_suffix("_c"), how="inner")
    return joined.sort_index()


def _arm_times(frames: RunFrames, cell: Cell, delivery: str, metric: str) -> pd.DataFrame:
    trials = frames.trials
    mine = trials[
        (trials["cell"] == cell.number) & (trials["delivery"] == delivery) & (trials["status"] != "cancelled")
    ]
    ms = per_trial(mine)[metric].where((mine["status"] == "ok").astype(bool))
    tokens = mine["output_tokens"]
    return pd.DataFrame({"ms": ms.to_numpy(), "tokens": tokens.to_numpy()}, index=mine["block"].astype("int64"))


def _floats(values: pd.Series[float]) -> NDArray[np.float64]:
    return np.asarray(values, dtype=np.float64)


def _lengths(ok: pd.DataFrame, metric: str) -> str:
    """Note on answers of unlike length, which take unlike times: for a total only."""
    means = [float(ok[name].astype(float).mean()) for name in ("tokens_b", "tokens_c")] if metric == "total" else []
    if not means or any(np.isnan(means)) or abs(means[1] - means[0]) <= SAME_TOKENS * max(means):
        return ""
    return f"answers of other lengths: {means[0]:.0f}, then {means[1]:.0f} output tokens (mean)"
