"""Intervals: minimum sizes, and agreement with independent references (their coverage: test_coverage.py)."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.intervals import (
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


def coverage(draw: Callable[[np.random.Generator], Estimate], truth: float, tries: int) -> float:
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


def test_failures_push_the_quantile_to_infinity() -> None:
    """With 30 of 100 failed the p90 is infinite, while the median and its interval stay finite."""
    x = np.concatenate([np.arange(70.0), np.full(30, np.inf)])
    assert quantile_ci(x, 0.9).value == math.inf
    assert quantile_ci(x, 0.5) == Estimate(49.0, 39.0, 60.0)


@given(st.lists(st.floats(-1e6, 1e6), min_size=6, max_size=80), st.sampled_from([0.5, 0.9]))
def test_quantile_is_ordered_and_a_sample(x: list[float], q: float) -> None:
    """It holds that low ≤ estimate ≤ high, all three taken from the samples, whatever their order."""
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


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=6, max_size=60), st.integers(-99, 99), st.integers(1, 9))
def test_quantiles_move_and_scale_with_the_data(x: list[float], shift: int, factor: int) -> None:
    """A factor and a constant go through to the estimate and both ends."""
    a, b = quantile_ci(x, 0.5), quantile_ci(np.array(x) * factor + shift, 0.5)
    assert None not in (a.value, a.low, a.high)
    assert [b.value, b.low, b.high] == [v * factor + shift for v in (a.value, a.low, a.high)]  # type: ignore[operator]


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=6, max_size=40), st.randoms())
def test_pairs_may_come_in_any_order(d: list[float], random: Random) -> None:
    """The Hodges-Lehmann estimate lies within its interval, turns its sign with the data, and knows no order."""
    e, negated = hodges_lehmann(d), hodges_lehmann([-v for v in d])
    assert e.low <= e.value <= e.high  # type: ignore[operator]
    assert [negated.low, negated.high] == [-e.high, -e.low]  # type: ignore[operator]
    random.shuffle(d)
    assert hodges_lehmann(d) == e


@given(st.integers(0, 400), st.integers(1, 400))
def test_shares_mirror(k: int, n: int) -> None:
    """The interval of k of n holds k/n, lies within 0 and 1, and is the mirror image of that of n - k."""
    k = min(k, n)
    e, other = share_ci(k, n), share_ci(n - k, n)
    assert 0 <= e.low <= e.value <= e.high <= 1  # type: ignore[operator]
    assert [other.low, other.high] == pytest.approx([1 - e.high, 1 - e.low])  # type: ignore[operator]


@given(st.lists(st.integers(-1000, 1000).map(float), min_size=8, max_size=30), st.integers(-9, 9), st.integers(-99, 99))
def test_slopes_turn_with_the_data(y: list[float], tilt: int, shift: int) -> None:
    """A line added to the points adds its slope to the estimate and both ends, its height to neither."""
    x = np.arange(len(y), dtype=float)
    a, b = theil_sen(x, y)[0], theil_sen(x, np.array(y) + tilt * x + shift)[0]
    assert a.low <= a.value <= a.high  # type: ignore[operator]
    moved = [v + tilt for v in (a.value, a.low, a.high)]  # type: ignore[operator]
    assert [b.value, b.low, b.high] == pytest.approx(moved, abs=1e-9)


@given(st.lists(st.integers(0, 200).map(float), min_size=30, max_size=120), st.integers(-99, 99), st.integers(1, 9))
def test_clustered_quantiles_move_and_scale(x: list[float], shift: int, factor: int) -> None:
    """A factor and a constant go through to the estimate and both ends, whatever the clusters are called."""
    owner = np.arange(len(x)) % 25
    a, b = clustered_quantile(x, owner, 0.5), clustered_quantile(np.array(x) * factor + shift, 1000 - owner, 0.5)
    assert a.low <= a.value <= a.high  # type: ignore[operator]
    assert [b.value, b.low, b.high] == [v * factor + shift for v in (a.value, a.low, a.high)]  # type: ignore[operator]
