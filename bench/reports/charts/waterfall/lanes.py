"""Read single trials as they went: the spans of their attempts, and each delta, in ms since the trial's origin."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from bench.analysis.cell.deltas import non_empty
from bench.analysis.ids import printable
from bench.analysis.tables import RunFrames
from bench.core.results.metrics.metric import MS
from bench.records.schema import VISIBLE_KINDS
from bench.reports.charts.waterfall.spans import AttemptStamps, Span, attempt_spans, stall_spans
from bench.reports.charts.waterfall.typical_trials import Which

MOST_TICKS = 2000
"""Of a lane; of more deltas, neighbours are one tick."""
TRIAL_COLUMNS = ["delivery", "status", "t_origin", "t_end", "t_first_token", "t_first_useful"]
AttemptKey = tuple[int, int, int]
"""Trial, request, attempt."""


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
    """Deltas; none of a blocking trial."""
    chars: int
    """Characters of the whole visible answer if its deltas say so; else 0."""


@dataclass(frozen=True)
class TrialPair:
    """A streamed trial that stands for its cell, and the blocking one of its pair."""

    which: Which
    streamed: Lane
    blocking: Lane | None

    @property
    def lanes(self) -> list[Lane]:
        """Return the one or two lanes that there are."""
        return [self.streamed, *([self.blocking] if self.blocking else [])]


class _Attempt(NamedTuple):
    trial_id: int
    request: int
    attempt: int
    client_id: str | None
    at: AttemptStamps


class _Delta(NamedTuple):
    trial_id: int
    request: int
    attempt: int
    t_read: int
    chars: int
    kind: str


T = TypeVar("T", _Attempt, _Delta)


def lanes(frames: RunFrames, trial_ids: Collection[int]) -> Mapping[int, Lane]:
    """Build the lanes of these trials, by trial_id."""
    wanted = list(trial_ids)
    trials = frames.trials.loc[frames.trials.index.isin(wanted), TRIAL_COLUMNS]
    events = frames.tables["events"][frames.tables["events"]["trial_id"].isin(wanted)]
    in_order = non_empty(events).sort_values(["t_read", "request", "attempt", "seq"])
    deltas = _by_trial(_Delta(*row) for row in _plain_rows(in_order[list(_Delta._fields)]))
    attempts = _by_trial(_attempts(frames, wanted))
    streams = set(_plain_rows(events[["trial_id", "request", "attempt"]].drop_duplicates()))
    return {
        number: _lane(number, *row, attempts=attempts[number], deltas=deltas[number], streams=streams)
        for number, row in zip(map(int, trials.index), _plain_rows(trials), strict=True)
    }


def _attempts(frames: RunFrames, trial_ids: Sequence[int]) -> list[_Attempt]:
    """Read the attempts in the order in which they began."""
    table = frames.tables["attempts"]
    mine = table[table["trial_id"].isin(trial_ids)]
    ids = _plain_rows(mine[["trial_id", "request", "attempt", "client_id"]])
    stamps = _plain_rows(mine[list(AttemptStamps._fields)])
    found = [
        _Attempt(trial, request, attempt, client_id, AttemptStamps(*at))
        for (trial, request, attempt, client_id), at in zip(ids, stamps, strict=True)
    ]
    return sorted(found, key=lambda one: (one.at.t_start or 0, one.request, one.attempt))


def _by_trial(rows: Iterable[T]) -> Mapping[int, list[T]]:
    found: dict[int, list[T]] = defaultdict(list)
    for row in rows:
        found[row.trial_id].append(row)
    return found


def _plain_rows(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """Yield the rows as plain values, None for what is missing."""
    columns = [[None if pd.isna(value) else value for value in rows[name].tolist()] for name in rows]
    return zip(*columns, strict=True)


def _lane(
    number: int,
    delivery: str,
    status: str,
    origin: int,
    end: int,
    first_token: int | None,
    first_useful: int | None,
    *,
    attempts: Sequence[_Attempt],
    deltas: Sequence[_Delta],
    streams: Collection[AttemptKey],
) -> Lane:
    spans = [
        span._replace(start=(span.start - origin) / MS, end=(span.end - origin) / MS)
        for span in _spans(attempts, deltas, streams)
    ]
    return Lane(
        trial_id=number,
        delivery=delivery,
        status=status,
        client_id=printable(attempts[-1].client_id) if attempts else "",
        total=(end - origin) / MS,
        first_token=None if first_token is None else (first_token - origin) / MS,
        first_useful=None if first_useful is None else (first_useful - origin) / MS,
        spans=tuple(sorted(spans, key=attrgetter("start", "attempt"))),
        ticks=tuple(_ticks(deltas, origin)),
        chars=sum(delta.chars for delta in deltas if delta.kind in VISIBLE_KINDS),
    )


def _spans(attempts: Sequence[_Attempt], deltas: Sequence[_Delta], streams: Collection[AttemptKey]) -> Iterator[Span]:
    """Yield the spans of all attempts, in ns since the run's start."""
    previous_ends: dict[int, int | None] = {}
    for number, one in enumerate(attempts):
        read = [delta.t_read for delta in deltas if delta[:3] == one[:3]]
        previous, streamed = previous_ends.get(one.request), one[:3] in streams
        yield from attempt_spans(number, one.at, previous, streamed=streamed, token=read[0] if read else None)
        yield from stall_spans(number, read)
        previous_ends[one.request] = one.at.t_end


def _ticks(deltas: Sequence[_Delta], origin: int) -> Iterator[Tick]:
    """Yield at most MOST_TICKS ticks; merged neighbours stand where the last of them came, under its kind."""
    together = -(-len(deltas) // MOST_TICKS) or 1
    for first in range(0, len(deltas), together):
        some = deltas[first : first + together]
        yield Tick((some[-1].t_read - origin) / MS, sum(delta.chars for delta in some), some[-1].kind)
