"""Estimate intervals by resampling whole trials: what happens inside one trial is not independent."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from bench.stats.intervals import ALPHA, FEWEST_CLUSTERS, Estimate, too_few

RESAMPLES = 2000
BLOCK = 1_000_000
"""Weights drawn at a time (8 MB)."""


def cluster_bootstrap(
    above: ArrayLike, below: ArrayLike | None = None, alpha: float = ALPHA, seed: int = 0
) -> Estimate:
    """Estimate Σ above / Σ below over trials, one value of each for a trial; without `below` the mean.

    The interval is the percentile interval of a bootstrap over trials, its levels moved out for small samples
    (Hesterberg 2015, 5.3).
    Simulated coverage is 93-96 % for CPU per event and for means of symmetric values, down to 20 trials. For means of
    skewed ones it is less: log-normal (sigma 1) 89 % at n=20, 93 % at n=100. So it is for sums, never for latencies.
    """
    top = np.asarray(above, float)
    bottom = np.ones(top.size) if below is None else np.asarray(below, float)
    if top.size < FEWEST_CLUSTERS:
        return too_few(top.size, FEWEST_CLUSTERS)
    if bottom.sum() <= 0:
        return Estimate(note="n/a (nothing to divide by)")
    tail = _tail(top.size, alpha)
    ratios = _resample_ratios(np.stack([top, bottom], axis=1), seed)
    low, high = np.quantile(ratios, [tail, 1 - tail])
    return Estimate(float(top.sum() / bottom.sum()), float(low), float(high))


def _tail(n: int, alpha: float) -> float:
    """Return the normal tail as far out as √(n/(n-1)) times Student's t: a resample varies less than a sample."""
    return float(special.ndtr(math.sqrt(n / (n - 1)) * special.stdtrit(n - 1, alpha / 2)))


def _resample_ratios(sums: NDArray[np.float64], seed: int) -> NDArray[np.float64]:
    """Return the ratio of the two columns' sums in each resample that has something to divide by."""
    step = max(1, BLOCK // len(sums))
    totals = [_weights(len(sums), min(step, RESAMPLES - done), seed, done) @ sums for done in range(0, RESAMPLES, step)]
    above, below = np.concatenate(totals).T
    kept: NDArray[np.float64] = above[below > 0] / below[below > 0]
    return kept


@lru_cache(maxsize=1)
def _weights(n: int, resamples: int, seed: int, done: int) -> NDArray[np.float64]:
    """Draw how often each of n trials is in each resample. Kept: the next cell has often as many trials."""
    rng = np.random.default_rng([seed, done])
    return rng.multinomial(n, np.full(n, 1 / n), resamples).astype(float)
