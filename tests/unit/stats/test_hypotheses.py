"""One-sided signed-rank tests, and Holm's correction."""

from __future__ import annotations

from typing import Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from bench.stats.hypotheses import holm, holm_adjusted, signed_rank_p
from bench.stats.intervals import hodges_lehmann

PS = st.lists(st.floats(0, 1), max_size=12)


@pytest.mark.parametrize(("n", "method"), [(6, "exact"), (20, "exact"), (50, "exact"), (200, "approx")])
def test_agrees_with_scipy(n: int, method: Literal["exact", "approx"]) -> None:
    """Both one-sided p values are SciPy's: exact up to n=50, above with the continuity correction."""
    d = np.random.default_rng(n).normal(0.3, 1, n)
    sides: tuple[Literal["greater", "less"], ...] = ("greater", "less")
    for side in sides:
        expected = stats.wilcoxon(d - 0.1, alternative=side, method=method, correction=True).pvalue
        assert signed_rank_p(d, 0.1, side) == pytest.approx(expected)


@given(st.lists(st.integers(-20, 20).map(float), min_size=6, max_size=60), st.integers(-10, 10))
def test_is_the_counterpart_of_the_interval(d: list[float], bound: int) -> None:
    """A side has p ≤ 2.5 % exactly where the 95 % interval lies beyond the bound on that side, ties included."""
    e = hodges_lehmann(d)
    assert e.low is not None
    assert e.high is not None
    assert (signed_rank_p(d, bound, "greater") <= 0.025) == (e.low > bound)
    assert (signed_rank_p(d, bound, "less") <= 0.025) == (e.high < bound)


def test_few_or_equal_differences_show_nothing() -> None:
    """No data gives 1, three pairs 1/8 at best, and differences that equal the bound speak against."""
    assert signed_rank_p([], 0, "greater") == 1
    assert signed_rank_p([1, 2, 3], 0, "greater") == 1 / 8
    assert signed_rank_p([0.0] * 30, 0, "greater") == 1


def test_false_alarms_are_as_rare_as_promised() -> None:
    """Of 2,000 samples without a shift, a one-sided test at 5 % rejects about 5 % and not more."""
    rng = np.random.default_rng(2)
    rejected = np.mean([signed_rank_p(rng.standard_t(2, 20), 0, "greater") <= 0.05 for _ in range(2000)])
    assert 0.03 < rejected < 0.05 + 3 * 0.005


def test_holm_by_hand() -> None:
    """Holm's own steps: the smallest p times 3, the next times 2, never less than the one before."""
    assert holm_adjusted([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, 0.04, 0.03]) == [True, False, False]
    assert holm([]) == []


@given(PS, st.floats(0.001, 0.2))
def test_holm_lies_between_bonferroni_and_none(ps: list[float], alpha: float) -> None:
    """It rejects all that Bonferroni rejects and nothing above alpha; adjusted p values keep the order."""
    adjusted, rejected = holm_adjusted(ps), holm(ps, alpha)
    for p, q, no in zip(ps, adjusted, rejected, strict=True):
        assert p <= q <= min(1, len(ps) * p) + 1e-12
        assert no == (q <= alpha)
    assert np.all(np.diff(np.array(adjusted)[np.argsort(ps, kind="stable")]) >= 0)


def test_holm_holds_the_rate_of_any_false_alarm() -> None:
    """With ten true hypotheses, at least one is rejected in about 5 % of the families; without it in 40 %."""
    families = np.random.default_rng(3).random((4000, 10))
    any_rejected = np.mean([any(holm(list(ps))) for ps in families])
    assert 0.035 < any_rejected < 0.065
    assert np.mean((families <= 0.05).any(axis=1)) > 0.3
