"""Intervals: minimum sizes, coverage by simulation, and agreement with independent references."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.analysis.intervals import (
    Estimate,
    clustered_quantile,
    hodges_lehmann,
    log_ratio,
    minimum_n,
    quantile_ci,
    share_ci,
    signed_rank_critical,
    theil_sen,
)

TRIES = 1500
SLACK = 0.02
"""More than three standard errors of a simulated coverage of 95 %."""


def coverage(draw: Callable[[np.random.Generator], Estimate], truth: float, tries: int = TRIES) -> float:
    """Share of the intervals that hold the truth."""
    rng = np.random.default_rng(11)
    found = [draw(rng) for _ in range(tries)]
    return sum(e.low is not None and e.high is not None and e.low <= truth <= e.high for e in found) / tries


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.9, 36), (0.95, 72), (0.99, 368)])
def test_minimum_n(q: float, n: int) -> None:
    """A quantile is printed from the first n that has a two-sided interval, and not one sample earlier."""
    assert minimum_n(q) == n
    assert quantile_ci(np.arange(n - 1), q).note == f"n/a (n={n - 1} < {n})"
    assert quantile_ci(np.arange(n - 1), q).value is None
    assert quantile_ci(np.arange(n), q).value is not None


@pytest.mark.parametrize(("q", "n"), [(0.5, 6), (0.5, 21), (0.9, 36), (0.9, 100), (0.99, 400)])
def test_quantile_interval_is_exactly_wide_enough(q: float, n: int) -> None:
    """By the binomial distribution the ranks cover at least 95 %, and one rank less on either side would not."""
    e = quantile_ci(np.arange(1, n + 1), q)
    assert e.low is not None
    assert e.high is not None
    below, above = stats.binom.cdf(e.low - 1, n, q), 1 - stats.binom.cdf(e.high - 1, n, q)
    assert below <= 0.025
    assert above <= 0.025
    assert stats.binom.cdf(e.low, n, q) > 0.025
    assert 1 - stats.binom.cdf(e.high - 2, n, q) > 0.025


def test_quantile_interval_covers_a_skewed_distribution() -> None:
    """Simulated on log-normal latencies, p90 of 60 is covered in at least 95 % of the cases."""
    truth = float(stats.lognorm.ppf(0.9, 1))
    assert coverage(lambda g: quantile_ci(g.lognormal(size=60), 0.9), truth) > 0.95 - SLACK


def test_failures_push_the_quantile_to_infinity() -> None:
    """With 30 of 100 failed the p90 is infinite, while the median and its interval stay finite."""
    x = np.concatenate([np.arange(70.0), np.full(30, np.inf)])
    assert quantile_ci(x, 0.9).value == math.inf
    assert quantile_ci(x, 0.5) == Estimate(49.0, 39.0, 60.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=80), st.sampled_from([0.5, 0.9]))
def test_quantile_is_ordered_and_a_sample(x: list[float], q: float) -> None:
    """low ≤ estimate ≤ high, all three taken from the samples, whatever their order."""
    e = quantile_ci(x, q)
    if e.value is not None and e.low is not None and e.high is not None:
        assert e.low <= e.value <= e.high
        assert {e.low, e.value, e.high} <= {float(v) for v in x}
        assert quantile_ci(sorted(x), q) == e


@pytest.mark.parametrize("n", [6, 8, 20, 50])
def test_signed_rank_critical_is_exact(n: int) -> None:
    """The counted-out distribution agrees with SciPy's exact signed-rank test at the critical value."""
    c = signed_rank_critical(n)
    assert _exact_p(n, c - 1) <= 0.025
    assert _exact_p(n, c) > 0.025


def _exact_p(n: int, t: int) -> float:
    """P(T ≤ t) from SciPy: ranks 1…n of which the negative ones sum to t."""
    signs = np.ones(n)
    for rank in range(n, 0, -1):
        if rank <= t:
            signs[rank - 1], t = -1, t - rank
    result = stats.wilcoxon(np.arange(1, n + 1) * signs, alternative="greater", method="exact")
    return float(result.pvalue)


def test_signed_rank_normal_approximation_joins_the_exact_one() -> None:
    """Where the exact count stops, the approximation goes on without a jump."""
    exact = [signed_rank_critical(n) for n in (49, 50)]
    assert 0 < signed_rank_critical(51) - exact[1] <= exact[1] - exact[0] + 2


