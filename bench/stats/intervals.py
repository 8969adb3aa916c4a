"""Estimate numbers from arrays with their 95 % intervals; the same seed gives the same answer.

Checked by simulation in `tests/unit/stats/test_coverage.py`; docs/statistics.md shows the figures. Only
`scipy.special` is used: `scipy.stats` costs half a second to import.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

ALPHA = 0.05
EXACT_SIGNED_RANK = 50
"""Up to here the signed-rank distribution is counted out; above, its normal approximation is as good."""
LARGEST_HL = 2000
"""Pairs for Hodges-Lehmann; of more, a seeded subsample (n² memory)."""
FEWEST_CLUSTERS = 20
"""With fewer trials an interval over their gaps covers too little."""


@dataclass(frozen=True)
class Estimate:
    """A number with its interval, or the reason why there is none."""

    value: float | None = None
    low: float | None = None
    high: float | None = None
    note: str = ""


def too_few(n: int, need: int) -> Estimate:
    """Return the estimate that may not be printed, with the reason."""
    return Estimate(note=f"n/a (n={n} < {need})")


def minimum_n(q: float, alpha: float = ALPHA) -> int:
    """Return the fewest samples with a two-sided interval for the q-quantile: max(q, 1-q)ⁿ ≤ alpha/2.

    6 for the median, 36 for p90, 72 for p95, 368 for p99.
    """
    return math.ceil(math.log(alpha / 2) / math.log(max(q, 1 - q)))


def quantile_ci(x: ArrayLike, q: float, alpha: float = ALPHA) -> Estimate:
    """Estimate the q-quantile (inverse of the ECDF) with its order-statistic interval; failures enter as +∞.

    Coverage is at least 1 - alpha for any distribution (David & Nagaraja, Order Statistics, 7.1).
    """
    values = np.asarray(x, float)
    n = values.size
    if n < minimum_n(q, alpha):
        return too_few(n, minimum_n(q, alpha))
    low, high = _ranks(n, q, alpha)
    value, lower, upper = at_ranks(values, _rank_of(n, q), low, high)
    return Estimate(value, lower, upper)


def at_ranks(values: NDArray[np.float64], *ranks: int) -> list[float]:
    """Return the values with these 1-based ranks, without sorting the rest; a negative rank counts from the largest."""
    places = [rank - 1 if rank > 0 else values.size + rank for rank in ranks]
    return [float(value) for value in np.partition(values, places)[places]]


def _rank_of(n: int, q: float) -> int:
    return max(1, math.ceil(q * n - 1e-9))


def _ranks(n: int, q: float, alpha: float) -> tuple[int, int]:
    """Return ranks from 1: largest l with P(B < l) ≤ alpha/2, smallest u with P(B ≥ u) ≤ alpha/2, B ~ Bin(n, q)."""
    reach = 40 + 12 * math.sqrt(n * q * (1 - q))  # further out there is no probability that counts
    first, last = max(0, math.floor(n * q - reach)), min(n, math.ceil(n * q + reach))
    cdf = special.bdtr(np.arange(first, last, dtype=float), n, q)
    low = first + int(np.searchsorted(cdf, alpha / 2, side="right"))
    high = first + int(np.searchsorted(cdf, 1 - alpha / 2, side="left")) + 1
    return low, high


def hodges_lehmann(d: ArrayLike, alpha: float = ALPHA, seed: int = 0) -> Estimate:
    """Estimate the shift of paired differences: the median of the Walsh averages, with the signed-rank test's interval.

    Exact for differences that scatter alike to both sides; of skewed ones (log-normal) it covers 94 % of what it
    estimates, the median of the mean of two.
    """
    values = np.asarray(d, float)
    n = values.size
    if n < minimum_n(0.5, alpha):
        return too_few(n, minimum_n(0.5, alpha))
    walsh, n = walsh_averages(values, seed)
    c = signed_rank_critical(n, alpha)
    if c < 1:
        return too_few(n, minimum_n(0.5, alpha))
    low, left, right, high = at_ranks(walsh, c, (walsh.size + 1) // 2, walsh.size // 2 + 1, -c)
    return Estimate((left + right) / 2, low, high)


def walsh_averages(values: NDArray[np.float64], seed: int = 0) -> tuple[NDArray[np.float64], int]:
    """Return the mean of each value with each, itself included, in no order; and of how many values: 2,000 at most."""
    if values.size > LARGEST_HL:
        values = np.random.default_rng(seed).choice(values, LARGEST_HL, replace=False)
    sums = [values[i] + values[i:] for i in range(values.size)]
    return (np.concatenate(sums) if sums else values) / 2, values.size


def log_ratio(a: ArrayLike, b: ArrayLike, alpha: float = ALPHA, seed: int = 0) -> Estimate:
    """Estimate how much larger a is than b, paired, as a fraction: exp of the shift of log(a/b), minus 1.

    All values are positive.
    """
    return as_ratio(hodges_lehmann(np.log(np.asarray(a, float)) - np.log(np.asarray(b, float)), alpha, seed))


def as_ratio(shift: Estimate) -> Estimate:
    """Turn a shift of logarithms into a fraction: exp - 1."""
    if shift.value is None or shift.low is None or shift.high is None:
        return shift
    return replace(shift, value=math.expm1(shift.value), low=math.expm1(shift.low), high=math.expm1(shift.high))


@lru_cache(maxsize=64)
def signed_rank_critical(n: int, alpha: float = ALPHA) -> int:
    """Return the largest C with P(T < C) ≤ alpha/2 for Wilcoxon's T: the interval's ends are the C-th Walsh averages.

    Hollander, Wolfe & Chicken, Nonparametric Statistical Methods, 3.3.
    """
    if n <= EXACT_SIGNED_RANK:
        return int(np.searchsorted(np.cumsum(signed_rank_pmf(n)), alpha / 2, side="right"))
    mean, sd = n * (n + 1) / 4, math.sqrt(n * (n + 1) * (2 * n + 1) / 24)
    return math.floor(mean + 0.5 + float(special.ndtri(alpha / 2)) * sd)


def signed_rank_pmf(n: int) -> NDArray[np.float64]:
    """Return P(T = t) for t = 0 … n(n+1)/2: every rank is in the sum or not, with probability ½."""
    pmf = np.zeros(n * (n + 1) // 2 + 1)
    pmf[0] = 1
    for rank in range(1, n + 1):
        shifted = np.concatenate([np.zeros(rank), pmf[:-rank]])
        pmf = (pmf + shifted) / 2
    return pmf


def share_ci(k: int, n: int, alpha: float = ALPHA) -> Estimate:
    """Estimate k of n as a fraction, with the exact (Clopper-Pearson) interval."""
    if n == 0:
        return Estimate(note="n/a (n=0)")
    low = 0.0 if k == 0 else float(special.betaincinv(k, n - k + 1, alpha / 2))
    high = 1.0 if k == n else float(special.betaincinv(k + 1, n - k, 1 - alpha / 2))
    return Estimate(k / n, low, high)


def theil_sen(x: ArrayLike, y: ArrayLike, alpha: float = ALPHA) -> tuple[Estimate, float | None]:
    """Estimate slope (median of the pairwise slopes, Sen's rank interval, ties in x allowed) and intercept of a line.

    Sen 1968; Hollander, Wolfe & Chicken, 9.3, with the large-sample ranks rounded outwards.
    """
    xs, ys = np.asarray(x, float), np.asarray(y, float)
    slopes = pairwise_slopes(xs, ys)
    reach = float(special.ndtri(1 - alpha / 2)) * math.sqrt(kendall_variance(xs))
    low = math.floor((slopes.size - reach) / 2)
    if low < 1:
        return Estimate(note=f"n/a ({xs.size} points are too few for a slope)"), None
    slope = float(np.median(slopes))
    return Estimate(slope, float(slopes[low - 1]), float(slopes[-low])), float(np.median(ys - slope * xs))


def pairwise_slopes(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the slopes between all two points that differ in x, ascending."""
    i, j = np.triu_indices(x.size, 1)
    apart = x[i] != x[j]
    return np.sort((y[j] - y[i])[apart] / (x[j] - x[i])[apart])


def kendall_variance(x: NDArray[np.float64]) -> float:
    """Return the variance of Kendall's S without ties in y: [n(n-1)(2n+5) - Σ t(t-1)(2t+5)] / 18 over the ties in x."""
    sizes = np.append(np.unique(x, return_counts=True)[1] * -1, x.size)
    n = np.abs(sizes)
    return float(np.sum(np.sign(sizes) * n * (n - 1) * (2 * n + 5)) / 18)


def clustered_quantile(values: ArrayLike, cluster: ArrayLike, q: float, alpha: float = ALPHA) -> Estimate:
    """Estimate the q-quantile of values in clusters (gaps of trials), of which only the clusters are independent.

    Woodruff's interval (1952): q ± t·se of the share below the estimate, read back on the ECDF; se from the residuals
    of the clusters. Simulated coverage is 93-97 % (a percentile bootstrap over clusters: 88-95 %), so it is nominal.
    Needs as many clusters as `quantile_ci` needs samples.
    """
    x, owner = np.asarray(values, float), np.unique(np.asarray(cluster), return_inverse=True)[1]
    clusters, need = int(owner.max(initial=-1)) + 1, max(FEWEST_CLUSTERS, minimum_n(q, alpha))
    if clusters < need:
        return too_few(clusters, need)
    ordered = np.sort(x)
    value = ordered[_rank_of(x.size, q) - 1]
    reach = float(special.stdtrit(clusters - 1, 1 - alpha / 2)) * _share_error(owner, x <= value)
    low, high = math.floor((q - reach) * x.size), math.ceil((q + reach) * x.size) + 1
    return Estimate(
        float(value), float(ordered[max(low, 1) - 1]), float(ordered[high - 1]) if high <= x.size else math.inf
    )


def _share_error(owner: NDArray[np.intp], below: NDArray[np.bool_]) -> float:
    """Return the standard error of the share of `below`: by the residuals of the clusters (a ratio, linearised)."""
    sizes = np.bincount(owner)
    residual = np.bincount(owner, weights=below) - below.mean() * sizes
    return math.sqrt(sizes.size / (sizes.size - 1) * float(np.sum(residual**2))) / below.size
