"""One trial as it went: the spans of its attempts, and each delta."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, TypeVar

import pandas as pd

from bench.analysis.cell.deltas import non_empty
from bench.analysis.chart_data.spans import Stamped, spans, stalled
from bench.analysis.ids import printable
from bench.analysis.per_trial import MS
from bench.analysis.tables import RunFrames
from bench.core.chart_data import Lane, Span, Tick
from bench.records.schema import VISIBLE_KINDS

MOST_TICKS = 2000
"""Of a lane; of more deltas, neighbours are one tick."""
OF_TRIALS = ["delivery", "status", "t_origin", "t_end", "t_first_token", "t_first_useful"]
Place = tuple[int, int, int]
"""Of an attempt: trial, request, attempt."""


class _Attempt(NamedTuple):
    trial_id: int
    request: int
    attempt: int
    client_id: str | None
    at: Stamped

    @property
    def place(self) -> Place:
        return self.trial_id, self.request, self.attempt


class _Delta(NamedTuple):
    trial_id: int
    request: int
    attempt: int
    t_read: int
    chars: int
    kind: str


T = TypeVar("T", _Attempt, _Delta)


def lanes(frames: RunFrames, trial_ids: Collection[int]) -> Mapping[int, Lane]:
    """The lanes of these trials, by trial_id."""
    wanted = list(trial_ids)
    trials = frames.trials.loc[frames.trials.index.isin(wanted), OF_TRIALS]
    events = frames.tables["events"][frames.tables["events"]["trial_id"].isin(wanted)]
    attempts, deltas = _by_trial(_attempts(frames, wanted)), _by_trial(_deltas(events))
    streams = set(_rows(events[["trial_id", "request", "attempt"]].drop_duplicates()))
    return {
        number: _lane(number, *row, attempts=attempts[number], deltas=deltas[number], streams=streams)
        for number, row in zip(map(int, trials.index), _rows(trials), strict=True)
    }


def _attempts(frames: RunFrames, trial_ids: Sequence[int]) -> list[_Attempt]:
    """In the order in which they began."""
    table = frames.tables["attempts"]
    mine = table[table["trial_id"].isin(trial_ids)]
    known = _rows(mine[["trial_id", "request", "attempt", "client_id"]])
    stamps = (Stamped(*row) for row in _rows(mine[list(Stamped._fields)]))
    both = zip(known, stamps, strict=True)
    made = [_Attempt(trial, request, attempt, client_id, at) for (trial, request, attempt, client_id), at in both]
    return sorted(made, key=lambda one: (one.at.t_start or 0, one.request, one.attempt))


def _deltas(events: pd.DataFrame) -> list[_Delta]:
    """In the order in which they came."""
    mine = non_empty(events).sort_values(["t_read", "request", "attempt", "seq"])
    return [_Delta(*row) for row in _rows(mine[list(_Delta._fields)])]


def _by_trial(rows: Iterable[T]) -> Mapping[int, list[T]]:
    found: dict[int, list[T]] = defaultdict(list)
    for row in rows:
        found[row.trial_id].append(row)
    return found


def _rows(rows: pd.DataFrame) -> Iterator[tuple[Any, ...]]:
    """As plain values; what is missing is None."""
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
    streams: Collection[Place],
) -> Lane:
    found = [_since(origin, span) for span in _spans(attempts, deltas, streams)]
    return Lane(
        trial_id=number,
        delivery=delivery,
        status=status,
        client_id=printable(attempts[-1].client_id) if attempts else "",
        total=(end - origin) / MS,
        first_token=None if first_token is None else (first_token - origin) / MS,
        first_useful=None if first_useful is None else (first_useful - origin) / MS,
        spans=tuple(sorted(found, key=attrgetter("start", "attempt"))),
        ticks=tuple(_ticks(deltas, origin)),
        chars=sum(delta.chars for delta in deltas if delta.kind in VISIBLE_KINDS),
    )


def _spans(attempts: Sequence[_Attempt], deltas: Sequence[_Delta], streams: Collection[Place]) -> Iterator[Span]:
    """Of all attempts, in ns since the run's start."""
    ended: dict[int, int | None] = {}
    for number, one in enumerate(attempts):
        read = [delta.t_read for delta in deltas if delta[:3] == one.place]
        token = read[0] if read else None
        yield from spans(number, one.at, ended.get(one.request), streamed=one.place in streams, token=token)
        yield from stalled(number, read)
        ended[one.request] = one.at.t_end


def _since(origin: int, span: Span) -> Span:
    return span._replace(start=(span.start - origin) / MS, end=(span.end - origin) / MS)


def _ticks(deltas: Sequence[_Delta], origin: int) -> Iterator[Tick]:
    """Merged neighbours stand where the last of them came, under its kind."""
    together = -(-len(deltas) // MOST_TICKS) or 1
    for first in range(0, len(deltas), together):
        some = deltas[first : first + together]
        yield Tick((some[-1].t_read - origin) / MS, sum(delta.chars for delta in some), some[-1].kind)
