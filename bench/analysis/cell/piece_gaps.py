"""How evenly pieces reach the caller."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd

from bench.analysis.cell.rows import Arm, gaps_note, no_gaps
from bench.analysis.per_trial import MS
from bench.core.metrics import QUANTILES
from bench.core.row import Row
from bench.stats import intervals


def piece_gap_rows(streamed: Arm, pieces: pd.DataFrame) -> Iterator[Row]:
    """Quantiles of the time between successive pieces of a trial, of the ok trials that were stored."""
    if streamed.trials.empty:
        return
    mine = pieces[pieces["trial_id"].isin(streamed.ok.index)].sort_values(["trial_id", "seq"])
    owner, times = (mine[name].to_numpy(dtype=np.int64) for name in ("trial_id", "t_yield"))
    same = np.diff(owner) == 0
    owner, gaps = owner[1:][same], np.diff(times)[same] / MS
    trials = int(np.unique(owner).size)
    if not trials:
        yield streamed.row("piece_gap", "p50", no_gaps(streamed, "pieces"), 0)
        return
    for statistic, q in QUANTILES.items():
        estimate = intervals.clustered_quantile(gaps, owner, q)
        yield streamed.row("piece_gap", statistic, estimate, trials, note=gaps_note(gaps.size, streamed))
