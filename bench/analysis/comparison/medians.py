"""Compare the times of two runs by the samples that their summaries keep."""

from __future__ import annotations

import numpy as np

from bench.core.load import parse_load
from bench.core.results.summary import Cell, Ecdf
from bench.stats.intervals import as_ratio
from bench.stats.mover import Bounds, bounds
from bench.stats.two_sample_shift import two_sample_shift

STATISTIC = "p50"
MOST_FAILED = 0.05
"""Above this share of trials that never arrived, those that did no longer speak for the cell."""


def shifts(baseline: Cell | None, current: Cell | None, delivery: str, metric: str) -> tuple[Bounds, Bounds] | None:
    """Estimate (ratio, difference in ms) of two independent samples: Hodges-Lehmann with the Mann-Whitney interval.

    It is narrower than what follows from two medians. None where there are no samples, where too many failed, or under
    load, where trials that ran together are alike.
    """
    samples = [_sample(cell, delivery, metric) for cell in (baseline, current)]
    if any(sample is None for sample in samples):
        return None
    b, c = (np.asarray(sample.values) for sample in samples if sample)
    if min(b.min(), c.min()) <= 0:
        return None
    shift, apart = as_ratio(two_sample_shift(np.log(c), np.log(b))), two_sample_shift(c, b)
    found = bounds(shift.value, shift.low, shift.high), bounds(apart.value, apart.low, apart.high)
    return (found[0], found[1]) if found[0] and found[1] else None


def _sample(cell: Cell | None, delivery: str, metric: str) -> Ecdf | None:
    """Return the times of a cell's trials; None unless they ran one at a time and nearly all of them arrived."""
    if cell is None or not parse_load(cell.key.load).sequential:
        return None
    kept = {
        **{("streamed", name): ecdf for name, ecdf in cell.curves.items()},
        ("streamed", "ttfu"): cell.first_useful,
        ("blocking", "total"): cell.blocking_total,
        ("blocking", "ttfu"): cell.blocking_total,
    }
    found = kept.get((delivery, metric))
    if found is None or not found.values or len(found.values) < (1 - MOST_FAILED) * found.offered:
        return None
    return found
