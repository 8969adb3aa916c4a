"""Conditions as a user types them."""

from __future__ import annotations

from typing import Literal

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.gate.condition import DELIVERIES, RELATIVE, STATISTICS, Condition, Limit, parse_condition, readings
from bench.gate.units import fits, in_unit

WORDS = st.from_regex(r"[a-z][a-z0-9_]{0,8}", fullmatch=True)
TARGETS = st.from_regex(r"[a-z][a-z0-9_.:-]{0,8}[a-z0-9]", fullmatch=True)
UNITS = st.sampled_from(["", "us", "ms", "s", "%", "B", "kB", "MB", "tok/s", "/s", "B/tok"])
NUMBERS = st.floats(0, 1e9).map(lambda number: float(f"{number:.6f}"))


@st.composite
def conditions(draw: st.DrawFn) -> Condition:
    """Any condition that can be typed."""
    operator: Literal[":", "<", ">"] = draw(st.sampled_from([":", "<", ">"]))
    number, unit = draw(NUMBERS), draw(st.sampled_from(RELATIVE) if operator == ":" else UNITS)
    return Condition(
        text="",
        name=tuple(draw(st.lists(WORDS, min_size=1, max_size=4))),
        target=draw(st.none() | TARGETS),
        delivery=draw(st.none() | st.sampled_from(DELIVERIES)),
        operator=operator,
        limit=Limit(number if draw(st.booleans()) else -number, unit),
    )


@given(conditions())
@example(Condition("", ("ttft",), "a:-0", None, ">", Limit(1, "s")))
def test_a_condition_reads_as_it_is_written(condition: Condition) -> None:
    """Whatever a condition is made of comes back from its text, the direction of a zero too."""
    again = parse_condition(str(condition))
    assert again == condition
    assert again.upwards == condition.upwards
    assert str(again) == str(condition)


@given(conditions(), st.integers(0, 3))
def test_spaces_say_nothing(condition: Condition, count: int) -> None:
    """Spaces around the operator and the whole change nothing."""
    text, spaces = str(condition), " " * count
    split = text.rindex(":") if condition.operator == ":" else text.index(condition.operator)
    spaced = f"{spaces}{text[:split]}{spaces}{text[split]}{spaces}{text[split + 1 :]}{spaces}"
    assert parse_condition(spaced) == condition


def test_all_parts() -> None:
    """Scenario, metric, statistic, target and delivery stand in this order, and the target may have a port."""
    condition = parse_condition("text.ttft.p90@127.0.0.1:8000/streamed:+10%")
    assert condition.name == ("text", "ttft", "p90")
    assert (condition.target, condition.delivery, condition.operator) == ("127.0.0.1:8000", "streamed", ":")
    assert condition.limit == Limit(10, "%")


def test_readings() -> None:
    """A scenario's name in front and a statistic's behind count as such; else they belong to the metric."""
    assert next(readings(["text", "memory_slope", "rss"], {"text"})) == ("text", "memory_slope.rss", None)
    assert next(readings(["mark", "searched", "p90"], {"text"})) == (None, "mark.searched", "p90")
    assert list(readings(["rag", "docs"], {"rag"})) == [("rag", "docs", None), (None, "rag.docs", None)]
    assert next(readings(["share"], {"text"})) == (None, "share", None)


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "expected :, < or > and a limit"),
        ("text.ttft", 10, "expected :, < or > and a limit"),
        ("ttft:10%", 6, "a sign is missing"),
        ("ttft:", 6, "a sign is missing"),
        ("> 1s", 1, "expected the name of a metric"),
        ("text..p90 > 1s", 6, "expected the name of a metric"),
        ("ttft@ > 1s", 6, "expected the name of a target"),
        ("ttft/stremed > 1s", 6, "unknown delivery 'stremed': did you mean 'streamed'?"),
        ("ttft > ", 7, "expected a limit; write a number with its unit"),
        ("ttft > fast", 8, "expected a limit instead of 'fast'"),
        ("ttft > 1e3s", 8, "expected a limit instead of '1e3s'"),
        ("ttft > 1 > 2", 8, "expected a limit instead of '1 > 2'"),
        ("ttft:+10ms", 9, "expected % or pp behind a limit against the baseline, not 'ms'"),
        ("failures > 1pp", 13, "pp is for limits against the baseline"),
    ],
)
def test_what_is_no_condition(text: str, column: int, what: str) -> None:
    """A text that is no condition is one line: the text, the column, what was expected there."""
    with pytest.raises(BenchError) as caught:
        parse_condition(text)
    assert str(caught.value).startswith(f"{text.strip()!r}, column {column}: {what}")


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_a_condition_or_one_line(text: str) -> None:
    """No text gives a traceback, and no error has a second line."""
    try:
        parse_condition(text)
    except BenchError as error:
        said = str(error)
    else:
        said = ""
    assert "\n" not in said


@pytest.mark.parametrize(
    ("limit", "unit", "value"),
    [
        ("500ms", "ms", 500),
        ("2s", "ms", 2000),
        ("1%", "share", 0.01),
        ("0.05", "share", 0.05),
        ("-2%", "ratio", -0.02),
        ("50tok/s", "tokens/s", 50),
        ("10MB", "bytes", 10_000_000),
        ("40B", "bytes/token", 40),
        ("800us", "ms/event", 0.8),
        ("3", "", 3),
        ("3", "documents", 3),
        ("3documents", "documents", 3),
    ],
)
def test_units(limit: str, unit: str, value: float) -> None:
    """A limit is brought to the unit of the metric's rows."""
    condition = parse_condition(f"metric > {limit}")
    assert fits(condition, unit)
    assert in_unit(condition, unit) == pytest.approx(value)


@pytest.mark.parametrize(
    ("limit", "unit"), [("500", "ms"), ("1%", "ms"), ("5ms", "share"), ("3s", ""), ("10MB", "ms"), ("3ms", "documents")]
)
def test_units_that_do_not_fit(limit: str, unit: str) -> None:
    """A limit without the unit that a time needs, or with another one, is no limit of it."""
    assert not fits(parse_condition(f"metric > {limit}"), unit)


def test_no_statistic_is_missing() -> None:
    """Every statistic that a row may have can be named."""
    from bench.core.results.metrics.metric import QUANTILES

    assert set(QUANTILES) < set(STATISTICS)
