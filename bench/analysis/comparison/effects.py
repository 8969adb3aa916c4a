"""Judge changes on their intervals: for the worse, for the better, or nothing that can be seen."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Literal

from bench.core.results.comparison import Change
from bench.core.results.metrics.metric import QUANTILES
from bench.core.results.metrics.registry import metric_of
from bench.stats.mover import Bounds, bounds

Outcome = Literal["worse", "better", "changed", "unclear", "unknown"]
"""`changed`: neither direction is better; `unclear`: the interval holds no change at all; `unknown`: no interval."""
_ORDER: tuple[Outcome, ...] = ("worse", "unclear", "better", "changed", "unknown")
FRACTIONS = ("share", "ratio")
"""Units of numbers that are fractions already: their difference says more than the ratio of two fractions."""
COUNTED = ("offered", "ok", "pairs")
"""What a metric is taken over, where more pairs give more of it."""


def in_points(change: Change) -> bool:
    """Return True if the change is told as a difference of fractions (percentage points)."""
    return change.current.unit in FRACTIONS or change.current.statistic == "share"


def size(change: Change) -> Bounds | None:
    """Return the change as a fraction, to hold it against others: points of a fraction, else the ratio.

    Where there is no ratio (a number not above 0), the difference by the larger of the two. None: no interval.
    """
    ratio = bounds(change.ratio, change.low, change.high)
    if ratio and not in_points(change):
        return ratio
    apart = bounds(change.difference, change.difference_low, change.difference_high)
    if apart is None or in_points(change):
        return apart
    scale = max(abs(change.baseline.estimate or 0), abs(change.current.estimate or 0)) or 1
    return Bounds(*(x / scale for x in apart))


def outcome(change: Change) -> Outcome:
    """Say what the change amounts to: only an interval without 0 says anything."""
    found = size(change)
    if found is None:
        return "unknown"
    if found.low <= 0 <= found.high:
        return "unclear"
    if change.better == "neither":
        return "changed"
    return "worse" if (found.low > 0) == (change.better == "lower") else "better"


def worst_first(changes: Iterable[Change]) -> tuple[Change, ...]:
    """Sort changes: worse ones by their least size, undecided ones by how much worse they may be, then the rest."""
    return tuple(sorted(changes, key=_place))


def _place(change: Change) -> tuple[int, float]:
    found = size(change)
    rank = _ORDER.index(outcome(change))
    if found is None:
        return rank, 0.0
    value, low, high = found
    if change.better == "higher":
        value, low, high = -value, -high, -low
    return rank, {"worse": -low, "unclear": -value, "better": high}.get(_ORDER[rank], -abs(value))


def pairs_for(change: Change, limit: float) -> int | None:
    """Return how many pairs narrow the interval to half a width of `limit` (a fraction), as intervals go by 1/√n.

    None where more pairs would not: no interval yet, an open one, or a number of no trials.
    """
    found, metric = size(change), metric_of(change.metric)
    if found is None or not change.n or limit <= 0 or (metric is not None and metric.of not in COUNTED):
        return None
    half = (found.high - found.low) / 2
    if not math.isfinite(half):
        return None
    from bench.stats.intervals import minimum_n  # noqa: PLC0415  (scipy: the measuring process loads this module)

    q = QUANTILES.get(change.statistic)
    return max(math.ceil(change.n * (half / limit) ** 2 - 1e-9), minimum_n(q) if q else 1)
