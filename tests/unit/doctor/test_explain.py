"""Every verdict in words: whole sentences with sane numbers, whatever the evidence."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.doctor.diagnosis import MEANS, Floor, Mode, Verdict
from bench.doctor.explain import confidence, costs, happens, instrument
from bench.doctor.verdict.judge import judge
from bench.doctor.verdict.judgement import Judgement
from tests.support.delivered import at_once, direct, endpoint, even, replayed, seeded, size_buffer, timer

MODES: list[Mode] = ["text", "tools", "structured"]
QUIET = Floor(n=900, p50_ms=0.2, p90_ms=0.9, most_ms=1.4)
UNKNOWN = Floor(n=0, p50_ms=None, p90_ms=None, most_ms=None)
SENTENCES = re.compile(r"(?:[A-Z0-9][^\n]*[.])?")
NONSENSE = re.compile(r"\bNone\b|\bnan\b|\binf\b|\d{5,}|-\d|\be[+-]\d| {2}|\.\.|\( *\)")


def judged(deliver: object, mode: Mode = "text", gap: float = 20.0, **changes: object) -> Judgement:
    """The verdict on an endpoint that delivers so."""
    rng = seeded(1)
    answers = endpoint(rng, even(rng, gap, 0.2), deliver)  # type: ignore[arg-type]
    return replace(judge(answers, None, 6.0), **changes)  # type: ignore[arg-type]


KINDS = {
    "streaming": judged(direct),
    "size": judged(size_buffer(4096)),
    "time": judged(timer(200)),
    "fake at once": judged(at_once),
    "fake replayed": judged(replayed(5)),
    "blocked": judged(at_once, verdict="blocked"),
    "not streaming": Judgement(
        verdict="not streaming", answers=6, agree=6, telling=6, because="in 6 of 6 answers", whole_ms=1234.5
    ),
    "broken": Judgement(verdict="broken", answers=6, agree=5, telling=6, because="it ends early, in 5 of 6 answers"),
    "inconclusive": Judgement(verdict="inconclusive", answers=6, because="the answers do not agree"),
    "not offered": Judgement(verdict="not offered", answers=2, because="the server refuses it (HTTP 400)"),
}


def said(one: Judgement, mode: Mode, lateness: Floor) -> Iterator[str]:
    """All three texts."""
    return iter((happens(one, mode), confidence(one, lateness), costs(one)))


def test_every_verdict_is_among_them() -> None:
    """A verdict that is added has to be added here."""
    assert {one.verdict for one in KINDS.values()} == MEANS.keys()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize("lateness", [QUIET, UNKNOWN])
def test_whole_sentences(name: str, lateness: Floor) -> None:
    """They begin with a capital and end with a full stop, in every mode, and no missing value shows."""
    for mode in MODES:
        for text in said(KINDS[name], mode, lateness):
            assert SENTENCES.fullmatch(text), text
            assert not NONSENSE.search(text), text
        assert happens(KINDS[name], mode)


NUMBERS = st.floats(0, 90_000)


@given(st.sampled_from(sorted(MEANS)), st.sampled_from(MODES), st.lists(st.none() | NUMBERS, min_size=6, max_size=6))
def test_whatever_is_missing(verdict: Verdict, mode: Mode, values: list[float | None]) -> None:
    """Any number, also one that is not known, gives whole sentences without `None`, in seconds from 1,000 ms on."""
    first, whole, gap, between, could_be, limit = values
    one = Judgement(
        verdict=verdict,
        because="something is",
        answers=6,
        agree=2,
        telling=3,
        first_ms=first,
        whole_ms=whole,
        gap_ms=gap,
        gaps_ms=[] if between is None else [between],
        could_be_ms=min(could_be, first or 0.0) if could_be is not None else None,
        resolution_ms=min(limit or 0.0, 900.0),
        deltas=3,
        first_burst=3,
        firsts=[(16, first or 0.0), (64, whole or 0.0)],
    )
    for text in [*said(one, mode, QUIET), *said(one, mode, UNKNOWN)]:
        assert SENTENCES.fullmatch(text), text
        assert not NONSENSE.search(text), text
        assert not re.search(r"\d{4,}(?:\.\d+)? ms", text), text


def test_the_numbers_are_those_of_the_evidence() -> None:
    """What happens is told with the gap, period, sizes and times that were found."""
    rng = seeded(1)
    plain = judge(endpoint(rng, even(rng, 20), direct), None, 6.0)
    assert happens(plain, "text") == (
        "A piece each 20.0 ms, as it is made; the first after 80.0 ms, the last after 5.18 s."
    )
    size = happens(KINDS["size"], "text")
    assert "4 KiB" in size
    assert re.search(r"20 to 21 pieces every 4\d\d ms", size)
    assert "The longer the answer, the later its first piece:" in happens(KINDS["fake at once"], "text")
    assert "at up to 16 tokens" in happens(KINDS["fake at once"], "text")
    assert "in one piece" in happens(replace(KINDS["fake at once"], deltas=1), "tools")


def test_the_piece_is_named_by_mode() -> None:
    """Of a call it is a piece of the arguments, of structured output one of the JSON."""
    begins = [happens(KINDS["streaming"], mode).partition(" each ")[0] for mode in MODES]
    assert begins == ["A piece", "A piece of the arguments", "A piece of the JSON"]


def test_how_sure() -> None:
    """Sure only where more than one answer can tell and all agree, and for lumps well above the resolution."""
    lumpy = KINDS["size"]
    assert confidence(lumpy, QUIET).startswith(f"Sure: {lumpy.telling} of {lumpy.telling} answers that can tell, ")
    assert "This machine itself was 0.90 ms late meanwhile (p90); a pause counts from 6.0 ms on." in confidence(
        lumpy, QUIET
    )
    assert "This machine" not in confidence(lumpy, UNKNOWN)
    assert confidence(replace(lumpy, agree=lumpy.telling - 1), QUIET).startswith("Likely: ")
    assert confidence(replace(lumpy, agree=1, telling=1), QUIET).startswith("Likely: ")
    assert confidence(replace(lumpy, resolution_ms=300.0), QUIET).startswith("Likely: ")
    assert confidence(KINDS["broken"], QUIET) == "Likely: 5 of 6 answers."
    assert confidence(KINDS["not streaming"], QUIET) == "Sure: 6 of 6 answers."
    assert confidence(KINDS["inconclusive"], QUIET) == confidence(KINDS["not offered"], QUIET) == ""


def test_costs_of_lumps() -> None:
    """The first piece waits for its lump, each for the next one, and a load tool's median sees none of it."""
    text = costs(KINDS["size"])
    found = re.search(r"about (\d+) ms later than it need \((\d+) % of its (\d+) ms\)", text)
    assert found
    later, share, first = map(int, found.groups())
    assert share == pytest.approx(100 * later / first, abs=1)
    assert later == pytest.approx((KINDS["size"].first_burst - 1) * (KINDS["size"].gap_ms or 0), abs=1)
    assert "median inter-token latency of under 0.01 ms and be pleased." in text
    assert "load tool" not in costs(replace(KINDS["size"], gaps_ms=[20.0]))
    assert "later than it need" not in costs(replace(KINDS["size"], first_burst=1))


def test_costs_of_the_others() -> None:
    """What is fake says how much sooner it could begin, by its own line; what streams costs nothing."""
    assert re.search(
        r"could come after about \d+\.?\d* ms; an answer of this length shows it 5\.\d+ s later",
        costs(KINDS["fake replayed"]),
    )
    assert costs(replace(KINDS["fake at once"], could_be_ms=None)).startswith("Streaming buys nothing here: a blocking")
    assert costs(KINDS["not streaming"]) == "The user sees nothing before the whole answer."
    assert costs(KINDS["streaming"]) == costs(KINDS["broken"]) == ""


def test_the_instrument() -> None:
    """Its p90 and its worst, with the number of beats; that it is not known is said."""
    assert "came 0.90 ms late at p90 and 1.4 ms at most (900 beats)" in instrument(QUIET)
    assert instrument(UNKNOWN).startswith("What this machine itself adds is not known")
