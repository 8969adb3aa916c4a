"""Tabulate loads, and what the SDK adds to client wire, for the terminal, Markdown and HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.analysis.wording import value, with_interval
from bench.core.load import parse_load
from bench.core.results.metrics.metric import QUANTILES, Metric, ReportPlace
from bench.core.results.metrics.registry import LEAST_GOOD, NO_DIFFERENCE, places
from bench.core.results.summary import Cell, Summary
from bench.reports.tables.times import DELIVERIES, NONE, ColumnHead, Entry, entry, unfit

TITLE = "Under load"
LOADS, CLIENTS = places("loads"), places("clients")
COLUMNS = (
    ColumnHead("trials", ""),
    *(ColumnHead(place.top, place.bottom) for _, place in LOADS),
    ColumnHead("failed", ""),
)
SHED = ColumnHead("shed", "")
"""A column of its own where anything was shed."""
LATE_CLIENT = "client late"
LATE = "SATURATED: the client was late; "
"""Before the note of a number whose client was late."""
LOOPS = {"c": "closed", "rate": "open"}
SDK = "sdk_"
"""How the names of metrics begin that are differences between the two clients."""
TITLE_SDK = "What the SDK adds"
COLUMNS_SDK = tuple(ColumnHead(place.top, place.bottom) for _, place in CLIENTS)
CAPTION_SDK = (
    "Client sdk against client wire, which only reads and stamps: median difference of the ok trials of both "
    "(Hodges-Lehmann, unpaired), in brackets the 95 % interval. CPU: of wire that of the process that reads; what it "
    "read is decoded elsewhere, and no stamp waits for that."
)


class DeliveryLine(NamedTuple):
    """The numbers of one delivery."""

    name: str
    """The load in a sweep, the cell where clients are compared."""
    delivery: str
    entries: list[Entry]
    """Under the columns of the sweep, or COLUMNS_SDK."""
    unfit: bool = False


class Sweep(NamedTuple):
    """What differs in its load only."""

    label: str
    columns: tuple[ColumnHead, ...]
    lines: list[DeliveryLine]
    knees: list[str]


def sweeps(summary: Summary) -> list[Sweep]:
    """Make a table of each scenario that ran under load, with concurrency 1 beside it; none for a run without load."""
    return [_sweep(summary, cells) for cells in under_load(summary)]


def under_load(summary: Summary) -> list[list[Cell]]:
    """Group the cells that differ in their load only, sorted by load; groups without load are left out."""
    groups: dict[object, list[Cell]] = {}
    for cell in summary.cells:
        groups.setdefault(cell.key._replace(load=""), []).append(cell)
    loaded = [cells for cells in groups.values() if not all(parse_load(cell.key.load).sequential for cell in cells)]
    return [sorted(cells, key=lambda cell: parse_load(cell.key.load).place) for cells in loaded]


def _sweep(summary: Summary, cells: list[Cell]) -> Sweep:
    parts = [(cell, name) for cell in cells for name in DELIVERIES if summary.row(cell, name, "failures", "sum")]
    shed = any(summary.row(cell, name, "failures.shed", "sum") for cell, name in parts)
    lines = [
        DeliveryLine(cell.key.load, name, list(_entries(summary, cell, name, shed=shed)), bool(unfit(cell)))
        for cell, name in parts
    ]
    return Sweep(label(cells[0]), (*COLUMNS, SHED) if shed else COLUMNS, lines, list(_knees(summary, cells[0])))


def label(cell: Cell) -> str:
    """Return the cell's label without the load."""
    return cell.label.removesuffix(cell.key.load).strip()


def _entries(summary: Summary, cell: Cell, delivery: str, *, shed: bool) -> Iterator[Entry]:
    failed = summary.row(cell, delivery, "failures", "sum")
    yield Entry(str(failed.n) if failed else "")
    if word := unfit(cell):
        yield from (Entry(word), *[Entry(NONE)] * (len(LOADS) - 1))
    else:
        yield from (_load_entry(summary, cell, delivery, metric, place) for metric, place in LOADS)
    yield Entry(value(failed))
    if shed:
        yield Entry(value(summary.row(cell, delivery, "failures.shed", "sum")).replace("n/a", "0"))