@pytest.mark.parametrize("n", [6, 10, 36, 60])
def test_hodges_lehmann_covers(n: int) -> None:
    """The shift of symmetric differences is covered in at least 95 % of the cases, also at the smallest n."""
    assert coverage(lambda g: hodges_lehmann(5 + g.standard_t(3, n)), 5, 600) > 0.95 - SLACK


def test_hodges_lehmann_refuses_five_pairs() -> None:
    """Five pairs have no two-sided 95 % interval, so there is no number."""
    assert hodges_lehmann([1.0, 2, 3, 4, 5]).note == "n/a (n=5 < 6)"


@given(st.lists(st.floats(-1e3, 1e3), min_size=6, max_size=40), st.floats(-1e3, 1e3))
def test_hodges_lehmann_moves_with_the_data(d: list[float], shift: float) -> None:
    """Adding a constant to every difference adds it to the estimate and to both ends."""
    a, b = hodges_lehmann(d), hodges_lehmann(np.asarray(d) + shift)
    assert np.allclose([b.value, b.low, b.high], np.array([a.value, a.low, a.high], float) + shift, atol=1e-6)  # type: ignore[arg-type]


def test_log_ratio_is_exact_for_a_constant_factor() -> None:
    """When a is always 3 % more than b, the estimate and its interval are 3 %."""
    b = np.linspace(10, 400, 30)
    e = log_ratio(b * 1.03, b)
    assert np.allclose([e.value, e.low, e.high], 0.03)  # type: ignore[arg-type]


def test_many_pairs_are_subsampled_by_the_seed() -> None:
    """Above 2,000 pairs the same seed gives the same estimate."""
    d = np.random.default_rng(3).normal(size=5000)
    assert hodges_lehmann(d, seed=1) == hodges_lehmann(d, seed=1)
    assert hodges_lehmann(d, seed=1) != hodges_lehmann(d, seed=2)


@pytest.mark.parametrize(("k", "n"), [(0, 36), (1, 36), (18, 36), (36, 36)])
def test_share_interval_agrees_with_scipy(k: int, n: int) -> None:
    """The Clopper-Pearson interval is SciPy's."""
    e, reference = share_ci(k, n), stats.binomtest(k, n).proportion_ci(method="exact")
    assert np.allclose([e.low, e.high], [reference.low, reference.high])  # type: ignore[arg-type]


@pytest.mark.parametrize("repetitions", [1, 3])
def test_theil_sen_covers(repetitions: int) -> None:
    """The slope over six lengths, repeated or not, is covered in at least 95 % of the cases."""
    x = np.tile([250, 500, 1000, 2000, 4000, 8000], repetitions)
    slopes = coverage(lambda g: theil_sen(x, 5 * x + 1e4 + 3000 * g.standard_t(3, x.size))[0], 5, 600)
    assert slopes > 0.95 - SLACK


def test_theil_sen_agrees_with_scipy_and_ignores_an_outlier() -> None:
    """Slope and intercept are SciPy's, and one wild point does not move a perfect line."""
    x = np.array([250, 500, 1000, 2000, 4000, 8000.0])
    y = 12 * x + 30_000
    y[2] += 1e9
    slope, intercept = theil_sen(x, y)
    reference = stats.theilslopes(y, x)
    assert slope.value == pytest.approx(reference.slope) == pytest.approx(12)
    assert intercept == pytest.approx(30_000)


def test_theil_sen_refuses_few_points() -> None:
    """Three points have no interval, and neither have none."""
    assert theil_sen([1, 2, 3], [1, 2, 3])[0].value is None
    assert theil_sen([], [])[0].note == "n/a (0 points are too few for a slope)"


def test_clustered_quantile_covers_where_pooling_would_not() -> None:
    """The median gap of trials that differ is covered; treating their gaps as independent would cover far less."""

    def draw(g: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        return (g.normal(size=(36, 1)) + g.normal(size=(36, 40))).ravel(), np.repeat(np.arange(36), 40)

    clustered = coverage(lambda g: clustered_quantile(*draw(g), 0.5), 0, 500)
    pooled = coverage(lambda g: quantile_ci(draw(g)[0], 0.5), 0, 500)
    assert clustered > 0.91
    assert pooled < 0.5


def test_clustered_quantile_counts_clusters() -> None:
    """A thousand gaps of ten trials are ten samples."""
    assert clustered_quantile(np.arange(1000), np.arange(1000) % 10, 0.5).note == "n/a (n=10 < 20)"
