"""Verdicts on what is no stream, and how many bad answers of several it takes to say so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from bench.doctor.diagnosis import Mode, Verdict
from bench.doctor.requests import Question, make_questions
from bench.doctor.verdict.judge import judge
from bench.doctor.verdict.reading import Reading
from tests.support.delivered import direct, endpoint, even, seeded

QUIET = 6.0
REFUSED: dict[str, Any] = {"kind": "refused", "wrong": "HTTP 400: no"}
LIMITED: dict[str, Any] = {"kind": "limited", "wrong": ""}
LATE: dict[str, Any] = {"kind": "late", "wrong": "no end within 120 s"}
JSON: dict[str, Any] = {"kind": "json"}
BROKEN: dict[str, Any] = {"wrong": "it ends without a terminal event"}
FAILED: dict[str, Any] = {"kind": "failed", "wrong": "HTTP 502"}


def spoiled(count: int, by: dict[str, Any]) -> list[Reading]:
    """Six answers that stream, but for so many of them."""
    answers = endpoint(seeded(1), even(seeded(1), 20), direct)
    return [replace(one, **by) if place < count else one for place, one in enumerate(answers)]


def bare(kind: Any, mode: Mode = "text", **more: Any) -> list[Reading]:
    """Answers that brought nothing."""
    return [Reading(hop=0, question=request, kind=kind, **more) for request in make_questions(["chat"], [mode])]


@pytest.mark.parametrize(
    ("by", "count", "verdict", "because"),
    [
        (REFUSED, 6, "not offered", "the server refuses it (HTTP 400: no)"),
        (REFUSED, 3, "broken", "HTTP 400: no, in 3 of 6 answers"),
        (LIMITED, 3, "inconclusive", "the server answers 429, too many requests, in 3 of 6 answers"),
        (LIMITED, 2, "streaming", ""),
        (LATE, 3, "inconclusive", "no end within the deadline (no end within 120 s), in 3 of 6 answers"),
        (LATE, 2, "streaming", ""),
        (JSON, 3, "not streaming", "in 3 of 6 answers"),
        (JSON, 2, "streaming", ""),
        (BROKEN, 3, "broken", "it ends without a terminal event, in 3 of 6 answers"),
        (BROKEN, 2, "streaming", ""),
        (FAILED, 3, "broken", "HTTP 502, in 3 of 6 answers"),
    ],
)
def test_by_half_of_the_answers(by: dict[str, Any], count: int, verdict: Verdict, because: str) -> None:
    """From half of them on it is the verdict, with the number; fewer leave the verdict to the others."""
    found = judge(spoiled(count, by), None, QUIET)
    assert (found.verdict, found.because, found.answers) == (verdict, because, 6)
    if verdict in {"broken", "not streaming"}:
        assert (found.agree, found.telling) == (count, 6)


def test_the_time_of_a_whole_body() -> None:
    """Of JSON the longest answer's time is kept, which is what the user waits."""
    answers = [replace(one, end_ms=100.0 * place) for place, one in enumerate(bare("json"))]
    assert judge(answers, None, QUIET).whole_ms == 500


def test_no_answer_at_all() -> None:
    """Each kind alone has its verdict: nothing is said of streaming where nothing came."""
    kinds: dict[Any, Verdict] = {
        "refused": "not offered",
        "limited": "inconclusive",
        "late": "inconclusive",
        "json": "not streaming",
        "stream": "inconclusive",
    }
    assert {kind: judge(bare(kind), None, QUIET).verdict for kind in kinds} == kinds
    assert judge(bare("failed", wrong="no route"), None, QUIET).verdict == "broken"


def test_streams_without_a_piece() -> None:
    """It is said that nothing could be timed."""
    assert "no piece of text that could be timed" in judge(bare("stream"), None, QUIET).because


@pytest.mark.parametrize(("count", "verdict"), [(2, "not offered"), (1, "inconclusive")])
def test_a_model_that_calls_nothing(count: int, verdict: Verdict) -> None:
    """A text instead of a call in most answers says nothing of streaming; in half of them, nothing is said at all."""
    answers = [replace(one, elsewhere=place < count) for place, one in enumerate(bare("stream", "tools"))]
    assert judge(answers, None, QUIET).verdict == verdict


def test_refusals_do_not_hide_what_streams() -> None:
    """One mode's refused answers are not another's: a single refusal leaves five that stream."""
    found = judge(spoiled(1, REFUSED), None, QUIET)
    assert (found.verdict, found.agree, found.telling) == ("streaming", 5, 5)


def one(round_: int, reads: Sequence[Any], tokens: int = 256) -> Reading:
    """An answer made by hand."""
    request = Question("chat", "text", tokens, round_)
    made = endpoint(seeded(round_), even(seeded(round_), 20), direct)[2]
    return replace(made, question=request, reads=reads or made.reads)


def test_two_thirds_decide() -> None:
    """Two of three answers that stream are enough; one of two is not."""
    streams, lumpy = one(0, ()), one(1, ())
    lump = [read._replace(ms=400.0 * (place // 20)) for place, read in enumerate(lumpy.reads)]
    lumpy = replace(lumpy, reads=lump, first_ms=lump[0].ms, last_ms=lump[-1].ms)
    assert judge([streams, streams, lumpy], None, QUIET).verdict == "streaming"
    assert judge([streams, lumpy, lumpy], None, QUIET).verdict == "bursty"
    assert judge([streams, lumpy], None, QUIET).verdict == "inconclusive"
