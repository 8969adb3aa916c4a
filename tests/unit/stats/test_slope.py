"""A slope of a sweep: its interval, and the p of each side."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from bench.stats.intervals import theil_sen
from bench.stats.slope import slope_beyond, slope_p


def test_slope_p_counts_the_orders() -> None:
    """Without ties it is the share of all orders of y that grow at least as clearly."""
    x = np.arange(5.0)
    for y in ([1.0, 2, 3, 4, 5], [2.0, 1, 3, 5, 4], [5.0, 4, 3, 2, 1]):
        rising = [sum(b > a for i, a in enumerate(order) for b in order[i + 1 :]) for order in permutations(y)]
        own = sum(b > a for i, a in enumerate(y) for b in y[i + 1 :])
        assert slope_p(x, y, 0, "greater") == pytest.approx(np.mean(np.array(rising) >= own))
    assert slope_p(x, 3 * x, 3, "greater") == pytest.approx(1)


def test_slope_p_keeps_its_level_with_ties_in_x() -> None:
    """Of a thousand trends that are just at the bound, at most 2.5 % (and three errors) are called above it."""
    rng, x = np.random.default_rng(1), np.repeat([0.0, 2, 3.58], [12, 6, 6])
    false = [slope_p(x, 2 * x + rng.normal(size=x.size), 2, "greater") <= 0.025 for _ in range(1000)]
    assert np.mean(false) <= 0.025 + 3 * np.sqrt(0.025 * 0.975 / 1000)


def test_where_a_slope_lies() -> None:
    """Above, within and below the bound are told apart, and what reaches over an end is left open."""
    x, rng = np.arange(20.0), np.random.default_rng(2)
    for slope, expected in ((3.0, "above"), (0.0, "within"), (-3.0, "below"), (1.0, "")):
        y = slope * x + rng.normal(0, 0.5, x.size)
        where, p = slope_beyond(x, y, theil_sen(x, y)[0], 1)
        assert where == expected
        assert (p < 0.05) == bool(expected)
