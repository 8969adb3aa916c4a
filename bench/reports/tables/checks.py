"""What the run's checks of itself found in one cell, for a reader who knows statistics."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.wording import both
from bench.core.summary import Cell, Summary
from bench.reports.tables.times import DELIVERIES

CHECKS = (
    ("a delivery against itself (A/A)", "aa", "hl"),
    ("first useful against itself (A/A)", "aa_ttfu", "hl"),
    ("the second of a pair against the first", "order_effect", "hl"),
    ("from the start of the run to its end", "trend", "slope"),
    ("CPU of the client, of one core", "cpu_share", "share"),
    ("pauses for garbage collection", "gc_pause", "sum"),
)


def checks(summary: Summary, cell: Cell) -> Iterator[str]:
    """A line for each check that has a number."""
    for words, metric, statistic in CHECKS:
        row = summary.row(cell, "paired", metric, statistic)
        if row and row.estimate is not None:
            yield f"{words}: {both(row)}, n={row.n}"
    for delivery in DELIVERIES:
        row = summary.row(cell, delivery, "warm_share", "share", "share")
        if row and row.estimate is not None:
            yield f"{delivery} requests over a connection that was open: {both(row)}, n={row.n}"
