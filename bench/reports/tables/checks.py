"""Show what the run's checks of itself found, and what the instrument itself adds."""

from __future__ import annotations

from collections.abc import Iterator

from bench.analysis.wording import with_interval
from bench.core.results.metrics.registry import places
from bench.core.results.summary import CALIBRATION, Cell, Summary
from bench.reports.tables.times import DELIVERIES, Entry, entry

FLOORS_TITLE = "What the instrument adds"
FLOORS_CAPTION = (
    "Medians over streams whose send times are known, read in this run at the same load, with 95 % intervals. They are "
    "inside the numbers above and are never subtracted; an effect below three of them is not called one."
)
FLOORS = places("floors")
FLOORS_HEADS = ("load", *(place.top for _, place in FLOORS))


def checks(summary: Summary, cell: Cell) -> Iterator[str]:
    """Yield a line for each check of a cell that has a number, for a reader who knows statistics."""
    for metric, place in places("checks"):
        for delivery in (place.delivery,) if place.delivery else DELIVERIES:
            row = summary.row(cell, delivery, metric.name, place.statistic)
            if row and row.estimate is not None:
                whose = "" if place.delivery else f"{delivery} "
                yield f"{whose}{place.top}: {with_interval(row)}, n={row.n}"


def floors(summary: Summary) -> Iterator[tuple[str, list[Entry]]]:
    """Yield each client and load that was calibrated, and the entries under the other heads."""
    metrics = {metric.name for metric, _ in FLOORS}
    known = [row for row in summary.rows if row.scenario == CALIBRATION and row.metric in metrics]
    several = len({row.client for row in known}) > 1
    for client, load in dict.fromkeys((row.client, row.load) for row in known):
        entries = [entry(summary.floor(load, p.delivery, m.name, p.statistic, client=client)) for m, p in FLOORS]
        yield f"{client} {load}" if several else load, entries
