"""Two independent samples: agreement with an independent reference, and how the estimate moves with the data."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.intervals import Estimate
from bench.stats.two_sample_shift import rank_sum_critical, two_sample_shift

SAMPLES = st.lists(st.integers(-1000, 1000).map(float), min_size=5, max_size=30)


def ends(e: Estimate) -> list[float]:
    """The three numbers of an estimate that must be there."""
    assert e.value is not None
    assert e.low is not None
    assert e.high is not None
    return [e.value, e.low, e.high]


@pytest.mark.parametrize(("n", "m"), [(4, 4), (3, 8), (10, 10), (7, 40), (30, 30)])
def test_critical_value_is_exact(n: int, m: int) -> None:
    """The counted-out distribution agrees with SciPy's exact Mann-Whitney test at the critical value."""
    c = rank_sum_critical(n, m)
    assert exact_p(n, m, c - 1) <= 0.025
    assert exact_p(n, m, c) > 0.025


def exact_p(n: int, m: int, u: int) -> float:
    """P(U ≤ u) from SciPy: m values at even places, of which n odd ones exceed u in all."""
    each = [min(m, max(0, u - k * m)) for k in range(n)]
    x, y = np.array([2 * above + 1 + k * 1e-3 for k, above in enumerate(each)]), np.arange(1, m + 1) * 2.0
    result = stats.mannwhitneyu(x, y, alternative="less", method="exact")
    assert result.statistic == u
    return float(result.pvalue)


def test_the_approximation_joins_the_exact_count() -> None:
    """Where the exact count stops, the normal approximation goes on without a jump."""
    exact, approximate = rank_sum_critical(100, 100), rank_sum_critical(100, 101)
    assert 0 < approximate - exact < 100


def test_a_known_shift_of_separate_samples() -> None:
    """Of 4 and 4 the interval is that of the extreme differences; the estimate is their median."""
    assert two_sample_shift([10, 11, 12, 13], [0, 1, 2, 3]) == Estimate(10, 7, 13)


@pytest.mark.parametrize(("x", "y"), [([], [1, 2, 3]), ([1], [2]), ([1, 2, 3], [1, 2, 3, 4])])
def test_too_few_have_no_number(x: list[float], y: list[float]) -> None:
    """Samples so small that nothing could be shown give the reason."""
    assert two_sample_shift(x, y).note == f"n/a (n={len(x)} and {len(y)} are too few)"
    assert two_sample_shift(x, y).value is None


@given(SAMPLES, SAMPLES, st.integers(-1000, 1000))
def test_moves_and_scales_with_the_data(x: list[float], y: list[float], shift: int) -> None:
    """Ordered; a constant added to x is added, a factor multiplies, order does not matter, and swapping negates."""
    value, low, high = ends(two_sample_shift(x, y))
    assert low <= value <= high
    assert ends(two_sample_shift(np.array(x) + shift, y)) == [value + shift, low + shift, high + shift]
    assert ends(two_sample_shift(np.array(x) * 2, np.array(y) * 2)) == [2 * value, 2 * low, 2 * high]
    assert ends(two_sample_shift(y, x)) == [-value, -high, -low]
    assert ends(two_sample_shift(x[::-1], sorted(y))) == [value, low, high]


def test_agrees_with_the_test_it_inverts() -> None:
    """The interval leaves zero out exactly where SciPy's exact test of the same samples says p ≤ 5 %."""
    rng = np.random.default_rng(5)
    for _ in range(200):
        x, y = rng.normal(0.8, 1, 12), rng.normal(0, 1, 9)
        _, low, high = ends(two_sample_shift(x, y))
        p = stats.mannwhitneyu(x, y, method="exact").pvalue
        assert (low > 0 or high < 0) == (p <= 0.05)


def test_large_samples_are_subsampled_by_the_seed() -> None:
    """Above 2,000 values the same seed gives the same estimate, and it still finds the shift."""
    rng = np.random.default_rng(1)
    x, y = rng.normal(3, 1, 5000), rng.normal(0, 1, 2500)
    assert two_sample_shift(x, y, seed=1) == two_sample_shift(x, y, seed=1)
    assert two_sample_shift(x, y, seed=1) != two_sample_shift(x, y, seed=2)
    assert ends(two_sample_shift(x, y))[1:] == pytest.approx([3, 3], abs=0.15)
