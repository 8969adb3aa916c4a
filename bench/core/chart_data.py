"""What the pictures of a report are drawn from: plain values, made by `analysis/figures/`. Times in ms."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

SpanKind = Literal["connect", "tls", "send", "wait", "stream", "body", "stall", "backoff"]
"""`wait`: sent, and no token has come (a stream may have begun: its first events hold none); `stream`: from the first
token to the last read; `body`: from the first read of an answer that is no stream to the last; `stall` lies inside
`stream`; `backoff`: the SDK waits before it tries again."""


class Span(NamedTuple):
    """A stretch of an attempt; times since the trial's origin."""

    attempt: int
    """Try of its request, from 0, counted over all requests of the trial."""
    kind: SpanKind
    start: float
    end: float


class Tick(NamedTuple):
    """One delta, at the read that completed it."""

    ms: float
    chars: int
    kind: str
    """As in the table `events`."""


@dataclass(frozen=True)
class Lane:
    """One real trial as it went."""

    trial_id: int
    delivery: str
    status: str
    client_id: str
    total: float
    first_token: float | None
    first_useful: float | None
    spans: tuple[Span, ...]
    ticks: tuple[Tick, ...]
    """Deltas; of a blocking trial none."""
    chars: int
    """Of the whole visible answer, where its deltas say it; else 0."""


@dataclass(frozen=True)
class Waterfall:
    """A streamed trial that stands for the others, and the blocking one of its pair."""

    which: Literal["median", "p95", "worst"]
    """By its total among the streamed trials (failed ones are the worst); p95 only from 72 trials on."""
    streamed: Lane
    blocking: Lane | None


class Bin(NamedTuple):
    """Gaps from `low` to below `high`."""

    low: float
    high: float
    number: int


@dataclass(frozen=True)
class Gaps:
    """Gaps between successive deltas of the ok streamed trials, in bins of equal width on a log axis."""

    bins: tuple[Bin, ...]
    same_read: int
    """Gaps of 0: both deltas came in one socket read."""
    stalled: int
    """Gaps over the stall limit of their trial."""
    n: int


class RunPoint(NamedTuple):
    """A trial in the order of the run."""

    seconds: float
    """Since the run's start."""
    delivery: str
    total: float | None
    """None: it failed, or never arrived."""
    trial_id: int


@dataclass(frozen=True)
class CellFigures:
    """The pictures of one cell, beside its curves of arrival."""

    waterfalls: tuple[Waterfall, ...] = ()
    gaps: Gaps | None = None
    order: tuple[RunPoint, ...] = ()
    """Of a long run a seeded sample: `order_of` says of how many."""
    order_of: int = 0


@dataclass(frozen=True)
class Outlier:
    """An ok trial far from the others of its cell and delivery. Nothing is left out for being one."""

    trial_id: int
    cell: str
    delivery: str
    metric: str
    """`ttft` or `total`."""
    ms: float
    median: float
    """Of its cell and delivery."""
    severe: bool
    """Beyond 3 interquartile ranges from the quartiles (Tukey), else beyond 1.5."""
    cause: str
    """What was seen at the same time: a new connection, a retry, a stall, a late event loop, …; empty if nothing."""
    client_id: str
    server_id: str
