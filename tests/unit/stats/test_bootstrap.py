"""The bootstrap over trials."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from bench.stats.bootstrap import RESAMPLES, cluster_bootstrap
from bench.stats.intervals import Estimate

VALUES = st.lists(st.integers(1, 1000).map(float), min_size=20, max_size=50)


def ends(e: Estimate) -> list[float]:
    """The three numbers of an estimate that must be there."""
    assert e.value is not None
    assert e.low is not None
    assert e.high is not None
    return [e.value, e.low, e.high]


def test_it_is_the_ratio_of_sums() -> None:
    """Σ above / Σ below, not the mean of the ratios: long trials count for more."""
    above, below = np.append(np.ones(19), 100), np.append(np.ones(19), 1000)
    assert cluster_bootstrap(above, below).value == pytest.approx(119 / 1019)


def test_fewer_than_20_trials_have_no_interval() -> None:
    """19 trials give the reason instead of a number, as does nothing to divide by."""
    assert cluster_bootstrap(np.arange(19)).note == "n/a (n=19 < 20)"
    assert cluster_bootstrap(np.ones(20), np.zeros(20)).note == "n/a (nothing to divide by)"


def test_agrees_with_scipy() -> None:
    """The ends are those of SciPy's percentile bootstrap at the same levels, up to the noise of resampling."""
    x = np.random.default_rng(4).lognormal(size=200)
    reference = stats.bootstrap((x,), np.mean, n_resamples=20_000, method="percentile", rng=1).confidence_interval
    _, low, high = ends(cluster_bootstrap(x))
    assert [low, high] == pytest.approx([reference.low, reference.high], rel=0.03)


@settings(max_examples=40, deadline=None)
@given(VALUES, st.integers(2, 9))
def test_scales_and_is_the_same_again(x: list[float], factor: int) -> None:
    """Ordered; a factor multiplies all three numbers; the same data gives the same interval; a constant ratio is it."""
    value, low, high = ends(cluster_bootstrap(x))
    assert low <= value <= high
    assert ends(cluster_bootstrap(np.array(x) * factor)) == pytest.approx([factor * v for v in (value, low, high)])
    assert ends(cluster_bootstrap(x)) == [value, low, high]
    assert ends(cluster_bootstrap(np.array(x) * factor, x)) == pytest.approx([factor] * 3)


def test_blocks_of_weights_change_nothing_but_the_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    """Drawn in small blocks or at once, there are as many resamples and the interval is alike."""
    x = np.random.default_rng(6).normal(10, 1, 50)
    whole = ends(cluster_bootstrap(x))
    monkeypatch.setattr("bench.stats.bootstrap.BLOCK", 50 * 300)
    assert RESAMPLES % 300
    assert ends(cluster_bootstrap(x)) == pytest.approx(whole, rel=0.01)
