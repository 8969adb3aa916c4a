"""Lengths of time, as every option, file and condition takes them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.text.duration import MS, parse_seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("800us", 0.0008),
        ("500ms", 0.5),
        ("30s", 30),
        ("2m", 120),
        ("1.5 H", 5400),
        (" 90 ", 90),
        ("1e3", 1000),
        (".5", 0.5),
    ],
)
def test_lengths_of_time(text: str, seconds: float) -> None:
    """With a unit, and without one in seconds."""
    assert parse_seconds(text) == pytest.approx(seconds)


@pytest.mark.parametrize("text", ["", "m", "2min", "soon", "1,5s", "1 2s"])
def test_what_is_no_length_of_time(text: str) -> None:
    """The error shows the text and examples, and says what a plain number means."""
    with pytest.raises(BenchError, match=r"no length of time; write for instance .* \(without a unit: seconds\)$"):
        parse_seconds(text)


@pytest.mark.parametrize("text", ["0", "-1s", "0ms", "nan", "inf", "1e400", "1e308h"])
def test_what_nobody_can_wait_for(text: str) -> None:
    """Nothing, less than nothing, and what never ends."""
    with pytest.raises(BenchError, match=r"not in the range x>0|is not a length of time"):
        parse_seconds(text)


@given(st.integers(1, 10**6), st.sampled_from(sorted(MS)))
def test_a_number_is_read_as_it_stands(number: int, unit: str) -> None:
    """The seconds are the number times its unit."""
    assert parse_seconds(f"{number}{unit}") == pytest.approx(number * MS[unit] / 1e3)
