"""Does the first piece wait for the last? A fake stream's comes later the longer the answer is, a real one's does not.

Chance must not look like it: a queue that is now and then long makes first pieces late too, but not by the length of
the answer, round after round. Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median

from bench.doctor.judged import Judged
from bench.doctor.reading import Reading
from bench.doctor.votes import OFTEN, ONE_LUMP, Vote

GROWTH = 0.3
"""Share of the time that a longer answer takes more, by which its first piece comes later, from which on it is fake."""
LATE_SHARE = 0.4
"""... and its first piece comes after such a share of the whole time at least."""
STRAIGHT = 0.15
"""... and that of the middle length lies so close to the straight line, as a share of the whole growth."""
AGREE = 0.3
"""... and the first pieces of one length differ from round to round by no more than this share of the growth."""
SCATTERS = 2
"""A call's first piece is late if it comes later than a text's by more than so many times what those scatter."""


def held_up(
    sound: Sequence[Reading], votes: Sequence[Vote], text: Judged | None, resolution_ms: float
) -> Judged | None:
    """Fake or blocked: the first piece waits for the whole answer. None: it does not, or nothing shows it.

    What comes at a pace after all is fake only by several lengths, or where the text of the same endpoint is.
    """
    longest = max(one.asked.tokens for one in sound)
    both = zip(sound, votes, strict=True)
    said, long = zip(*[(vote, one) for one, vote in both if one.asked.tokens == longest], strict=True)
    at_once = set(said) == {"lump"}
    if _lengths(sound) > 1:
        late = _of_lengths(sound, at_once, resolution_ms)
    else:
        late = (at_once or _replays(text)) and _of_text(long, text, resolution_ms)
    if not late:
        return None
    headers = at_once and all((one.headers_ms or 0.0) >= ONE_LUMP * (one.first_ms or 0.0) for one in long)
    return Judged(
        verdict="blocked" if headers else "fake",
        answers=len(sound),
        agree=len(sound),
        telling=len(sound),
        one_piece=at_once,
        headers_late=headers or all((one.headers_ms or 0.0) >= 0.5 * (one.first_ms or 0.0) for one in long),
        could_be_ms=_without_length(sound),
    )


def _lengths(readings: Sequence[Reading]) -> int:
    return len({one.asked.tokens for one in readings})


def _of_lengths(sound: Sequence[Reading], at_once: bool, resolution_ms: float) -> bool:
    """Does the first piece come later the longer the answer is, by the same in every round? One round is not enough."""
    rounds = [
        sorted((one for one in sound if one.asked.round == number), key=lambda one: one.asked.tokens)
        for number in sorted({one.asked.round for one in sound})
    ]
    several = [each for each in rounds if _lengths(each) > 1]
    growth = median(first_ms(each[-1]) - first_ms(each[0]) for each in several) if several else 0.0
    if len(several) < 2 or scatter(sound) > AGREE * growth:
        return False
    return all(_grows(each, at_once, resolution_ms) for each in several)


def scatter(readings: Sequence[Reading]) -> float:
    """The most by which the first pieces of one length differ."""
    by_length: dict[int, list[float]] = {}
    for one in readings:
        by_length.setdefault(one.asked.tokens, []).append(first_ms(one))
    return max(max(firsts) - min(firsts) for firsts in by_length.values())


def _grows(ordered: Sequence[Reading], at_once: bool, resolution_ms: float) -> bool:
    """One round, from short to long. Chance must not do: what comes at a pace has to follow the lengths closely."""
    first, last = [first_ms(one) for one in ordered], [last_ms(one) for one in ordered]
    longer, later = last[-1] - last[0], first[-1] - first[0]
    if longer <= resolution_ms or later < GROWTH * longer or first[-1] < LATE_SHARE * last[-1]:
        return False
    if sorted(first) != first:
        return False
    return at_once or (len(ordered) > 2 and _straight(ordered, first, later))


def _straight(ordered: Sequence[Reading], first: Sequence[float], later: float) -> bool:
    chars = [one.chars for one in ordered]
    due = [(count - chars[0]) / max(1, chars[-1] - chars[0]) for count in chars]
    return all(abs((ms - first[0]) / later - share) <= STRAIGHT for ms, share in zip(first, due, strict=True))


def _replays(text: Judged | None) -> bool:
    return text is not None and text.verdict == "fake" and not text.one_piece


def _of_text(long: Sequence[Reading], text: Judged | None, resolution_ms: float) -> bool:
    """Does the first piece come much later than a text's, when the answer is nearly whole?"""
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
    """The first piece's time at length 0, by the median line through pairs of answers; None with one length."""
    pairs = [(a, b) for a in sound for b in sound if b.chars > a.chars]
    if not pairs or _lengths(sound) < 2:
        return None
    slope = median((first_ms(b) - first_ms(a)) / (b.chars - a.chars) for a, b in pairs)
    return max(0.0, median(first_ms(one) - slope * one.chars for one in sound))
