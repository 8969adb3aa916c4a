"""Show what the run's checks of itself found, and what the instrument itself adds."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.wording import both
from bench.core.summary import CALIBRATION, Cell, Summary
from bench.reports.tables.times import DELIVERIES, Entry, entry

CHECKS = (
    ("a delivery against itself (A/A)", "aa", "hl"),
    ("first useful against itself (A/A)", "aa_ttfu", "hl"),
    ("the second of a pair against the first", "order_effect", "hl"),
    ("from the start of the run to its end", "trend", "slope"),
    ("CPU of the client, of one core", "cpu_share", "share"),
    ("pauses for garbage collection", "gc_pause", "sum"),
)
FLOORS_TITLE = "What the instrument adds"
FLOORS_CAPTION = (
    "Medians over streams whose send times are known, read in this run at the same load, with 95 % intervals. They are "
    "inside the numbers above and are never subtracted; an effect below three of them is not called one."
)
FLOORS = (
    ("first token", "streamed", "floor_ttft", "p50"),
    ("first useful", "streamed", "floor_ttfu", "p50"),
    ("gap", "streamed", "floor_gap", "p50"),
    ("whole, streamed", "streamed", "floor_total", "p50"),
    ("whole, blocking", "blocking", "floor_total", "p50"),
    ("CPU per event", "streamed", "floor_cpu_per_event", "p50"),
)
FLOORS_HEADS = ("load", *(name for name, *_ in FLOORS))


def checks(summary: Summary, cell: Cell) -> Iterator[str]:
    """Yield a line for each check of a cell that has a number, for a reader who knows statistics."""
    for words, metric, statistic in CHECKS:
        row = summary.row(cell, "paired", metric, statistic)
        if row and row.estimate is not None:
            yield f"{words}: {both(row)}, n={row.n}"
    for delivery in DELIVERIES:
        row = summary.row(cell, delivery, "warm_share", "share", "share")
        if row and row.estimate is not None:
            yield f"{delivery} requests over a connection that was open: {both(row)}, n={row.n}"


def floors(summary: Summary) -> Iterator[tuple[str, list[Entry]]]:
    """Yield each client and load that was calibrated, and the entries under the other heads."""
    metrics = {metric for _, _, metric, _ in FLOORS}
    known = [row for row in summary.rows if row.scenario == CALIBRATION and row.metric in metrics]
    several = len({row.client for row in known}) > 1
    for client, load in dict.fromkeys((row.client, row.load) for row in known):
        entries = [entry(summary.floor(load, of, metric, stat, client=client)) for _, of, metric, stat in FLOORS]
        yield f"{client} {load}" if several else load, entries
