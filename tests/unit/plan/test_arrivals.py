"""When the requests of an open loop are intended."""

from __future__ import annotations

import math
from itertools import pairwise, takewhile
from statistics import mean, pstdev

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.plan.arrivals import Arrivals, offsets, parse_rates

KINDS: st.SearchStrategy[Arrivals] = st.sampled_from(["poisson", "constant"])
RATES = st.floats(0.1, 10_000)
RAMPS = st.floats(0, 20)


@given(RATES, KINDS, st.integers(), st.integers(0, 300), RAMPS)
def test_counted_arrivals(rate: float, kind: Arrivals, seed: int, count: int, ramp_s: float) -> None:
    """So many as asked for, from 0 on, never falling, and strictly the same for the same seed."""
    times = list(offsets(rate, kind, seed, count=count, ramp_s=ramp_s))
    assert len(times) == count
    assert all(0 <= a <= b for a, b in pairwise(times))
    assert all(isinstance(time, int) for time in times)
    assert times == list(offsets(rate, kind, seed, count=count, ramp_s=ramp_s))


@given(RATES)
def test_constant_arrivals_are_evenly_spaced(rate: float) -> None:
    """The first at the start, then one every 1/rate."""
    times = list(offsets(rate, "constant", 0, count=50))
    assert times == [round(number / rate * 1e9) for number in range(50)]


@settings(max_examples=20)
@given(RATES, st.sampled_from(range(30)))
def test_poisson_gaps_are_exponential(rate: float, seed: int) -> None:
    """Gaps have the mean 1/rate, as large a deviation, and no memory: neighbours do not correlate."""
    number = 5000
    times = list(offsets(rate, "poisson", seed, count=number))
    gaps = [(b - a) / 1e9 * rate for a, b in pairwise([0, *times])]
    bound = 4 / math.sqrt(number)  # four standard errors
    assert abs(mean(gaps) - 1) < bound
    assert abs(pstdev(gaps) - 1) < 2 * bound  # its standard error is √2 times as large
    assert abs(mean((a - 1) * (b - 1) for a, b in pairwise(gaps))) < bound
    assert abs(mean(gap < math.log(2) for gap in gaps) - 0.5) < bound


def test_seeds_differ() -> None:
    """Another seed gives other Poisson arrivals, and the same constant ones."""
    one, other = (list(offsets(5, "poisson", seed, count=20)) for seed in (1, 2))
    assert not set(one) & set(other)


@given(KINDS, st.sampled_from(range(30)), st.floats(1, 20))
def test_a_ramp_grows_linearly(kind: Arrivals, seed: int, ramp_s: float) -> None:
    """By t < ramp λt²/2R have come, and from the ramp's end on λ a second; within four standard errors."""
    rate = 2000 / ramp_s
    times = list(takewhile(lambda t: t < 2e9 * ramp_s, offsets(rate, kind, seed, count=None, ramp_s=ramp_s)))
    for share, expected in ((0.5, 250), (1.0, 1000), (1.5, 2000), (2.0, 3000)):
        come = sum(time < share * ramp_s * 1e9 for time in times)
        assert abs(come - expected) <= (4 * math.sqrt(expected) if kind == "poisson" else 1)


def test_rates() -> None:
    """Rates keep their order and may have spaces and decimals."""
    assert parse_rates("5,10,20") == (5, 10, 20)
    assert parse_rates(" 0.5 , 1e2,.25") == (0.5, 100, 0.25)


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "'' is no rate"),
        ("5,x,20", 3, "'x' is no rate; write requests per second from 0.001 to 1000000"),
        ("5, 10 , -2", 9, "'-2' is no rate"),
        ("5,,20", 3, "'' is no rate"),
        ("5,0", 3, "'0' is no rate"),
        ("nan", 1, "'nan' is no rate"),
        ("5,inf", 3, "'inf' is no rate"),
        ("1e999", 1, "'1e999' is no rate"),
        ("5;10", 1, "'5;10' is no rate"),
        ("5,10,5.0", 6, "the rate 5.0 is given twice"),
    ],
)
def test_what_is_no_rate(text: str, column: int, what: str) -> None:
    """A wrong rate is one line with its column and what to write instead."""
    with pytest.raises(BenchError) as caught:
        parse_rates(text)
    assert str(caught.value).startswith(f"{text!r}, column {column}: {what}")
