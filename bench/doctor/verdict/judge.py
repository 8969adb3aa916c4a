"""Judge the readings of one mode: the verdict, with the evidence for it.

Three questions in this order. Is it a sound event stream? Does the first piece wait for the last (a fake stream's first
byte comes later the longer the answer is, a real one's does not)? Do the pieces in between come as they are made, or in
lumps? A pause counts only if it is longer than what this machine itself added at the same time; below that, or where
the answers disagree, the verdict is inconclusive.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import pairwise
from statistics import median

from bench.doctor.diagnosis import Verdict
from bench.doctor.verdict.bursts import Nature, burst_shape, bursts, lump_pattern
from bench.doctor.verdict.growth import first_ms, judge_growth, scatter
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.reading import Reading
from bench.doctor.verdict.votes import Vote, telling, vote


def judge(readings: Sequence[Reading], text: Judgement | None, resolution_ms: float) -> Judgement:
    """Judge the readings of one hop, API and mode.

    `text`: the verdict on the text, which the first piece is held against; None for the text itself.
    """
    for rule in (_absent, _inconclusive, _unsound):
        if found := rule(readings):
            return found
    sound = [reading for reading in readings if reading.is_whole and reading.deltas]
    votes = [vote(reading, resolution_ms) for reading in sound]
    waits = judge_growth(sound, votes, text, resolution_ms)
    judged = waits or _judge_votes(telling(sound, votes), len(readings), max(one.deltas for one in sound))
    return _with_numbers(judged, sound, votes, resolution_ms)


def share_nature(judged: Sequence[Judgement]) -> list[Judgement]:
    """Give judgements whose lumps have no known cause the cause that the hop's other judgements agree on."""
    known = {one.nature for one in judged} - {"unknown"}
    nature: Nature = known.pop() if len(known) == 1 else "unknown"
    return [replace(one, nature=nature) if one.nature == "unknown" else one for one in judged]


def _absent(readings: Sequence[Reading]) -> Judgement | None:
    """Judge answers that are refused as such, or that bring something else than was asked for."""
    refused = [one for one in readings if one.kind == "refused"]
    if len(refused) == len(readings):
        return Judgement(
            verdict="not offered", because=f"the server refuses it ({refused[0].wrong})", answers=len(refused)
        )
    elsewhere = [one for one in readings if one.is_whole and one.elsewhere]
    if 2 * len(elsewhere) > len(readings):
        return Judgement(verdict="not offered", because="the model answers with text instead", answers=len(readings))
    return None


def _inconclusive(readings: Sequence[Reading]) -> Judgement | None:
    for kind, what in (
        ("limited", "the server answers 429, too many requests"),
        ("late", "no end within the deadline"),
    ):
        of_kind = [one for one in readings if one.kind == kind]
        if 2 * len(of_kind) >= len(readings):
            because = f"{what}{f' ({of_kind[0].wrong})' if of_kind[0].wrong else ''}, {_count(of_kind, readings)}"
            return Judgement(verdict="inconclusive", because=because, answers=len(readings))
    return None


def _unsound(readings: Sequence[Reading]) -> Judgement | None:
    whole = [one for one in readings if one.kind == "json"]
    if 2 * len(whole) >= len(readings):
        return Judgement(
            verdict="not streaming",
            because=_count(whole, readings),
            answers=len(readings),
            agree=len(whole),
            telling=len(readings),
            whole_ms=max(one.end_ms for one in whole),
        )
    wrong = [one for one in readings if one.is_broken or one.kind == "refused"]
    if 2 * len(wrong) >= len(readings):
        return Judgement(
            verdict="broken",
            because=f"{wrong[0].wrong}, {_count(wrong, readings)}",
            answers=len(readings),
            agree=len(wrong),
            telling=len(readings),
        )
    if not any(one.is_whole and one.deltas for one in readings):
        because = "the answers bring no piece of text that could be timed (all reasoning that is not shown?)"
        return Judgement(verdict="inconclusive", because=because, answers=len(readings))
    return None


def _count(some: Sequence[Reading], readings: Sequence[Reading]) -> str:
    return f"in {len(some)} of {len(readings)} answers"


def _judge_votes(heard: Sequence[Vote], answers: int, most: int) -> Judgement:
    """Take the verdict of two thirds of the votes; `most`: deltas of the longest answer."""
    for said, verdict in _VERDICTS.items():
        if heard and 3 * heard.count(said) >= 2 * len(heard):
            return Judgement(verdict=verdict, answers=answers, agree=heard.count(said), telling=len(heard))
    return Judgement(verdict="inconclusive", because=_why_not(heard, most), answers=answers, telling=len(heard))


_SAYS: Mapping[Vote, str] = {
    "bursty": "came in lumps",
    "even": "streamed",
    "partly": "came partly in lumps",
    "lump": "came all at once",
}
_VERDICTS: Mapping[Vote, Verdict] = {"bursty": "bursty", "even": "streaming"}


def _why_not(heard: Sequence[Vote], most: int) -> str:
    if not heard:
        pieces = f"{most} pieces" if most > 1 else "one piece"
        return f"the answers are too short to tell: {pieces} at most (--output-tokens asks for longer ones)"
    if set(heard) == {"lump"}:
        return "the answers came whole, and too fast or too unevenly to say whether they were held back"
    if "unclear" in heard:
        return "there are lumps, but no longer than the pauses that this machine itself made meanwhile"
    said = ", ".join(f"{heard.count(one)} {_SAYS[one]}" for one in dict.fromkeys(heard))
    return f"the answers do not agree: {said}"


def _with_numbers(
    judged: Judgement, sound: Sequence[Reading], votes: Sequence[Vote], resolution_ms: float
) -> Judgement:
    """Add what the answers have in common."""
    lengths = sorted({one.question.tokens for one in sound})
    long = [one for one in sound if one.question.tokens == lengths[-1]]
    lumpy = [bursts(one) for one, said in zip(sound, votes, strict=True) if said == "bursty"]
    return replace(
        judged,
        first_ms=median(map(first_ms, long)),
        whole_ms=median(one.end_ms for one in long),
        gap_ms=median(one.window_ms / max(1, one.deltas - 1) for one in long),
        scatter_ms=scatter(sound),
        gaps_ms=sorted(_gaps(long[-1])),
        reads_per_delta=median(sum(1 for read in one.reads if read.deltas) / one.deltas for one in long),
        headers_ms=median(one.headers_ms or 0.0 for one in long),
        first_byte_ms=median(one.first_byte_ms or 0.0 for one in long),
        firsts=[
            (tokens, median(first_ms(one) for one in sound if one.question.tokens == tokens)) for tokens in lengths
        ],
        window_ms=median(one.window_ms for one in long),
        deltas=long[-1].deltas,
        shape=burst_shape(bursts(long[-1])),
        pattern=(common := lump_pattern(lumpy)),
        nature=common.nature if common else "unknown",
        first_burst=int(median(one[0].deltas for one in lumpy)) if lumpy else 0,
        resolution_ms=resolution_ms,
    )


def _gaps(reading: Reading) -> list[float]:
    """List the ms between deltas; 0 between deltas of one read."""
    bringing = [read for read in reading.reads if read.deltas]
    apart = [later.ms - earlier.ms for earlier, later in pairwise(bringing)]
    same_read = sum(read.deltas - 1 for read in bringing)
    return apart + [0.0] * same_read
