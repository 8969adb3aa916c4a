"""Limits as a user types them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.core.slo import SLO_METRICS, Slo, parse_slo, parse_slos
from bench.records.schema import TABLES

UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@given(st.sampled_from(sorted(SLO_METRICS)), st.integers(1, 10**5), st.sampled_from(sorted(UNITS)))
def test_a_limit_is_in_milliseconds(metric: str, number: int, unit: str) -> None:
    """Every metric takes a limit in every unit, and the text of a limit reads as the same limit."""
    slo = parse_slo(f" {metric} = {number} {unit.upper()} ")
    assert slo.metric == metric
    assert slo.limit_ms == pytest.approx(number * UNITS[unit])
    assert parse_slo(slo.text).metric == metric
    assert parse_slo(slo.text).limit_ms == pytest.approx(slo.limit_ms, rel=1e-5)


def test_text() -> None:
    """A limit is shown without spaces, and a metric may be written with a dash."""
    assert parse_slo("TTFT-visible = 1.5 s") == Slo("ttft_visible", 1500, "ttft_visible=1.5s")


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "no METRIC=LIMIT; write for instance ttft=500ms"),
        ("ttft<500ms", 1, "no METRIC=LIMIT"),
        ("ttft=1ms=2ms", 1, "no METRIC=LIMIT"),
        ("tttft=500ms", 1, "unknown metric 'tttft': did you mean 'ttft'?"),
        ("  =500ms", 1, "unknown metric ''"),
        ("ttft=", 6, "'' is no length of time"),
        ("ttft=-5ms", 6, "'-5ms' is no length of time"),
        ("ttft=nan", 6, "'nan' is no length of time"),
        ("ttft=1,5s", 6, "'1,5s' is no length of time"),
        ("ttft=500", 9, "the unit is missing; write ms, s or us"),
        ("ttft= 5 min", 9, "unit 'min' is unknown"),
        ("itl=0ms", 5, "'0ms' is no limit"),
        ("itl=1e999s", 5, "'1e999s' is no limit"),
        ("itl=٣ms", 5, "'٣ms' is no length of time"),
    ],
)
def test_what_is_no_limit(text: str, column: int, what: str) -> None:
    """A text that is no limit is one line: the text, the column, what is wrong, what to write."""
    with pytest.raises(BenchError) as caught:
        parse_slo(text)
    assert str(caught.value).startswith(f"{text!r}, column {column}: {what}")


@given(st.text(st.characters(codec="utf-8"), max_size=20))
def test_any_text_is_a_limit_or_one_line(text: str) -> None:
    """No text fails in any other way than with a column."""
    try:
        said = f", column 1: {parse_slo(text)}"
    except BenchError as error:
        said = str(error)
    assert re.search(r", column \d+: ", said)


def test_two_limits_of_one_metric() -> None:
    """Limits of several metrics keep their order; two of one metric are an error that shows both."""
    assert [slo.metric for slo in parse_slos(["itl=50ms", "ttft=1s"])] == ["itl", "ttft"]
    with pytest.raises(BenchError, match=r"--slo ttft=1s and ttft=500ms: two limits of ttft"):
        parse_slos(["ttft=1s", "itl=1s", "ttft=500ms"])


def test_the_records_have_what_limits_need() -> None:
    """Every trial's row has the columns that the formulas are made of."""
    columns = {column.name for column in TABLES["trials"]}
    needed = {"t_origin", "t_first_token", "t_first_visible", "t_first_useful", "t_first_event", "t_end"}
    assert needed | {"t_last_token", "deltas", "output_tokens"} <= columns