def _load_entry(summary: Summary, cell: Cell, delivery: str, metric: Metric, place: ReportPlace) -> Entry:
    """Return the text of a metric at one load; a rate has no unit here, because the column's head has it."""
    if place.delivery not in {"", delivery}:
        return Entry(NONE)
    row = summary.row(cell, delivery, metric.name, place.statistic)
    if row is None and place.statistic not in QUANTILES:
        return Entry(NONE)
    return entry(row)._replace(main=value(row, unit=False)) if place.statistic == "rate" else entry(row)


def _knees(summary: Summary, cell: Cell) -> Iterator[str]:
    """Yield a line for each kind of load, and for each delivery where they differ."""
    mine = [knee for knee in summary.knees if knee.key._replace(load="") == cell.key._replace(load="")]
    loops = list(dict.fromkeys(knee.key.load for knee in mine))
    for loop in loops:
        where = f" in {LOOPS[loop]} loop" if len(loops) > 1 else ""
        said: dict[str, list[str]] = {}
        for knee in mine:
            if knee.key.load == loop:
                said.setdefault(knee.said, []).append(knee.delivery)
        for text, deliveries in said.items():
            whose = f", {deliveries[0]}" if len(said) > 1 else ", both deliveries" if len(deliveries) > 1 else ""
            yield f"knee{where}{whose}: {text}"


def caption(summary: Summary) -> str:
    """Explain the numbers under load that this run has."""
    loads = [parse_load(cell.key.load) for cell in summary.cells]
    limits = " and ".join(dict.fromkeys(slos(summary)))
    parts = ["Per second: what ended ok while the load was steady."]
    if limits:
        parts.append(
            f"Good: of all offered, those that kept to {limits}; up to the knee {100 * LEAST_GOOD:.0f} % and more are."
        )
    if any(load.open_loop for load in loads):
        parts.append(
            "rate: open loop, times count from the intended time of the request, whatever has become of earlier ones."
        )
    if any(load.open_loop for load in loads) and not all(load.open_loop for load in loads):
        parts.append("c: closed loop, where a slow answer delays the next request: not comparable with open loop.")
    return " ".join(parts)


def slos(summary: Summary) -> Iterator[str]:
    """Yield the limits that goodput was counted under, as `ttft=500ms`; a limit may come several times."""
    rows = (row for row in summary.rows if row.metric == "goodput" and row.estimate is not None)
    return (part for row in rows for part in row.note.split("; ")[0].removeprefix(LATE).split(" and ") if "=" in part)


def sdk_costs(summary: Summary) -> list[DeliveryLine]:
    """Make a line for each cell and delivery that both clients measured."""
    found = []
    for cell in (cell for cell in summary.cells if cell.key.client == "sdk"):
        for delivery in DELIVERIES:
            differences = (summary.row(cell, delivery, m.name, p.statistic) for m, p in CLIENTS if SDK in m.name)
            if any(differences):
                entries = [_client_entry(summary, cell, delivery, metric, place) for metric, place in CLIENTS]
                label = " ".join(word for word in cell.label.split(" ") if word != "sdk")
                found.append(DeliveryLine(label, delivery, entries))
    return found


def _client_entry(summary: Summary, cell: Cell, delivery: str, metric: Metric, place: ReportPlace) -> Entry:
    """Return the difference between both clients; or the number of the client that the column's head names."""
    if place.delivery not in {"", delivery}:
        return Entry(NONE)
    if SDK not in metric.name:
        key = cell.key._replace(client=place.bottom)
        one = next((one for one in summary.cells if one.key == key), cell)
        return Entry(with_interval(summary.row(one, delivery, metric.name, place.statistic)))
    row = summary.row(cell, delivery, metric.name, place.statistic)
    if row is None:
        return Entry(NONE)
    return Entry(LATE_CLIENT) if row.note.endswith(NO_DIFFERENCE) else entry(row)
