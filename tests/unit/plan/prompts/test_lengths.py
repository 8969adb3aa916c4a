"""Distributions of prompt lengths."""

from __future__ import annotations

import math
import re
from random import Random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.plan.prompts.lengths import Lengths, parse_lengths


def draws(lengths: Lengths, seed: int, number: int) -> list[int]:
    rng = Random(seed)  # noqa: S311  (no secret)
    return [lengths.draw(rng) for _ in range(number)]


def test_forms() -> None:
    """A number, `uniform` and `normal`, with spaces and capitals as they come."""
    assert parse_lengths(" 512 ") == Lengths("constant", 512)
    assert parse_lengths("uniform:100-1000") == Lengths("uniform", 100, 1000)
    assert parse_lengths("Normal: 512, 12.5") == Lengths("normal", 512, 12.5)


@settings(max_examples=50)
@given(
    st.sampled_from(["7", "1", "uniform:3-9", "uniform:5-5", "normal:500,100", "normal:5,20", "normal:4,0"]),
    st.sampled_from(range(30)),
)
def test_draws_have_the_mean(text: str, seed: int) -> None:
    """Draws are whole numbers from 1 on, repeat with the seed, and their mean is the one that is said."""
    lengths = parse_lengths(text)
    drawn = draws(lengths, seed, 4000)
    assert drawn == draws(lengths, seed, 4000)
    assert min(drawn) >= 1
    assert mean(drawn) == pytest.approx(expected(lengths), rel=0.06)


def expected(lengths: Lengths) -> float:
    """The mean of the distribution; of `normal` that of one which is cut off at 0.5."""
    if lengths.kind == "uniform":
        return (lengths.a + lengths.b) / 2
    if lengths.kind == "constant" or not lengths.b:
        return lengths.a
    cut = (0.5 - lengths.a) / lengths.b
    density = math.exp(-cut * cut / 2) / math.sqrt(2 * math.pi)
    return lengths.a + lengths.b * density / (math.erfc(cut / math.sqrt(2)) / 2)


def test_uniform_reaches_its_ends() -> None:
    """Both ends of `uniform` are drawn."""
    assert set(draws(parse_lengths("uniform:3-5"), 1, 100)) == {3, 4, 5}


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "'' is no number of tokens from 1 to 10000000; write 512,"),
        ("0", 1, "'0' is no number of tokens"),
        ("5.5", 1, "'5.5' is no number of tokens"),
        ("10000001", 1, "'10000001' is no number of tokens"),
        ("unifrom:1-2", 1, "unknown distribution 'unifrom': did you mean 'uniform'?"),
        ("uniform:100-x", 13, "'x' is no number of tokens"),
        ("uniform:100", 9, "'100' is not two numbers with '-' between them"),
        ("uniform: 9-3", 12, "3 is below 9"),
        ("uniform:1:2", 11, "a second ':'"),
        ("normal:512", 8, "'512' is not two numbers with ',' between them"),
        ("normal:512,-3", 12, "'-3' is no standard deviation"),
        ("normal:0,3", 8, "'0' is no number of tokens"),
        ("normal:5,inf", 10, "'inf' is no standard deviation"),
    ],
)
def test_what_is_no_distribution(text: str, column: int, what: str) -> None:
    """A text that is none is one line with the column of the wrong part and the forms there are."""
    with pytest.raises(BenchError) as caught:
        parse_lengths(text)
    assert str(caught.value).startswith(f"{text!r}, column {column}: {what}")


@given(st.text(st.characters(codec="utf-8"), max_size=20) | st.from_regex(r"(uniform|normal):[0-9,.-]{0,9}"))
def test_any_text_is_a_distribution_or_one_line(text: str) -> None:
    """No text fails in any other way than with a column."""
    try:
        said = f", column 1: {parse_lengths(text)}"
    except BenchError as error:
        said = str(error)
    assert re.search(r", column \d+: ", said)
