"""Answers as they arrive, by models of what may be on the way: for the tests of what the doctor says of them.

    rng = seeded(1)
    answers = endpoint(rng, even(rng, 20.0), size_buffer(4096))

A `Gaps` gives the times between the pieces as the server makes them, a `Deliver` what the client reads of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, groupby
from random import Random
from typing import Any, NamedTuple

from bench.doctor.diagnosis import Mode
from bench.doctor.requests import Question, make_questions
from bench.doctor.verdict.reading import Read, Reading


class Piece(NamedTuple):
    """A delta as it leaves the server."""

    ms: float
    bytes: int


Pieces = Sequence[Piece]
Gaps = Callable[[], float]
Deliver = Callable[[Pieces], list[Read]]
CHARS = 5
"""Of each piece."""


def seeded(seed: int) -> Random:
    """The same each time."""
    return Random(seed)  # noqa: S311  (no secret)


def even(rng: Random, gap: float, part: float = 0.0) -> Gaps:
    """The same each time, give or take a part of it."""
    return lambda: gap * (1 + rng.uniform(-part, part))


def log_normal(rng: Random, gap: float, sigma: float) -> Gaps:
    """Of that mean."""
    return lambda: gap * rng.lognormvariate(-sigma * sigma / 2, sigma)


def exponential(rng: Random, gap: float) -> Gaps:
    """Of that mean: a Poisson stream."""
    return lambda: rng.expovariate(1 / gap)


def stalling(rng: Random, gap: float, often: float, times: float) -> Gaps:
    """Even, but each gap has a chance to be so many times as long."""
    return lambda: gap * (times if rng.random() < often else 1)


def in_steps(gap: float, tokens: int) -> Gaps:
    """So many at once, as speculative decoding gives them."""
    place = 0

    def gaps() -> float:
        nonlocal place
        place += 1
        return tokens * gap if place % tokens == 0 else 0.01

    return gaps


def pieces(rng: Random, count: int, first_ms: float, gaps: Gaps) -> list[Piece]:
    """Events of 150 to 250 bytes, the first one when it is said."""
    times = accumulate([first_ms, *(gaps() for _ in range(count - 1))])
    return [Piece(time, rng.randint(150, 250)) for time in times]


def direct(made: Pieces) -> list[Read]:
    """Each as it is made."""
    return [Read(ms, size, 1, inside=False) for ms, size in made]


def size_buffer(capacity: int, ahead: int = 700) -> Deliver:
    """Handed on when it is full, and at the end. `ahead`: bytes before the first delta."""

    def deliver(made: Pieces) -> list[Read]:
        ends = [ahead + end for end in accumulate(size for _, size in made)]
        full = range(capacity, ends[-1] + 1, capacity)
        cuts = [(next(made[at].ms for at, end in enumerate(ends) if end >= cut), cut) for cut in full]
        return _cut([*cuts, (made[-1].ms + 0.1, ends[-1])], ends, ahead=ahead)

    return deliver


def _cut(cuts: Sequence[tuple[float, int]], ends: Sequence[int], ahead: int) -> list[Read]:
    found, before = [], 0
    for ms, cut in cuts:
        deltas = sum(before < end <= cut for end in ends)
        found.append(Read(ms, cut - before, deltas, inside=cut not in ends and cut != ahead))
        before = cut
    return found


def timer(period: float, phase: float = 0.0) -> Deliver:
    """Whole events, handed on at each tick."""

    def tick(piece: Piece) -> float:
        return phase + period * math.ceil((piece.ms - phase) / period)

    def deliver(made: Pieces) -> list[Read]:
        return [_joined(ms, direct([*group])) for ms, group in groupby(made, key=tick)]

    return deliver


def at_once(made: Pieces) -> list[Read]:
    """When all is made, in one read."""
    return [_joined(made[-1].ms, direct(made))]


def replayed(pace: float) -> Deliver:
    """When all is made, one after the other."""
    return lambda made: [Read(made[-1].ms + pace * place, one.bytes, 1, inside=False) for place, one in enumerate(made)]


def paused(rng: Random, often: float, longest: float, deliver: Deliver) -> Deliver:
    """Read by a process that stops now and then: all that comes meanwhile it reads at the end of the pause.

    `often`: share of the time in which it stands still.
    """

    def late(made: Pieces) -> list[Read]:
        reads = deliver(made)
        pauses = _pauses(rng, often, longest, reads[-1].ms)
        start, end = next(pauses)
        moved = []
        for read in reads:
            while read.ms > end:
                start, end = next(pauses)
            moved.append(read._replace(ms=end) if read.ms >= start else read)
        return [_joined(ms, [*group]) for ms, group in groupby(moved, key=lambda read: read.ms)]

    return late


def _pauses(rng: Random, often: float, longest: float, until: float) -> Iterator[tuple[float, float]]:
    time = 0.0
    while time < until:
        start = time + rng.expovariate(often / (longest / 2))
        time = start + rng.uniform(0, longest)
        yield start, time
    yield math.inf, math.inf


def _joined(ms: float, reads: Sequence[Read]) -> Read:
    """What lies in the socket's buffer is one read."""
    return Read(ms, sum(one.bytes for one in reads), sum(one.deltas for one in reads), reads[-1].inside)


def answer(request: Question, reads: Sequence[Read], **more: Any) -> Reading:
    """A sound stream of these reads."""
    places = [place for place, read in enumerate(reads) if read.deltas]
    kept = reads[places[0] : places[-1] + 1]
    deltas = sum(read.deltas for read in kept)
    known: dict[str, Any] = {
        "hop": 0,
        "question": request,
        "kind": "stream",
        "status": 200,
        "headers": {"content-type": "text/event-stream"},
        "headers_ms": 1.0,
        "first_ms": kept[0].ms,
        "last_ms": kept[-1].ms,
        "end_ms": kept[-1].ms + 1,
        "reads": kept,
        "arrivals": _arrivals(kept),
        "deltas": deltas,
        "chars": CHARS * deltas,
    }
    return Reading(**{**known, **more})


def _arrivals(reads: Sequence[Read]) -> list[tuple[int, int]]:
    reached = accumulate(CHARS * read.deltas for read in reads)
    return [(int(read.ms * 1e6), chars) for read, chars in zip(reads, reached, strict=True) if read.deltas]


def endpoint(
    rng: Random,
    gaps: Gaps,
    deliver: Deliver,
    *,
    first: Callable[[], float] = lambda: 80.0,
    longest: int = 256,
    mode: Mode = "text",
    **more: Any,
) -> list[Reading]:
    """All answers of one mode. `first`: ms until the server makes the first piece."""
    return [
        answer(request, deliver(pieces(rng, request.tokens, first(), gaps)), **more)
        for request in make_questions(["chat"], [mode], longest)
    ]
