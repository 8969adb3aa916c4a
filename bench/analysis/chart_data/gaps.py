"""The gaps between deltas of each cell, in bins."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.deltas import DeltaGaps, gaps_of
from bench.analysis.per_trial import MS
from bench.analysis.tables import RunFrames
from bench.core.chart_data import Bin, Gaps
from bench.core.stalls import stall_limit

BINS_A_DECADE = 10


def gap_bins(frames: RunFrames) -> Mapping[int, Gaps]:
    """Of the ok streamed trials of each cell, by its number; a cell without a gap has none."""
    trials, events = frames.trials, frames.tables["events"]
    found = {}
    for cell in frames.cells:
        wanted = (trials["cell"] == cell["cell"]) & (trials["status"] == "ok") & (trials["delivery"] == "streamed")
        gaps = gaps_of(events[events["trial_id"].isin(trials.index[wanted.fillna(value=False)])])
        if gaps.ns.size:
            found[cell["cell"]] = _gaps(gaps)
    return found


def _gaps(gaps: DeltaGaps) -> Gaps:
    apart = gaps.ns[gaps.ns > 0]
    return Gaps(tuple(bins(apart / MS)), int(gaps.ns.size - apart.size), _stalled(gaps), int(gaps.ns.size))


def _stalled(gaps: DeltaGaps) -> int:
    """Gaps over the limit of their own answer."""
    answer = np.unique(gaps.answer, return_inverse=True)[1]
    limits = pd.Series(gaps.ns).groupby(answer).median().map(stall_limit).to_numpy()
    return int((gaps.ns > limits[answer]).sum())


def bins(gaps: NDArray[np.float64]) -> Iterator[Bin]:
    """Positive gaps (ms) in bins of a tenth of a decade, from the first that holds one to the last."""
    if not gaps.size:
        return
    first, last = (math.floor(BINS_A_DECADE * math.log10(x)) for x in (gaps.min(), gaps.max()))
    edges = 10.0 ** (np.arange(first - 1, last + 3) / BINS_A_DECADE)  # one more at each end, for what rounding moves
    counts = np.bincount(np.searchsorted(edges, gaps, side="right") - 1, minlength=edges.size - 1)
    held = np.flatnonzero(counts)
    for place in range(held[0], held[-1] + 1):
        yield Bin(float(edges[place]), float(edges[place + 1]), int(counts[place]))
