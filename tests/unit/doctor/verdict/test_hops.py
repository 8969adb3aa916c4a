"""Whose doing it is: every pair of verdicts, and how much later the first piece comes."""

from __future__ import annotations

from itertools import product

import pytest

from bench.doctor.diagnosis import MEANS, Finding, Shift, Verdict
from bench.doctor.requests import Question
from bench.doctor.verdict.hops import difference, sentence
from bench.doctor.verdict.reading import Reading

UNTOLD: set[Verdict] = {"not offered", "inconclusive"}
LATER = Shift(value=30.0, low=20.0, high=40.0, n=6)


def finding(hop: str, verdict: Verdict) -> Finding:
    """With that verdict on Chat's text."""
    return Finding(hop=hop, api="chat", mode="text", verdict=verdict, happens="", sure="")


@pytest.mark.parametrize(("base", "other"), list(product(MEANS, MEANS)))
def test_whose_doing(base: Verdict, other: Verdict) -> None:
    """The second one is blamed only where the first one streams; the first one, where it does not."""
    said = sentence(finding("app", base), finding("gateway", other), LATER)
    assert said.endswith(".")
    begins = "It is not gateway's doing, or not its alone: app is not streaming "
    if {base, other} & UNTOLD:
        assert said == f"Nothing can be said: app is {base}, gateway is {other}."
    elif base == other == "streaming":
        assert said.startswith("Both stream; the first piece comes 30.0 ms later through gateway")
    elif base == "streaming":
        assert said.startswith("gateway does it: app streams, and the same answers are " + other)
    elif other == "streaming":
        assert said == f"app is {base}, and gateway is not: it does not get its streams from there."
    else:
        assert said == begins + ("as well." if base == other else f"({base}) already.")


@pytest.mark.parametrize(
    ("shift", "says"),
    [
        (LATER, "comes 30.0 ms later through b (20.0 ms to 40.0 ms, 95 %)"),
        (Shift(value=-30.0, low=-40.0, high=-20.0, n=6), "comes 30.0 ms sooner through b"),
        (Shift(value=5.0, low=-3.0, high=9.0, n=6), "b delays the first piece by nothing that could be seen"),
        (Shift(value=5.0, low=0.0, high=9.0, n=6), "nothing that could be seen"),
        (Shift(value=None, low=None, high=None, n=4, note="n/a (n=4 < 6)"), "cannot be told (n=4 < 6)."),
    ],
)
def test_how_much_later(shift: Shift, says: str) -> None:
    """With its interval; an interval around 0 is no delay, and too few pairs say so."""
    assert says in sentence(finding("a", "streaming"), finding("b", "streaming"), shift)


def readings(hop: int, first: float, count: int = 3, **changes: object) -> list[Reading]:
    """Answers of two rounds whose first piece comes then, a bit later each time."""
    return [
        Reading(
            hop=hop,
            question=Question("chat", "text", tokens, number),
            kind="stream",
            first_ms=first + 10 * place,
            end_ms=2 * first + 10 * place,
            **changes,  # type: ignore[arg-type]
        )
        for number in range(2)
        for place, tokens in enumerate((16, 64, 256)[:count])
    ]


def compare(mine: list[Reading], hop: int = 1) -> tuple[Shift, Shift]:
    """The shifts of the first piece and of the whole."""
    found = difference(finding("a", "streaming"), finding("b", "streaming"), mine, (0, hop))
    assert (found.baseline, found.hop, found.api, found.mode) == ("a", "b", "chat", "text")
    return found.first, found.whole


def test_pairs_are_of_the_same_request() -> None:
    """The shift is that of each request to itself, however much requests differ, with an interval around it."""
    first, whole = compare([*readings(0, 100), *reversed(readings(1, 125))])
    assert (first.value, first.low, first.high, first.n) == (25, 25, 25, 6)
    assert (whole.value, whole.n) == (50, 6)


def test_only_whole_answers_of_this_kind_count() -> None:
    """Broken ones, other modes and other hops are left out; of too few pairs there is no shift, but a reason."""
    other = [Reading(hop=1, question=Question("chat", "tools", 64, 0), kind="stream", first_ms=9e9)]
    first, _ = compare([*readings(0, 100), *readings(1, 125), *other, *readings(2, 900)])
    assert (first.value, first.n) == (25, 6)
    broken, _ = compare([*readings(0, 100), *readings(1, 125, wrong="cut")])
    assert (broken.value, broken.n) == (None, 0)
    few, _ = compare([*readings(0, 100, 2), *readings(1, 125, 2)])
    assert (few.value, few.low, few.high, few.n) == (None, None, None, 4)
    assert few.note
    third, _ = compare([*readings(0, 100), *readings(1, 125), *readings(2, 900)], hop=2)
    assert third.value == 800


def test_the_interval_holds_what_varies() -> None:
    """Differences of 10 to 60 ms have a middle between them and an interval that reaches both ends."""
    mine = readings(0, 100)
    theirs = [
        Reading(
            hop=1, question=one.question, kind="stream", first_ms=(one.first_ms or 0) + 10 * place, end_ms=one.end_ms
        )
        for place, one in enumerate(mine, 1)
    ]
    first, whole = compare([*mine, *theirs])
    assert (first.value, first.low, first.high) == (35, 10, 60)
    assert (whole.value, whole.low, whole.high) == (0, 0, 0)
