"""The verdict on an endpoint, from answers as they arrive through models of what may be on the way."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from random import Random
from typing import Any

import pytest

from bench.doctor.diagnosis import Verdict
from bench.doctor.verdict.bursts import Nature
from bench.doctor.verdict.judge import judge, share_nature
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.reading import Reading
from bench.doctor.verdict.votes import LATE_MS, resolution, vote
from tests.support.delivered import (
    at_once,
    direct,
    endpoint,
    even,
    exponential,
    in_steps,
    log_normal,
    paused,
    replayed,
    seeded,
    size_buffer,
    stalling,
    timer,
)

QUIET = 6.0
Made = Callable[[Random], list[Reading]]


def with_late_headers(answers: Sequence[Reading]) -> list[Reading]:
    """They come with the first piece."""
    return [replace(one, headers_ms=one.first_ms) for one in answers]


def in_one_piece(answers: Sequence[Reading]) -> list[Reading]:
    """All of the text in a single event."""
    return [replace(one, deltas=1, reads=[one.reads[-1]._replace(deltas=1)]) for one in answers]


def few(rng: Random) -> list[Reading]:
    """Answers of seven pieces, whatever was asked for."""
    return [
        replace(one, reads=one.reads[:7], deltas=7, chars=35, last_ms=one.reads[6].ms)
        for one in endpoint(rng, even(rng, 20), direct)
    ]


def half_bursty(rng: Random) -> list[Reading]:
    """Every other answer comes through a buffer."""
    straight, held = (endpoint(rng, even(rng, 20), way) for way in (direct, size_buffer(2048)))
    return [*straight[::2], *held[1::2]]


ENDPOINTS: dict[str, tuple[Verdict, Made]] = {
    "even": ("streaming", lambda rng: endpoint(rng, even(rng, 20), direct)),
    "jittered": ("streaming", lambda rng: endpoint(rng, log_normal(rng, 20, 1), direct)),
    "a Poisson stream": ("streaming", lambda rng: endpoint(rng, exponential(rng, 20), direct)),
    "stalls": ("streaming", lambda rng: endpoint(rng, stalling(rng, 20, 0.02, 10), direct)),
    "slow first piece": ("streaming", lambda rng: endpoint(rng, even(rng, 20), direct, first=lambda: 9000.0)),
    "noisy first piece": (
        "streaming",
        lambda rng: endpoint(rng, even(rng, 20), direct, first=lambda: rng.lognormvariate(6, 0.5)),
    ),
    "two tokens a step": ("streaming", lambda rng: endpoint(rng, in_steps(20, 2), direct)),
    "three tokens a step": ("streaming", lambda rng: endpoint(rng, in_steps(20, 3), direct)),
    "a quick model": ("streaming", lambda rng: endpoint(rng, even(rng, 0.5, 0.2), direct)),
    "buffer of 4 KiB": ("bursty", lambda rng: endpoint(rng, even(rng, 20, 0.2), size_buffer(4096))),
    "buffer of 16 KiB": ("bursty", lambda rng: endpoint(rng, even(rng, 20, 0.2), size_buffer(16384))),
    "timer": ("bursty", lambda rng: endpoint(rng, exponential(rng, 5), timer(100))),
    "at once": ("fake", lambda rng: endpoint(rng, even(rng, 20, 0.2), at_once)),
    "replayed": ("fake", lambda rng: endpoint(rng, even(rng, 20, 0.2), replayed(5))),
    "blocked": ("blocked", lambda rng: with_late_headers(endpoint(rng, even(rng, 20, 0.2), at_once))),
    "in one piece": ("fake", lambda rng: in_one_piece(endpoint(rng, even(rng, 20, 0.2), at_once))),
    "tiny answers": ("inconclusive", few),
    "too fast": ("inconclusive", lambda rng: endpoint(rng, even(rng, 0.01), at_once)),
    "half and half": ("inconclusive", half_bursty),
}


@pytest.mark.parametrize("name", ENDPOINTS)
@pytest.mark.parametrize("seed", range(3))
def test_verdicts(name: str, seed: int) -> None:
    """Each kind of endpoint is called what it is, by all of its answers, or the reason is said why not."""
    verdict, make = ENDPOINTS[name]
    found = judge(make(seeded(seed)), None, QUIET)
    assert found.verdict == verdict
    assert found.answers == 6
    assert (found.agree == found.telling > 0) is (verdict != "inconclusive")
    assert bool(found.because) is (verdict == "inconclusive")


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("tiny answers", "too short to tell: 7 pieces at most"),
        ("too fast", "too fast or too unevenly to say whether they were held back"),
        ("half and half", "the answers do not agree: 3 streamed, 3 came in lumps"),
    ],
)
def test_why_it_cannot_be_told(name: str, says: str) -> None:
    """The reason is that of the case."""
    found = judge(ENDPOINTS[name][1](seeded(0)), None, QUIET)
    assert says in found.because


@pytest.mark.parametrize("name", ["buffer of 4 KiB", "timer"])
def test_lumps_below_the_resolution(name: str) -> None:
    """On a machine that itself makes such pauses nothing is said of lumps, whichever way."""
    answers = ENDPOINTS[name][1](seeded(0))
    found = judge(answers, None, 900.0)
    assert found.verdict == "inconclusive"
    assert "no longer than the pauses that this machine itself made" in found.because
    assert judge(answers, None, math.inf).verdict == "inconclusive"
    assert judge(answers, None, QUIET).verdict == "bursty"


def test_numbers() -> None:
    """What a verdict rests on is that of the longest answers, by the model that made them."""
    found = judge(endpoint(seeded(0), even(seeded(0), 20), size_buffer(4096)), None, QUIET)
    assert found.pattern
    assert found.shape
    assert (found.nature, found.pattern.bytes, found.deltas) == ("size", 4096, 256)
    assert found.gap_ms == pytest.approx(20, rel=0.1)
    assert found.pattern.period_ms == pytest.approx(400, rel=0.1)
    assert 15 <= found.first_burst <= 21
    assert found.itl_ms == 0
    assert (found.whole_ms or 0) == pytest.approx(80 + 255 * 20, rel=0.01)
    assert [tokens for tokens, _ in found.firsts] == [16, 64, 256]


def test_a_fake_knows_when_its_first_piece_could_come() -> None:
    """By the line through the lengths: about when the server made the first one."""
    paced = judge(endpoint(seeded(1), even(seeded(1), 20), replayed(5), first=lambda: 300.0), None, QUIET)
    assert (paced.one_piece, paced.headers_late) == (False, False)
    assert paced.could_be_ms == pytest.approx(300, abs=25)
    assert judge(endpoint(seeded(1), even(seeded(1), 20), at_once), None, QUIET).one_piece


@pytest.mark.parametrize(
    ("part", "headers_late", "verdict"), [(0.01, False, "fake"), (0.6, True, "fake"), (0.95, True, "blocked")]
)
def test_late_headers(*, part: float, headers_late: bool, verdict: Verdict) -> None:
    """Headers that come with the first piece make it blocked; half-way there they are called late."""
    answers = endpoint(seeded(2), even(seeded(2), 20), at_once)
    found = judge([replace(one, headers_ms=part * (one.first_ms or 0)) for one in answers], None, QUIET)
    assert (found.verdict, found.headers_late) == (verdict, headers_late)


def test_one_round_that_streams_clears_it() -> None:
    """The first piece has to be late in every round: an answer that waited once is no proof."""
    rng = seeded(3)
    late = endpoint(rng, even(rng, 20), at_once)
    early = endpoint(rng, even(rng, 20), direct)
    assert judge([*late[:3], *early[3:]], None, QUIET).verdict not in {"fake", "blocked"}
    assert judge(late, None, QUIET).verdict == "fake"


def of(mode: Any, deliver: Any, gap: float = 20.0) -> list[Reading]:
    """Answers of that mode alone, which has one length."""
    rng = seeded(4)
    return endpoint(rng, even(rng, gap), deliver, mode=mode)


@pytest.mark.parametrize(
    ("text", "deliver", "verdict"),
    [
        (direct, direct, "streaming"),
        (direct, at_once, "fake"),
        (direct, size_buffer(4096), "bursty"),
        (at_once, at_once, "fake"),
        (replayed(5), replayed(5), "fake"),
        (direct, replayed(5), "streaming"),
        (None, at_once, "inconclusive"),
    ],
)
@pytest.mark.parametrize("mode", ["tools", "structured"])
def test_other_modes_are_held_against_the_text(mode: Any, text: Any, deliver: Any, verdict: Verdict) -> None:
    """With one length, a first piece is late by when a text's came; at a pace it is fake only where the text is so."""
    of_text = judge(of("text", text), None, QUIET) if text else None
    assert judge(of(mode, deliver), of_text, QUIET).verdict == verdict


