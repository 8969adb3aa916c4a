"""Test whether a slope lies beyond a bound: the test that belongs to the Theil-Sen slope."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bench.stats.intervals import Estimate, kendall_variance, pairwise_slopes

MOST_EXACT = 50
Place = Literal["above", "within", "below", ""]
"""Where an interval lies, seen from ±bound; empty: it reaches over an end."""


def slope_p(x: ArrayLike, y: ArrayLike, bound: float, side: Literal["greater", "less"]) -> float:
    """Return the one-sided p of Kendall's test that y grows faster (slower) than `bound` for each unit of x.

    Exact without ties in x, up to 50 points; else the normal approximation, with its variance for ties in x. Two points
    that grow just by the bound speak against.
    """
    xs, sign = np.asarray(x, float), 1 if side == "greater" else -1
    slopes = pairwise_slopes(xs, np.asarray(y, float))
    if not slopes.size:
        return 1.0
    concordant = int(np.count_nonzero(sign * (slopes - bound) > 0))
    if np.unique(xs).size == xs.size <= MOST_EXACT:
        return float(np.sum(_inversions(xs.size)[: slopes.size - concordant + 1]))
    return float(special.ndtr(-(2 * concordant - slopes.size - 1) / math.sqrt(kendall_variance(xs))))


@lru_cache(maxsize=8)
def _inversions(n: int) -> NDArray[np.float64]:
    """Return the share of the n! orders that have 0, 1, 2, … pairs the wrong way round."""
    shares = np.ones(1)
    for size in range(2, n + 1):
        shares = np.convolve(shares, np.full(size, 1 / size))
    return shares


def slope_beyond(x: ArrayLike, y: ArrayLike, slope: Estimate, bound: float) -> tuple[Place, float]:
    """Return where the slope's interval lies, seen from ±bound, and the two-sided p of that answer."""
    if slope.low is None or slope.high is None:
        return "", 1.0
    above, below = slope_p(x, y, bound, "greater"), slope_p(x, y, -bound, "less")
    inside = max(slope_p(x, y, bound, "less"), slope_p(x, y, -bound, "greater"))
    if slope.low > bound:
        return "above", min(1.0, 2 * above)
    if slope.high < -bound:
        return "below", min(1.0, 2 * below)
    if -bound <= slope.low and slope.high <= bound:
        return "within", min(1.0, 2 * inside)
    return "", 1.0
