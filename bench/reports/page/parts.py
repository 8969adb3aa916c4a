"""Make the parts of the page about a cell, a claim, failed trials and outliers."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from bench.analysis.wording import milliseconds
from bench.core.results.summary import Cell, Claim, Failure, Outlier, Summary
from bench.reports.page.charts import PageChart, fitting, page_chart
from bench.reports.page.grid import Grid, GridField, GridHead, GridLine, delivery, sort_number, text
from bench.reports.page.numbers import quantile_grid
from bench.reports.tables.checks import checks
from bench.reports.tables.times import footnotes

MOST_FAILURES = 30
LONGEST_ERROR = 400
FAILURE_HEADS = ("trial", "cell", "delivery", "class", "what happened", "client id", "server id")


class CellPart(NamedTuple):
    """One cell's part of the page."""

    cell: Cell
    notes: list[str]
    charts: list[PageChart]
    left_out: int
    """Charts that the page has no room for."""
    quantiles: Grid
    checks: list[str]


class ClaimCard(NamedTuple):
    """One claim's part of the page."""

    claim: Claim
    charts: list[PageChart]


def cell_parts(summary: Summary) -> list[CellPart]:
    """Make a part for each cell, with all its charts."""
    from bench.reports.charts.built_in import cell_charts  # noqa: PLC0415  (altair)

    return [
        CellPart(
            cell,
            [note for note in footnotes(summary, cell) if (note.partition(": ")[2] or note) not in cell.verdict],
            [page_chart(chart) for chart in cell_charts(summary, cell)],
            0,
            quantile_grid(summary, cell),
            list(checks(summary, cell)),
        )
        for cell in summary.cells
    ]


def with_room(found: list[CellPart], room: int) -> list[CellPart]:
    """Keep as many charts as fit into `room` bytes."""
    kept = fitting([section.charts for section in found], room)
    return [
        section._replace(charts=charts, left_out=len(section.charts) - len(charts))
        for section, charts in zip(found, kept, strict=True)
    ]


def claim_cards(claims: Iterable[Claim]) -> list[ClaimCard]:
    """Make a card for each claim."""
    from bench.reports.charts.gain_by_length import claim_charts  # noqa: PLC0415  (altair)

    return [ClaimCard(claim, [page_chart(chart) for chart in claim_charts(claim)]) for claim in claims]


def failed_classes(summary: Summary) -> list[tuple[str, int]]:
    """Count the listed failures of each class, the most frequent first."""
    return Counter(failure.status for failure in summary.failures).most_common()


def failure_grid(summary: Summary) -> Grid:
    """Tabulate the first failed trials, with what it takes to find them in the server's log."""
    lines = [
        GridLine(
            [text(str(f.trial_id)), text(f.cell), delivery(f.delivery), text(f.status), *_error_fields(f.error, f)]
        )
        for f in summary.failures[:MOST_FAILURES]
    ]
    return Grid("Failed trials", [GridHead(name, text=True) for name in FAILURE_HEADS], lines)


def outlier_grid(summary: Summary) -> Grid:
    """Tabulate ok trials far from the others."""
    names = ("trial", "cell", "delivery", "metric", "took", "median", "seen with it", "client id", "server id")
    heads = [GridHead(name, text=name not in {"took", "median"}) for name in names]
    lines = []
    for one in summary.outliers:
        words = [text(str(one.trial_id)), text(one.cell), delivery(one.delivery), text(one.metric)]
        times = [GridField(milliseconds(ms), sort=sort_number(ms)) for ms in (one.ms, one.median)]
        lines.append(GridLine([*words, *times, *_error_fields(one.cause or "nothing", one)]))
    return Grid("Outliers", heads, lines)


def _error_fields(what: str, one: Failure | Outlier) -> list[GridField]:
    """Return what is known of a trial, and the ids to look for."""
    ids = [text(name, kind="id") for name in (one.client_id, one.server_id)]
    return [text(what[:LONGEST_ERROR], kind="words"), *ids]
