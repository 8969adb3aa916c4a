"""Rank targets or models that did the same work, pair by pair."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from bench.analysis.comparison.paired import STATISTIC, paired_change
from bench.analysis.tables import RunFrames
from bench.analysis.verdicts.cell import Find
from bench.analysis.wording import ends, value, with_interval
from bench.core.results.comparison import Change, Ranking, RankingEntry
from bench.core.results.labels import cell_labels
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell

RANKED = ("ttfu", "total")
"""By the first; the other is told beside it. Streamed."""
LISTED = 3
"""Names in a sentence."""


def rankings(frames: RunFrames, cells: Sequence[Cell], find: Find) -> tuple[Ranking, ...]:
    """Rank the targets or models of each work that several of them did well enough to be told apart."""
    usable = [cell for cell in cells if not (cell.invalid or cell.saturated or cell.unsupported)]
    groups = [list(group) for _, group in groupby(sorted(usable, key=_work_of), key=_work_of)]
    several = sorted((group for group in groups if len(group) > 1), key=lambda group: group[0].number)
    labels = cell_labels([_work_of(group[0])._asdict() for group in several])
    return tuple(_ranking(frames, group, label, find) for group, label in zip(several, labels, strict=True))


def _work_of(cell: Cell) -> CellKey:
    return cell.key._replace(target="", model="")


def _ranking(frames: RunFrames, cells: Sequence[Cell], label: str, find: Find) -> Ranking:
    names = rival_names([cell.key for cell in cells])
    found = [find(cell, "streamed", RANKED[0], STATISTIC, "") for cell in cells]
    medians = [math.inf if row is None or row.estimate is None else row.estimate for row in found]
    order = sorted(range(len(cells)), key=lambda i: (medians[i], cells[i].number))
    first = cells[order[0]]
    entries = [
        RankingEntry(
            cells[i].key, names[i], tuple(_gaps_to(frames, first, cells[i], find)) if cells[i] is not first else ()
        )
        for i in order
    ]
    return Ranking(label, tuple(entries), sentence(entries, [found[i] for i in order]))


def _gaps_to(frames: RunFrames, first: Cell, cell: Cell, find: Find) -> Iterator[Change]:
    """Yield the changes from the fastest cell to this one: of the first useful output, and of the whole answer."""
    for metric in RANKED:
        rows = [find(one, "streamed", metric, STATISTIC, "") for one in (first, cell)]
        if rows[0] is not None and rows[1] is not None:
            yield paired_change(frames, (first, cell), (rows[0], rows[1]), cell.label)


def rival_names(keys: Sequence[CellKey]) -> list[str]:
    """Name each cell by what tells it from the others: the model, the target, or both."""
    fields = [name for name in ("target", "model") if len({getattr(key, name) for key in keys}) > 1]
    return ["/".join(getattr(key, name) for name in fields) for key in keys]


def sentence(entries: Sequence[RankingEntry], rows: Sequence[Row | None]) -> str:
    """Say which is fastest and by how much, or that they cannot be told apart; without a full stop."""
    if any(row is None or row.estimate is None or row.low is None for row in rows):
        return "Which is fastest streamed cannot be said (a median is missing)"
    gaps = [entry.behind[0] if entry.behind else None for entry in entries[1:]]
    close = [i for i, gap in enumerate(gaps, 1) if gap is None or gap.low is None or gap.low <= 0]
    medians = [f"{entry.name} {with_interval(row)}" for entry, row in zip(entries, rows, strict=True)]
    if close:
        shown = [medians[i] for i in (0, *close)][:LISTED]
        more = f" and {1 + len(close) - LISTED} more" if 1 + len(close) > LISTED else ""
        return f"Cannot tell apart which is fastest streamed by the first useful output ({', '.join(shown)}{more})"
    told = f"Fastest streamed is {entries[0].name}, first useful output after {with_interval(rows[0])} (median)"
    return f"{told}; {entries[1].name}, the next, takes {_longer(gaps[0])}" if gaps[0] else told


def _longer(gap: Change) -> str:
    """Write a gap as `9.8 % longer (7.2 to 12.1 %)`."""
    as_row = replace(gap.current, unit="ratio", statistic="hl", estimate=gap.ratio, low=gap.low, high=gap.high)
    return f"{value(as_row).lstrip('+')} {'as long' if '×' in value(as_row) else 'longer'} ({ends(as_row)})"
