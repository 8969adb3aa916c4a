"""Budgets as they are typed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.plan.cost.budget import Budget, parse_budget


@pytest.mark.parametrize(
    ("text", "budget"),
    [
        ("10m", Budget("time", 600, "10m")),
        ("90s", Budget("time", 90, "90s")),
        ("1.5H", Budget("time", 5400, "1.5h")),
        ("200k-tokens", Budget("tokens", 200_000, "200k tokens")),
        ("1.5m-tokens", Budget("tokens", 1_500_000, "1.5m tokens")),
        ("700tokens", Budget("tokens", 700, "700 tokens")),
        ("2usd", Budget("money", 2, "2 USD")),
        (".5usd", Budget("money", 0.5, ".5 USD")),
    ],
)
def test_budgets_that_mean_something(text: str, budget: Budget) -> None:
    """Time, tokens and money, in the ways that people write them."""
    assert parse_budget(text) == budget


@given(st.one_of(st.text(), st.from_regex(r"[0-9.]{1,20}[smhk]?-?(tokens|usd)?", fullmatch=True)))
def test_any_other_text_is_one_line_with_examples(text: str) -> None:
    """Whatever is typed is either a positive, finite limit or an error of one line."""
    said, amount = "", 1.0
    try:
        amount = parse_budget(text).amount
    except BenchError as error:
        said = str(error)
    assert 0 < amount < math.inf
    assert not said or said.endswith("write 10m, 90s or 1h; 200k-tokens or 1.5m-tokens; 2usd")
    assert len(said.splitlines()) <= 1


@given(st.integers(1, 10**6), st.sampled_from(["s", "m", "h", "-tokens", "k-tokens", "m-tokens", "usd"]))
def test_numbers_are_read_as_they_stand(number: int, unit: str) -> None:
    """The amount is the number times its unit."""
    times = {"s": 1, "m": 60, "h": 3600, "-tokens": 1, "k-tokens": 1e3, "m-tokens": 1e6, "usd": 1}
    assert parse_budget(f"{number}{unit}").amount == number * times[unit]


@pytest.mark.parametrize("text", ["0m", "0usd", "-1s", "10", "m", "1e3s", "inf", "1 0s", "10min", "5%"])
def test_what_is_no_budget(text: str) -> None:
    """Nothing, less than nothing and unknown units are refused."""
    with pytest.raises(BenchError, match="is no budget"):
        parse_budget(text)
