"""Divide one attempt into the stretches that a waterfall draws. Stamps are in ns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import Literal, NamedTuple

from bench.core.stalls import stall_limit

SpanKind = Literal["connect", "tls", "send", "wait", "stream", "body", "stall", "backoff"]
"""`wait`: sent, and no token has come (a stream may have begun: its first events hold none); `stream`: from the first
token to the last read; `body`: from the first read of an answer that is no stream to the last; `stall` lies inside
`stream`; `backoff`: the SDK waits before it tries again."""


class Span(NamedTuple):
    """A stretch of an attempt."""

    attempt: int
    """Try of its request, from 0, counted over all requests of the trial."""
    kind: SpanKind
    start: float
    end: float


class AttemptStamps(NamedTuple):
    """The stamps of an attempt, as in the table `attempts`; None: it never came to that, or it was not seen."""

    t_start: int | None
    t_connect: int | None
    t_connected: int | None
    t_tls: int | None
    t_sent: int | None
    t_first_read: int | None
    t_last_read: int | None
    t_end: int | None


def attempt_spans(
    number: int, at: AttemptStamps, previous_end: int | None, *, streamed: bool, token: int | None = None
) -> Iterator[Span]:
    """Yield the spans of attempt `number`, each lasting until the next begins; empty ones are left out.

    `previous_end`: when the attempt before this one, of the same request, was over. `token`: when the first delta of a
    stream was read; a stream without one counts as `wait` throughout. The stretch in which an attempt broke lasts
    until the attempt's end.
    """
    opened = at.t_connected if at.t_tls is None else at.t_tls
    starts: list[tuple[SpanKind, int | None]] = [
        ("connect", at.t_connect),
        ("tls", None if at.t_tls is None else at.t_connected),
        ("send", at.t_start if at.t_connect is None else opened),
        ("wait", at.t_sent),
        ("stream", token) if streamed else ("body", at.t_first_read),
    ]
    known = [(kind, stamp) for kind, stamp in starts if stamp is not None]
    over = at.t_end if at.t_last_read is None else at.t_last_read
    ends = [at.t_start, *(stamp for _, stamp in known[1:]), over]
    for (kind, start), end in zip([("backoff", previous_end), *known], ends, strict=bool(known)):
        if start is not None and end is not None and end > start:
            yield Span(number, kind, start, end)


def stall_spans(number: int, stamps: Sequence[int]) -> Iterator[Span]:
    """Yield the gaps between the deltas of attempt `number` that exceed its stall limit."""
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    limit = stall_limit(median(gaps)) if gaps else 0
    yield from (Span(number, "stall", start, end) for start, end in pairwise(stamps) if end - start > limit)
