"""The stretches of one attempt. Pure functions on stamps in ns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import pairwise
from statistics import median
from typing import NamedTuple

from bench.core.chart_data import Span, SpanKind
from bench.core.stalls import stall_limit


class Stamped(NamedTuple):
    """The stamps of an attempt, as in the table `attempts`; None: it never came to that, or it was not seen."""

    t_start: int | None
    t_connect: int | None
    t_connected: int | None
    t_tls: int | None
    t_sent: int | None
    t_first_read: int | None
    t_last_read: int | None
    t_end: int | None


def spans(number: int, at: Stamped, ended: int | None, *, streamed: bool, token: int | None = None) -> Iterator[Span]:
    """Each stretch lasts until the next begins; `ended`: when the attempt before it, of the same request, was over.

    `token`: when the first delta of a stream was read; without one it was waited for all the time.
    What an attempt was at when it broke lasts until its end. Empty stretches are left out.
    """
    known = [(kind, stamp) for kind, stamp in _beginnings(at, token, streamed=streamed) if stamp is not None]
    over = at.t_end if at.t_last_read is None else at.t_last_read
    ends = [at.t_start, *(stamp for _, stamp in known[1:]), over]
    for (kind, start), end in zip([("backoff", ended), *known], ends, strict=bool(known)):
        if start is not None and end is not None and end > start:
            yield Span(number, kind, start, end)


def _beginnings(at: Stamped, token: int | None, *, streamed: bool) -> Iterator[tuple[SpanKind, int | None]]:
    yield "connect", at.t_connect
    if at.t_tls is not None:
        yield "tls", at.t_connected
    opened = at.t_connected if at.t_tls is None else at.t_tls
    yield "send", at.t_start if at.t_connect is None else opened
    yield "wait", at.t_sent
    yield ("stream", token) if streamed else ("body", at.t_first_read)


def stalled(number: int, stamps: Sequence[int]) -> Iterator[Span]:
    """The gaps between the deltas of an attempt that are over its stall limit."""
    gaps = [later - earlier for earlier, later in pairwise(stamps)]
    limit = stall_limit(median(gaps)) if gaps else 0
    yield from (Span(number, "stall", start, end) for start, end in pairwise(stamps) if end - start > limit)
