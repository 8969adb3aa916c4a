"""What an option accepts, and what it says of the rest."""

from __future__ import annotations

import pytest

from bench.core.errors import BenchError
from bench.plan.options.kinds import LEVELS, SECONDS, Kind, fraction, one_of, whole_number, words_of


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (whole_number(1), "7", 7),
        (SECONDS, "2m", 120),
        (fraction("share"), "5%", 0.05),
        (fraction("share", one=True), "100%", 1),
        (fraction("share", zero=True), "0", 0),
        (one_of("a", "b"), "b", "b"),
        (words_of("a", "b"), " b,a,b", ("b", "a")),
        (LEVELS, "1, 8", (1, 8)),
    ],
)
def test_kinds(kind: Kind, text: str, value: object) -> None:
    """Each makes a value of the text, and takes the value itself once more."""
    assert kind.convert(text) == value
    assert kind.convert(kind.convert(text)) == value


@pytest.mark.parametrize(
    ("kind", "text", "error"),
    [
        (whole_number(1), "0", "0 is not in the range x>=1."),
        (whole_number(1), "1.5", "'1.5' is not a valid integer."),
        (fraction("precision"), "1", "'1' is no precision; write for instance 5% or 0.05"),
        (one_of("abc", "xyz"), "xyy", "unknown value 'xyy': did you mean 'xyz'?"),
        (words_of("abc", "xyz"), "abc,q", "unknown value 'q': known: abc, xyz"),
    ],
)
def test_what_a_kind_refuses(kind: Kind, text: str, error: str) -> None:
    """One line with what is wrong."""
    with pytest.raises(BenchError) as caught:
        kind.convert(text)
    assert str(caught.value) == error
