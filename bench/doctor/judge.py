"""From the readings of one mode to its verdict, with the evidence for it. Pure.

Three questions in this order. Is it a sound event stream? Does the first piece wait for the last (a fake stream's first
byte comes later the longer the answer is, a real one's does not)? Do the pieces in between come as they are made, or in
lumps? A pause counts only if it is longer than what this machine itself was seen to add at the same time; what lies
below that, or what the answers disagree on, is inconclusive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from statistics import median
from typing import Literal

from bench.doctor.bursts import LUMP, Burst, Nature, Pattern, Shape, bursts, pattern, shape
from bench.doctor.diagnosis import Verdict
from bench.doctor.reading import Reading

Vote = Literal["bursty", "even", "partly", "unclear", "lump", "short"]
FLOORS = 3
"""A pause below so many times the p99 of this machine's own lateness is none: the project's rule for effects."""
LATE_MS = 5.0
"""Lumps with shorter pauses than this are no lumps to anybody; an idle event loop is up to 2-3 ms late."""
FEWEST_DELTAS = 8
"""With fewer nothing is seen of lumps."""
FEWEST_IN_A_LUMP = 24
"""With fewer, that all came together may be their number."""
ONE_PIECE = 100
"""Characters: so long an answer in so few deltas came in one piece."""
ONE_LUMP = 0.9
"""Share of the deltas in one burst with which there is nothing to be seen between."""
OFTEN, SELDOM = 0.5, 0.25
"""Shares of deltas held in lumps above which an answer is bursty, and below which it is even."""
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


@dataclass(frozen=True, kw_only=True)
class Judged:
    """A verdict and what it rests on."""

    verdict: Verdict
    because: str = ""
    """Of what is not streaming, bursty or fake by its times: why, as a clause."""
    answers: int
    """That were asked for."""
    agree: int = 0
    """Of those that could tell, how many say so."""
    telling: int = 0
    """Answers that could tell."""
    one_piece: bool = False
    """Fake: in a single event or lump; else replayed at a pace."""
    headers_late: bool = False
    first_ms: float | None = None
    """Medians over the longest answers."""
    whole_ms: float | None = None
    gap_ms: float | None = None
    """Mean time between deltas, median over answers."""
    deltas: int = 0
    shape: Shape | None = None
    """The longest answer's."""
    nature: Nature = "unknown"
    """What ends a lump, by the pattern; of a hop's answers taken together it may be known better."""
    pattern: Pattern | None = None
    first_burst: int = 0
    """Deltas that came with the first one, median."""
    gaps_ms: Sequence[float] = ()
    """Between the deltas of a longest answer, sorted; deltas of one read have none."""
    reads_per_delta: float | None = None
    headers_ms: float | None = None
    first_byte_ms: float | None = None
    firsts: Sequence[tuple[int, float]] = ()
    """(Cap on the length in tokens, median time of the first piece), by length."""
    scatter_ms: float = 0.0
    """The most by which the first pieces of one length differ from round to round."""
    window_ms: float = 0.0
    """From the first delta to the last, median over the longest answers."""
    could_be_ms: float | None = None
    """Fake: the first piece's time in an answer without length, by the line through all of them."""
    resolution_ms: float = 0.0

    @property
    def itl_ms(self) -> float | None:
        """The median gap, which a load tool would call the inter-token latency."""
        return median(self.gaps_ms) if self.gaps_ms else None


def resolution(p99_ms: float | None) -> float:
    """The shortest pause that counts, in ms; `p99_ms`: this machine's lateness, None where it is not known."""
    return FLOORS * max(p99_ms, LATE_MS / FLOORS) if p99_ms is not None else float("inf")


def judge(readings: Sequence[Reading], text: Judged | None, resolution_ms: float) -> Judged:
    """The readings of one hop, API and mode; `text`: the verdict on its text, which the first piece is held against.

    A text, in several lengths, is its own measure.
    """
    for rule in (_absent, _undecided, _unsound):
        if found := rule(readings):
            return found
    sound = [reading for reading in readings if reading.whole and reading.deltas]
    votes = [vote(reading, resolution_ms) for reading in sound]
    held_up = _held_up(sound, votes, text, resolution_ms)
    most = max(one.deltas for one in sound)
    return _with_numbers(held_up or _by_votes(_telling(sound, votes), len(readings), most), sound, resolution_ms)