def test_a_pause_of_this_machine_is_no_lump() -> None:
    """Reads that a paused process makes late do not make a streaming endpoint bursty."""
    rng = seeded(5)
    assert judge(endpoint(rng, even(rng, 20), paused(rng, 0.2, 60, direct)), None, 180.0).verdict == "streaming"


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(direct, "even"), (size_buffer(4096), "bursty"), (at_once, "lump"), (timer(12), "even"), (timer(55), "even")],
)
def test_votes(mode: Any, expected: str) -> None:
    """Of one long answer: lumps of fewer than four pieces are none."""
    assert vote(of("text", mode)[-1], QUIET) == expected


def test_resolution() -> None:
    """Three times this machine's lateness, but what nobody would call late counts as none; unknown, nothing counts."""
    assert resolution(10.0) == 30
    assert resolution(0.2) == resolution(0.0) == LATE_MS
    assert math.isinf(resolution(None))


@pytest.mark.parametrize(
    ("natures", "expected"),
    [
        (["size", "unknown", "size"], ["size", "size", "size"]),
        (["size", "unknown", "time"], ["size", "unknown", "time"]),
        (["unknown", "unknown"], ["unknown", "unknown"]),
    ],
)
def test_one_hop_has_one_nature(natures: list[Nature], expected: list[Nature]) -> None:
    """What its other modes agree on is taken over; where they do not agree, nothing is."""
    judged = [Judgement(verdict="bursty", answers=2, nature=nature) for nature in natures]
    assert [one.nature for one in share_nature(judged)] == expected
