"""Make the texts of the tables of times and costs, the same in Markdown and in HTML."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.analysis.wording import NA, interval, reason, value, with_interval
from bench.core.results.metrics.metric import PAIRED, QUANTILES, Metric, ReportPlace
from bench.core.results.metrics.registry import BY_NAME, MEMBERS, METRICS, places
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Summary

NONE = "–"
LONGEST_REASON = 16
"""A longer reason stands below the table, not in it."""


class Entry(NamedTuple):
    """One number of the table: what is printed large, and below it the interval or the reason why it is missing."""

    main: str
    below: str = ""
    number: float | None = None
    """What it is sorted by; None without an estimate."""


class ColumnHead(NamedTuple):
    """Head of a column, in two lines."""

    top: str
    bottom: str

    @property
    def title(self) -> str:
        """Return the head in one line."""
        return f"{self.top}, {self.bottom}" if self.bottom else self.top


TIMES, COSTS = places("times"), places("costs")
TIME, COST = (tuple(ColumnHead(place.top, place.bottom) for _, place in table) for table in (TIMES, COSTS))
CAPTION = (
    "Medians over all offered trials (a failure counts as ∞); seen sooner and finish: shift over the pairs in which "
    "both are ok. In brackets the 95 % interval. Client memory: measured apart on sim, above what was there before the "
    "call, at the longest answer; Python's own blocks by tracemalloc, and the process (RSS)."
)
DELIVERIES = ("streamed", "blocking")
DETAILED = sorted((metric for metric in METRICS if metric.quantiles), key=lambda metric: metric.quantiles)


def time_entries(summary: Summary, cell: Cell, longest: int = LONGEST_REASON) -> list[Entry]:
    """Return the cell's entries under TIME; of numbers that may not be believed only the word for it.

    `longest`: characters of a reason that there is room for.
    """
    if word := unfit(cell):
        return [Entry(word), *[Entry(NONE)] * (len(TIME) - 1)]
    if cell.unsupported:
        return [Entry(NA, "unsupported"), *[Entry(NA)] * (len(TIME) - 1)]
    shown = [entry(summary.row(cell, p.delivery, m.name, p.statistic, p.unit), longest) for m, p in TIMES]
    if not cell.unpaired:
        return shown
    absent = iter((Entry(NONE, "no blocking"), *[Entry(NONE)] * len(TIMES)))
    return [one if place.delivery == "streamed" else next(absent) for one, (_, place) in zip(shown, TIMES, strict=True)]


def pairs_text(cell: Cell) -> str:
    """Return how many pairs the cell has, or a dash where it can have none."""
    return NONE if cell.unpaired else str(cell.pairs)


def unfit(cell: Cell) -> str:
    """Return SATURATED or INVALID for a cell whose numbers may not be believed, else ""."""
    return "SATURATED" if cell.saturated else "INVALID" if cell.invalid else ""


def cost_texts(summary: Summary, cell: Cell, delivery: str) -> list[str]:
    """Return the cell's texts under COST, for one delivery. A cell that is unfit keeps its counts, not its times."""
    return [_cost(summary, cell, delivery, metric, place) for metric, place in COSTS]


def _cost(summary: Summary, cell: Cell, delivery: str, metric: Metric, place: ReportPlace) -> str:
    """Return the number or n/a, with the reason where the scenario uses a client of its own."""
    if place.delivery not in {"", delivery}:
        return ""
    if metric.name == "memory_peak":
        return _peaks(summary, cell, delivery)
    if metric.of == "memory":
        return with_interval(summary.memory_row(cell, delivery, metric.name), unit=False)
    row = summary.row(cell, delivery, metric.name, place.statistic)
    if metric.name == "failures":
        return f"{value(row)} of {row.n}" if row else NA
    if unfit(cell) and metric.unit.startswith("ms"):
        return NONE
    return f"{NA}: own client" if reason(row) == "own client" else value(row)


def _peaks(summary: Summary, cell: Cell, delivery: str) -> str:
    """Join both meters' peaks, the unit said once where both have it, and n/a once where both are."""
    texts = [value(summary.memory_row(cell, delivery, f"memory_peak{meter}")) for meter in ("", ".rss")]
    (first, _, unit), (_, _, other) = (text.partition(" ") for text in texts)
    if texts == [NA, NA]:
        return NA
    return f"{first if unit == other else texts[0]} / {texts[1]}"


def cost_deliveries(summary: Summary, cell: Cell) -> list[str]:
    """Return the deliveries that the cell has trials of."""
    return [delivery for delivery in DELIVERIES if summary.row(cell, delivery, "failures", "sum")]


class Detail(NamedTuple):
    """One metric of one delivery with all its quantiles, as text."""

    metric: str
    delivery: str
    n: str
    failed: str
    quantiles: tuple[str, ...]


def details(summary: Summary, cell: Cell) -> Iterator[Detail]:
    """Yield what the tables leave out: every quantile of every metric, and what plugins recorded."""
    own = {row.metric for row in summary.rows if row.key == cell.key and row.metric not in BY_NAME}
    recorded = sorted(name for name in own if not name.startswith(MEMBERS))
    lines = [(metric.name, delivery) for metric in DETAILED for delivery in metric.deliveries]
    together = [line for line in lines if line[1] in PAIRED]
    apart = [line for line in lines if line not in together]
    named = (*apart, *((name, delivery) for name in recorded for delivery in DELIVERIES), *together)
    for metric, delivery in named:
        found = [summary.row(cell, delivery, metric, quantile) for quantile in QUANTILES]
        if first := next(filter(None, found), None):
            both_of_them = delivery.replace("paired", "both")
            yield Detail(metric, both_of_them, str(first.n), str(first.failed), tuple(map(full_text, found)))


def full_text(row: Row | None) -> str:
    """Return estimate and interval, or n/a and why; "" where there is no row."""
    if row is None:
        return ""
    return with_interval(row) if row.estimate is not None else f"n/a ({reason(row)})"


def entry(row: Row | None, longest: int = LONGEST_REASON) -> Entry:
    """Return estimate and interval; or n/a, with the reason where it is at most `longest` characters."""
    why = reason(row)
    below = interval(row) or (why if len(why) <= longest else "")
    return Entry(value(row), below, row.estimate if row else None)


def footnotes(summary: Summary, cell: Cell) -> Iterator[str]:
    """Yield what the table has no room for: why a cell is invalid, its notes, long reasons, and trials left out."""
    if cell.invalid and cell.invalid not in summary.trust.sentence:
        yield f"INVALID: {cell.invalid}"
    if cell.unsupported:
        yield f"unsupported there, so not measured: {cell.unsupported}"
        return
    if cell.unpaired:
        yield f"{cell.unpaired}: it has its own columns only"
    if cell.saturated and cell.saturated not in summary.trust.sentence:
        yield f"SATURATED: {cell.saturated}"
    yield from cell.notes
    if unfit(cell):
        return
    for row in (summary.row(cell, "paired", "gain", "hl", "ms"), summary.row(cell, "streamed", "ttft", "p50")):
        if row and len(reason(row)) > LONGEST_REASON and not any(reason(row) in note for note in cell.notes):
            yield f"{row.metric}: {reason(row)}"
    for metric in ("ttft", "ttft_visible", "first_event"):
        row = summary.row(cell, "streamed", metric, "p50")
        if row and row.estimate is not None and row.note:
            yield f"{metric}: {row.note}"
