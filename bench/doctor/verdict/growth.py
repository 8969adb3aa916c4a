"""Tell a fake stream: its first piece comes later the longer the answer is, that of a real stream does not.

Chance must not look like that: a queue that is now and then long makes first pieces late too, but not by the length of
the answer, round after round.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.doctor.diagnosis import group_by
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.reading import Reading
from bench.doctor.verdict.votes import OFTEN, ONE_LUMP, Vote

GROWTH = 0.3
"""Share of the time that a longer answer takes more, by which its first piece comes later, from which on it is fake."""
LATE_SHARE = 0.4
"""The least share of the whole time after which the first piece of a fake stream comes."""
STRAIGHT = 0.15
"""How close the middle of three first pieces lies to the straight line, as a share of the growth."""
STRAIGHT_GROWTH = 0.1
"""The share that is enough where all rounds are straight: a replay may be much slower than what it replays."""
AGREE = 0.3
"""The first pieces of one length differ from round to round by no more than this share of the growth."""
SCATTERS = 2
"""A call's first piece is late if it comes later than a text's by more than this many times their scatter."""
MAYBE = "the first piece comes later the longer the answer is, but not by the same in every round: that may be chance"
Rounds = Sequence[Sequence[Reading]]
"""The answers of each round, from short to long."""


def judge_growth(
    sound: Sequence[Reading], votes: Sequence[Vote], text: Judgement | None, resolution_ms: float
) -> Judgement | None:
    """Judge answers fake or blocked if their first piece waits for the whole answer, inconclusive if it may.

    Returns None where it does not, or where nothing shows that. An answer that comes at a pace is fake only by several
    lengths, or where the text of the same endpoint is; an answer in lumps is bursty.
    """
    longest = max(one.question.tokens for one in sound)
    both = zip(sound, votes, strict=True)
    said, long = zip(*[(vote, one) for one, vote in both if one.question.tokens == longest], strict=True)
    at_once = set(said) == {"lump"}
    if "bursty" in said:
        return None
    rounds = _rounds(sound)
    if rounds:
        late = _follows_length(rounds, at_once, resolution_ms)
    else:
        replays = text is not None and text.verdict == "fake" and not text.one_piece
        late = (at_once or replays) and _later_than_text(long, text, resolution_ms)
    if not late:
        unsure = len(rounds) > 1 and all(_grows(each, resolution_ms) for each in rounds)
        return Judgement(verdict="inconclusive", because=MAYBE, answers=len(sound)) if unsure else None
    headers = at_once and all((one.headers_ms or 0.0) >= ONE_LUMP * (one.first_ms or 0.0) for one in long)
    return Judgement(
        verdict="blocked" if headers else "fake",
        answers=len(sound),
        agree=len(sound),
        telling=len(sound),
        one_piece=at_once,
        headers_late=headers or all((one.headers_ms or 0.0) >= 0.5 * (one.first_ms or 0.0) for one in long),
        could_be_ms=_without_length(sound),
    )


def _rounds(sound: Sequence[Reading]) -> Rounds:
    """Split answers into rounds, each sorted by length; without rounds of one length."""
    ordered = sorted(sound, key=lambda one: (one.question.round, one.question.tokens))
    rounds = group_by(ordered, lambda one: one.question.round).values()
    return [each for each in rounds if each[0].question.tokens < each[-1].question.tokens]


def _follows_length(rounds: Rounds, at_once: bool, resolution_ms: float) -> bool:
    """Return True if the first piece comes later the longer the answer is, by the same in two rounds or more.

    What comes at a pace after all has to follow the lengths closely, so that chance does not do.
    """
    growth = median(first_ms(each[-1]) - first_ms(each[0]) for each in rounds)
    if len(rounds) < 2 or scatter([one for each in rounds for one in each]) > AGREE * growth:
        return False
    if at_once:
        return all(_grows(each, resolution_ms) and sorted(each, key=first_ms) == [*each] for each in rounds)
    return all(_is_straight(each, resolution_ms) for each in rounds)


def scatter(readings: Sequence[Reading]) -> float:
    """Return the most ms by which the first pieces of one length differ."""
    by_length = group_by(readings, lambda one: one.question.tokens).values()
    return max(max(map(first_ms, some)) - min(map(first_ms, some)) for some in by_length)


def _grows(ordered: Sequence[Reading], resolution_ms: float) -> bool:
    """Return True if the longest answer's first piece is late by a good part of what the whole takes longer."""
    shortest, longest = ordered[0], ordered[-1]
    longer, later = last_ms(longest) - last_ms(shortest), first_ms(longest) - first_ms(shortest)
    late = first_ms(longest) >= LATE_SHARE * last_ms(longest)
    return late and longer > resolution_ms and later >= GROWTH * longer


def _is_straight(ordered: Sequence[Reading], resolution_ms: float) -> bool:
    """Return True if the first piece comes later by the same for each character, over three lengths."""
    firsts, chars = [first_ms(one) for one in ordered], [one.chars for one in ordered]
    longer, later = last_ms(ordered[-1]) - last_ms(ordered[0]), firsts[-1] - firsts[0]
    if len(ordered) < 3 or later <= resolution_ms or later < STRAIGHT_GROWTH * longer:
        return False
    due = [(count - chars[0]) / max(1, chars[-1] - chars[0]) for count in chars]
    return all(abs((ms - firsts[0]) / later - share) <= STRAIGHT for ms, share in zip(firsts, due, strict=True))


def _later_than_text(long: Sequence[Reading], text: Judgement | None, resolution_ms: float) -> bool:
    """Return True if the first piece comes much later than a text's, when the answer is nearly whole."""
    if text is None or text.first_ms is None:
        return False
    usual = text.first_ms if text.could_be_ms is None else text.could_be_ms
    least = max(resolution_ms, SCATTERS * text.scatter_ms)
    return all(
        first_ms(one) - usual > least and first_ms(one) - usual >= OFTEN * (last_ms(one) - usual) for one in long
    )


def first_ms(reading: Reading) -> float:
    return reading.first_ms or 0.0


def last_ms(reading: Reading) -> float:
    return reading.last_ms or 0.0


def _without_length(sound: Sequence[Reading]) -> float | None:
    """Return the first piece's time at length 0, by the median line through pairs of answers; None with one length."""
    pairs = [(a, b) for a in sound for b in sound if b.chars > a.chars]
    if not pairs or len({one.question.tokens for one in sound}) < 2:
        return None
    slope = median((first_ms(b) - first_ms(a)) / (b.chars - a.chars) for a, b in pairs)
    return max(0.0, median(first_ms(one) - slope * one.chars for one in sound))
