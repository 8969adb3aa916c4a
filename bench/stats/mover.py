"""Compare two estimates of separate runs by their own intervals alone, without their samples.

MOVER, the method of variance estimates recovery (Zou & Donner, Statistics in Medicine 27, 2008): each end of the
interval of a difference lies as far from it as the two ends of the single intervals that lead there, added as
independent errors are. It takes intervals of any shape, so each number keeps the one that suits it. Coverage is
measured in docs/statistics.md.
"""

from __future__ import annotations

import math
from typing import NamedTuple

LARGEST_LOG = 700.0
"""Above it exp is no number any more."""


class Bounds(NamedTuple):
    """An estimate with its 95 % interval; the ends may be infinite, the estimate is not."""

    value: float
    low: float
    high: float


def bounds(value: float | None, low: float | None, high: float | None) -> Bounds | None:
    """Return the estimate with its interval; None where one of the three is missing."""
    return None if value is None or low is None or high is None else Bounds(value, low, high)


def difference(current: Bounds, baseline: Bounds) -> Bounds:
    """Estimate current - baseline."""
    apart = current.value - baseline.value
    below = math.hypot(current.value - current.low, baseline.high - baseline.value)
    above = math.hypot(current.high - current.value, baseline.value - baseline.low)
    return Bounds(apart, apart - below, apart + above)


def ratio(current: Bounds, baseline: Bounds) -> Bounds:
    """Estimate current / baseline - 1, by the difference of the logarithms. Both estimates are above 0.

    Where an interval reaches down to 0, an end is open: -1 (nothing is left of it) or infinity.
    """
    value, low, high = difference(_log(current), _log(baseline))
    return Bounds(_less_one(value), _less_one(low), _less_one(high))


def _less_one(log: float) -> float:
    return math.expm1(log) if log < LARGEST_LOG else math.inf


def _log(of: Bounds) -> Bounds:
    return Bounds(*(math.log(x) if x > 0 else -math.inf for x in of))