def of_one_hop(judged: Sequence[Judged]) -> list[Judged]:
    """The same, each with the nature of the lumps that the others of its hop show, where they agree."""
    known = {one.nature for one in judged} - {"unknown"}
    nature: Nature = known.pop() if len(known) == 1 else "unknown"
    return [replace(one, nature=nature) if one.nature == "unknown" else one for one in judged]


def _absent(readings: Sequence[Reading]) -> Judged | None:
    """Refused as such, or answered with something else than was asked for."""
    refused = [one for one in readings if one.kind == "refused"]
    if len(refused) == len(readings):
        return Judged(
            verdict="not offered", because=f"the server refuses it ({refused[0].wrong})", answers=len(refused)
        )
    elsewhere = [one for one in readings if one.whole and one.elsewhere]
    if 2 * len(elsewhere) > len(readings):
        return Judged(verdict="not offered", because="the model answers with text instead", answers=len(readings))
    return None


def _undecided(readings: Sequence[Reading]) -> Judged | None:
    for kind, what in (
        ("limited", "the server answers 429, too many requests"),
        ("late", "no end within the deadline"),
    ):
        of_kind = [one for one in readings if one.kind == kind]
        if 2 * len(of_kind) >= len(readings):
            because = f"{what}{f' ({of_kind[0].wrong})' if of_kind[0].wrong else ''}, {_count(of_kind, readings)}"
            return Judged(verdict="inconclusive", because=because, answers=len(readings))
    return None


def _unsound(readings: Sequence[Reading]) -> Judged | None:
    whole = [one for one in readings if one.kind == "json"]
    if 2 * len(whole) >= len(readings):
        return Judged(
            verdict="not streaming",
            because=_count(whole, readings),
            answers=len(readings),
            agree=len(whole),
            telling=len(readings),
            whole_ms=max(one.end_ms for one in whole),
        )
    wrong = [one for one in readings if one.wrong]
    if 2 * len(wrong) >= len(readings):
        return Judged(
            verdict="broken",
            because=f"{wrong[0].wrong}, {_count(wrong, readings)}",
            answers=len(readings),
            agree=len(wrong),
            telling=len(readings),
        )
    if not any(one.whole and one.deltas for one in readings):
        because = "the answers bring no piece of text that could be timed (all reasoning that is not shown?)"
        return Judged(verdict="inconclusive", because=because, answers=len(readings))
    return None


def _count(some: Sequence[Reading], readings: Sequence[Reading]) -> str:
    return f"in {len(some)} of {len(readings)} answers"


def vote(reading: Reading, resolution_ms: float) -> Vote:
    """What one answer says of lumps.

    `partly`: some of it came in lumps. `unclear`: in lumps that this machine may have made. `lump`: all came at once,
    so that nothing can be said of what is between. `short`: too little came for anything to be said.
    """
    if reading.deltas < FEWEST_DELTAS:
        return "lump" if reading.chars >= ONE_PIECE and reading.deltas < LUMP else "short"
    seen = shape(bursts(reading))
    if reading.window_ms <= resolution_ms or (seen.largest >= ONE_LUMP and seen.pause_ms <= resolution_ms):
        return "lump" if reading.deltas >= FEWEST_IN_A_LUMP else "short"
    if seen.held <= SELDOM or seen.pause_ms <= LATE_MS:
        return "even"
    if seen.pause_ms <= resolution_ms:
        return "unclear"
    return "bursty" if seen.held >= OFTEN and seen.paused >= OFTEN else "partly"


