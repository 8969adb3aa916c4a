"""Estimate how much two independent samples differ: Hodges-Lehmann with the Mann-Whitney interval."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bench.stats.intervals import ALPHA, LARGEST_HL, Estimate

EXACT_PRODUCT = 10_000
"""Up to this n·m the rank-sum distribution is counted out; above, its normal approximation is as good."""


def two_sample_shift(x: ArrayLike, y: ArrayLike, alpha: float = ALPHA, seed: int = 0) -> Estimate:
    """Estimate how much larger x is than y, unpaired.

    It is the median of all differences x - y, with the Mann-Whitney interval. Of more than 2,000 in a sample, a seeded
    subsample (n·m memory). No estimate where even samples that do not overlap would show nothing: it takes 4 and 4, 3
    and 5 or 2 and 8. Ties make the interval wider, never too narrow. Hollander, Wolfe & Chicken, Nonparametric
    Statistical Methods, 4.2-4.3.
    """
    a, b = (_at_most(np.asarray(sample, float), seed) for sample in (x, y))
    c = rank_sum_critical(a.size, b.size, alpha) if a.size and b.size else 0
    if c < 1:
        return Estimate(note=f"n/a (n={a.size} and {b.size} are too few)")
    differences = np.subtract.outer(a, b).ravel()
    last = differences.size - 1
    places = [c - 1, last // 2, last - last // 2, last + 1 - c]
    low, left, right, high = (float(v) for v in np.partition(differences, places)[places])
    return Estimate((left + right) / 2, low, high)


def _at_most(values: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    if values.size <= LARGEST_HL:
        return values
    return np.random.default_rng(seed).choice(values, LARGEST_HL, replace=False)


@lru_cache(maxsize=64)
def rank_sum_critical(n: int, m: int, alpha: float = ALPHA) -> int:
    """Return the largest C with P(U < C) ≤ alpha/2 for Mann-Whitney's U.

    The interval's ends are the C-th smallest differences.
    """
    if n * m <= EXACT_PRODUCT:
        return int(np.searchsorted(np.cumsum(_rank_sum_pmf(n, m)), alpha / 2, side="right"))
    sd = math.sqrt(n * m * (n + m + 1) / 12)
    return max(0, math.floor(n * m / 2 + 0.5 + float(special.ndtri(alpha / 2)) * sd))


def _rank_sum_pmf(n: int, m: int) -> NDArray[np.float64]:
    """Return P(U = u) for u = 0 … n·m, from its generating function Π k(1 - zᵐ⁺ᵏ) / (m+k)(1 - zᵏ), k = 1 … n."""
    few, many = min(n, m), max(n, m)
    pmf = np.zeros(n * m + 1)
    pmf[0] = 1
    for k in range(1, few + 1):
        rows = math.ceil(pmf.size / k)
        padded = np.pad(pmf, (0, rows * k - pmf.size)).reshape(rows, k)
        divided = np.cumsum(padded, axis=0).ravel()[: pmf.size]
        divided[many + k :] -= divided[: -(many + k)].copy()
        pmf = divided * k / (many + k)
    return pmf
