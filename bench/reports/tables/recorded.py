"""Tabulate what the scenarios recorded themselves, for the terminal, Markdown and HTML."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from bench.core.results.metrics.registry import BY_NAME, FLAG, MEMBERS
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell, Summary
from bench.reports.tables.times import DELIVERIES, NONE, full_text, unfit

TITLE = "What the scenarios recorded"
HEADS = ("scenario", "name", "streamed", "blocking", "n")
CAPTION = (
    "Numbers that the scenarios and plugins record themselves (docs/scenarios.md says what each is): medians over the "
    "ok trials that recorded one; of a yes or no (0 or 1) the share of yes. mark.NAME is a moment, ms since the call."
)


class RecordedLine(NamedTuple):
    """One line of the table."""

    cell: Cell
    name: str
    streamed: str
    blocking: str
    n: str
    """Ok trials that recorded it: one number, or streamed / blocking where they differ."""

    @property
    def texts(self) -> tuple[str, ...]:
        """Return the texts under HEADS, without the first."""
        return self[1:]


def recorded_lines(summary: Summary) -> Iterator[RecordedLine]:
    """Yield everything that was recorded, cell by cell; names that differ in a number are sorted by the number."""
    found: dict[CellKey, dict[tuple[str, str], dict[str, Row]]] = {cell.key: {} for cell in summary.cells}
    for row in filter(_is_recorded, summary.rows):
        if row.key in found:
            found[row.key].setdefault((row.metric, row.unit), {})[row.delivery] = row
    for cell in summary.cells:
        if found[cell.key] and unfit(cell):
            yield RecordedLine(cell, unfit(cell), NONE, NONE, NONE)
            continue
        for (name, _), rows in sorted(found[cell.key].items(), key=lambda line: natural(line[0][0])):
            n = dict.fromkeys(str(rows[delivery].n) for delivery in DELIVERIES if delivery in rows)
            streamed, blocking = (full_text(rows.get(delivery)) for delivery in DELIVERIES)
            yield RecordedLine(cell, name, streamed, blocking, " / ".join(n))


def natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key that puts `turn2` before `turn10`."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _is_recorded(row: Row) -> bool:
    if row.metric in BY_NAME or row.metric.startswith(MEMBERS):
        return False
    return row.statistic == ("share" if row.unit == FLAG else "p50")
