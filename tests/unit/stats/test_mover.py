"""The interval of a difference and of a ratio, from the two single intervals."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stats.mover import Bounds, difference, ratio

NUMBERS = st.floats(1e-3, 1e6)


def test_difference_by_hand() -> None:
    """The distances that lead to an end are added as independent errors are: 3 and 4 make 5."""
    assert difference(Bounds(110, 107, 112), Bounds(100, 95, 104)) == pytest.approx((10, 5, 10 + math.hypot(2, 5)))


def test_ratio_by_hand() -> None:
    """It is the difference of the logarithms: equal factors to both sides make √2 times the exponent."""
    found = ratio(Bounds(110, 110 / 1.05, 110 * 1.05), Bounds(100, 100 / 1.05, 105))
    reach = math.sqrt(2) * math.log(1.05)
    assert found == pytest.approx((0.1, 1.1 * math.exp(-reach) - 1, 1.1 * math.exp(reach) - 1))


def test_open_ends_stay_open() -> None:
    """A quantile without an upper end, or an interval down to 0, gives an interval that is open there."""
    assert difference(Bounds(3, 2, math.inf), Bounds(1, 1, 1)).high == math.inf
    assert ratio(Bounds(3, 2, math.inf), Bounds(1, 1, 1)).high == math.inf
    assert ratio(Bounds(3, 0, 4), Bounds(1, 1, 1)).low == -1
    assert ratio(Bounds(3, 2, 4), Bounds(1, -1, 2)).high == math.inf


@given(NUMBERS, NUMBERS, NUMBERS, st.floats(0, 2), st.floats(0, 2))
def test_properties_of_the_ratio(a: float, b: float, unit: float, up: float, down: float) -> None:
    """It holds its estimate, does not depend on the unit, and turned round it is the reciprocal."""
    one, other = Bounds(a, a / (1 + down), a * (1 + up)), Bounds(b, b / (1 + up), b * (1 + down))
    found, back = ratio(one, other), ratio(other, one)
    assert found.low - 1e-9 <= found.value <= found.high + 1e-9
    scaled = ratio(Bounds(*(unit * x for x in one)), Bounds(*(unit * x for x in other)))
    assert [1 + x for x in scaled] == pytest.approx([1 + x for x in found], rel=1e-6)
    assert 1 / (1 + back.value) == pytest.approx(1 + found.value)
    assert 1 / (1 + back.low) == pytest.approx(1 + found.high)
