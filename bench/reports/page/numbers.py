"""Make the page's tables of numbers: times, costs, loads, clients, and what was recorded."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from bench.analysis.wording import NA
from bench.core.results.metrics.metric import QUANTILES
from bench.core.results.summary import Cell, Summary
from bench.reports.page.grid import (
    Grid,
    GridField,
    GridHead,
    GridLine,
    delivery,
    heads,
    number,
    plain,
    sort_number,
    text,
)
from bench.reports.tables import recorded, sweep
from bench.reports.tables.checks import FLOORS_HEADS, FLOORS_TITLE, floors
from bench.reports.tables.times import (
    COST,
    COSTS,
    TIME,
    TIMES,
    ColumnHead,
    cost_deliveries,
    cost_texts,
    details,
    pairs_text,
    time_entries,
    unfit,
)

SOONER = [metric.name for metric, _ in TIMES].index("gain")
LONGEST_REASON = 40
"""A page has more room than a terminal."""
FEW = "NOT ENOUGH DATA: "
NO_MEMORY = "no memory pass"


def anchor(cell: Cell) -> str:
    """Return the anchor of a cell's part of the page."""
    return f"cell-{cell.number}"


def time_grid(summary: Summary) -> Grid:
    """Tabulate the times of each cell, and why a number is missing."""
    lines = []
    for cell in summary.cells:
        saved = summary.row(cell, "paired", "gain", "hl", "ratio")  # of the wait for the blocking answer
        bar = saved.estimate if saved and saved.estimate is not None and 0 < saved.estimate <= 1 else None
        fields = [text(cell.label, link=anchor(cell)), GridField(pairs_text(cell), sort=str(cell.pairs))]
        for place, entry in enumerate(time_entries(summary, cell, LONGEST_REASON)):
            field = number(entry._replace(below=entry.below.removeprefix(FEW)))
            fields.append(field._replace(bar=bar if place == SOONER and entry.number is not None else None))
        lines.append(GridLine(fields, bool(unfit(cell))))
    named = [GridHead("scenario", text=True), GridHead("pairs")]
    return Grid("Times streamed and blocking, by scenario", [*named, *heads([], TIME)], lines)


def cost_grid(summary: Summary) -> Grid:
    """Tabulate the costs of each cell and delivery."""
    lines = [
        GridLine([text(cell.label, link=anchor(cell)), delivery(name), *_costs(summary, cell, name)], bool(unfit(cell)))
        for cell in summary.cells
        for name in cost_deliveries(summary, cell)
    ]
    return Grid(
        "Failures, retries, memory and CPU, by scenario and delivery", heads(("scenario", "delivery"), COST), lines
    )


def _costs(summary: Summary, cell: Cell, name: str) -> Iterator[GridField]:
    for shown, (metric, place) in zip(cost_texts(summary, cell, name), COSTS, strict=True):
        of_memory = metric.of == "memory"
        row = (
            summary.memory_row(cell, name, metric.name)
            if of_memory
            else summary.row(cell, name, metric.name, place.statistic)
        )
        bad = metric.name == "failures" and row is not None and bool(row.estimate)
        known = row is not None and any(char.isdigit() for char in shown)
        why = NO_MEMORY if of_memory and shown == NA and not summary.memory else ""
        number_ = sort_number(row.estimate) if row and known else ""
        yield GridField(shown, why, number_, "bad" if bad else "")


def delivery_grid(title: str, name: str, columns: Iterable[ColumnHead], lines: Iterable[sweep.DeliveryLine]) -> Grid:
    """Tabulate the lines of a sweep, or of what the SDK adds."""
    rows = [
        GridLine([text(line.name), delivery(line.delivery), *map(number, line.entries)], line.unfit) for line in lines
    ]
    return Grid(title, heads((name, "delivery"), columns), rows, sortable=False)


def recorded_grid(summary: Summary) -> Grid | None:
    """Tabulate what the scenarios recorded; None where they recorded nothing."""
    found = list(recorded.recorded_lines(summary))
    names = [GridHead(name, text=name in {"scenario", "name"}) for name in recorded.HEADS]
    lines = [
        GridLine([GridField(line.cell.label), *map(GridField, line.texts)], bool(unfit(line.cell))) for line in found
    ]
    return Grid(recorded.TITLE, names, lines, sortable=False) if found else None


def floor_grid(summary: Summary) -> Grid | None:
    """Tabulate what the instrument adds; None without a calibration."""
    lines = [GridLine([GridField(load), *map(number, entries)]) for load, entries in floors(summary)]
    names = [GridHead(name, text=place == 0) for place, name in enumerate(FLOORS_HEADS)]
    return Grid(FLOORS_TITLE, names, lines, sortable=False) if lines else None


def quantile_grid(summary: Summary, cell: Cell) -> Grid:
    """Tabulate every quantile of one cell."""
    rows = ([*row[:4], *row.quantiles] for row in details(summary, cell))
    return plain(f"All quantiles of {cell.label}", ("metric", "delivery", "n", "failed", *QUANTILES), rows, left=2)