def _held_up(
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
    growth = median(_first(each[-1]) - _first(each[0]) for each in several) if several else 0.0
    if len(several) < 2 or _scatter(sound) > AGREE * growth:
        return False
    return all(_grows(each, at_once, resolution_ms) for each in several)


def _scatter(readings: Sequence[Reading]) -> float:
    """The most by which the first pieces of one length differ."""
    by_length: dict[int, list[float]] = {}
    for one in readings:
        by_length.setdefault(one.asked.tokens, []).append(_first(one))
    return max(max(firsts) - min(firsts) for firsts in by_length.values())


def _grows(ordered: Sequence[Reading], at_once: bool, resolution_ms: float) -> bool:
    """One round, from short to long. Chance must not do: what comes at a pace has to follow the lengths closely."""
    first, last = [_first(one) for one in ordered], [_last(one) for one in ordered]
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
    return all(_first(one) - usual > least and _first(one) - usual >= OFTEN * (_last(one) - usual) for one in long)


def _first(reading: Reading) -> float:
    return reading.first_ms or 0.0


def _last(reading: Reading) -> float:
    return reading.last_ms or 0.0


def _without_length(sound: Sequence[Reading]) -> float | None:
    """The first piece's time at length 0, by the median line through pairs of answers; None with one length."""
    pairs = [(a, b) for a in sound for b in sound if b.chars > a.chars]
    if not pairs or _lengths(sound) < 2:
        return None
    slope = median((_first(b) - _first(a)) / (b.chars - a.chars) for a, b in pairs)
    return max(0.0, median(_first(one) - slope * one.chars for one in sound))


def _telling(sound: Sequence[Reading], votes: Sequence[Vote]) -> list[Vote]:
    """The votes that count: that a shorter answer fits whole into a lump says nothing against lumps, or for them."""
    longest = max(one.asked.tokens for one in sound)
    both = zip(sound, votes, strict=True)
    return [said for one, said in both if said != "short" and (said != "lump" or one.asked.tokens == longest)]


def _by_votes(telling: Sequence[Vote], answers: int, most: int) -> Judged:
    """What two thirds of the answers say that can tell; the longest has so many deltas."""
    for said, verdict in _VERDICTS.items():
        if telling and 3 * telling.count(said) >= 2 * len(telling):
            return Judged(verdict=verdict, answers=answers, agree=telling.count(said), telling=len(telling))
    return Judged(verdict="inconclusive", because=_why_not(telling, most), answers=answers, telling=len(telling))


_SAYS: Mapping[Vote, str] = {
    "bursty": "came in lumps",
    "even": "streamed",
    "partly": "came partly in lumps",
    "lump": "came all at once",
}
_VERDICTS: Mapping[Vote, Verdict] = {"bursty": "bursty", "even": "streaming"}


def _why_not(telling: Sequence[Vote], most: int) -> str:
    if not telling:
        return f"the answers are too short to tell: {most} pieces at most (--output-tokens asks for longer ones)"
    if set(telling) == {"lump"}:
        return "the answers came whole, but so fast that nothing says whether they were held back"
    if "unclear" in telling:
        return "there are lumps, but no longer than the pauses that this machine itself made meanwhile"
    said = ", ".join(f"{telling.count(one)} {_SAYS[one]}" for one in dict.fromkeys(telling))
    return f"the answers do not agree: {said}"


def _with_numbers(judged: Judged, sound: Sequence[Reading], resolution_ms: float) -> Judged:
    """With what its answers have in common."""
    lengths = sorted({one.asked.tokens for one in sound})
    long = [one for one in sound if one.asked.tokens == lengths[-1]]
    lumpy = [found for one in sound if (found := bursts(one)) and vote(one, resolution_ms) == "bursty"]
    return replace(
        judged,
        first_ms=median(map(_first, long)),
        whole_ms=median(one.end_ms for one in long),
        gap_ms=median(one.window_ms / max(1, one.deltas - 1) for one in long),
        scatter_ms=_scatter(sound),
        gaps_ms=sorted(_gaps(long[-1])),
        reads_per_delta=median(sum(1 for read in one.reads if read.deltas) / one.deltas for one in long),
        headers_ms=median(one.headers_ms or 0.0 for one in long),
        first_byte_ms=median(one.first_byte_ms or 0.0 for one in long),
        firsts=[(tokens, median(_first(one) for one in sound if one.asked.tokens == tokens)) for tokens in lengths],
        window_ms=median(one.window_ms for one in long),
        deltas=long[-1].deltas,
        shape=shape(bursts(long[-1])),
        pattern=(common := pattern(lumpy)),
        nature=common.nature if common else "unknown",
        first_burst=int(_middle(lumpy, lambda found: found[0].deltas)),
        resolution_ms=resolution_ms,
    )


def _gaps(reading: Reading) -> list[float]:
    """Between its deltas; one of 0 where there is none."""
    bringing = [read for read in reading.reads if read.deltas]
    apart = [later.ms - earlier.ms for earlier, later in pairwise(bringing)]
    same_read = sum(read.deltas - 1 for read in bringing)
    return apart + [0.0] * same_read


def _middle(answers: Sequence[Sequence[Burst]], of: Callable[[Sequence[Burst]], float]) -> float:
    return median(map(of, answers)) if answers else 0.0
