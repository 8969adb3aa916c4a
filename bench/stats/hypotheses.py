"""Test whether shifts lie beyond a bound, one or many at once."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from bench.stats.intervals import ALPHA, EXACT_SIGNED_RANK, signed_rank_pmf, walsh_averages


def signed_rank_p(d: ArrayLike, bound: float, side: Literal["greater", "less"], seed: int = 0) -> float:
    """Return the one-sided p of Wilcoxon's signed-rank test that the shift of d is greater (less) than the bound.

    The counterpart of `intervals.hodges_lehmann`: p ≤ alpha/2 exactly where its 1 - alpha interval lies beyond the
    bound. What equals the bound speaks against. Without data, and at fewest with 0.5ⁿ: 1.0, never an error.
    """
    sign = 1 if side == "greater" else -1
    values = sign * (np.asarray(d, float) - bound)
    if not values.size:
        return 1.0
    walsh, n = walsh_averages(values, seed)
    against = int(np.count_nonzero(walsh <= 0))
    if n <= EXACT_SIGNED_RANK:
        return min(1.0, float(np.sum(signed_rank_pmf(n)[: against + 1])))
    mean, sd = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return float(special.ndtr((against + 0.5 - mean) / sd))


def holm_adjusted(ps: Sequence[float]) -> list[float]:
    """Return Holm's (1979) adjusted p values, in the order given: each bounds the chance of any false alarm."""
    adjusted, largest = [1.0] * len(ps), 0.0
    for rank, place in enumerate(sorted(range(len(ps)), key=ps.__getitem__)):
        largest = max(largest, (len(ps) - rank) * ps[place])
        adjusted[place] = min(1.0, largest)
    return adjusted


def holm(ps: Sequence[float], alpha: float = ALPHA) -> list[bool]:
    """Return which hypotheses Holm's method rejects: the probability of any false rejection is at most alpha."""
    return [p <= alpha for p in holm_adjusted(ps)]
