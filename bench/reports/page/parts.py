"""One cell, one claim, one group of failed trials: what the page shows of each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from bench.analysis.wording import milliseconds
from bench.core.summary import Cell, Claim, Failure, Outlier, Summary
from bench.reports.page.charts import Drawn, drawn, fitting
from bench.reports.page.grid import Field, Grid, Head, Line, delivery, sort_number, text
from bench.reports.page.numbers import quantile_grid
from bench.reports.tables.checks import checks
from bench.reports.tables.times import footnotes

MOST_FAILURES = 30
LONGEST_ERROR = 400
FAILURE_HEADS = ("trial", "cell", "delivery", "class", "what happened", "client id", "server id")


class Section(NamedTuple):
    """One cell's part of the page."""

    cell: Cell
    notes: list[str]
    charts: list[Drawn]
    left_out: int
    """Charts that the page has no room for."""
    quantiles: Grid
    checks: list[str]


class Card(NamedTuple):
    """One claim's part of the page."""

    claim: Claim
    charts: list[Drawn]


def sections(summary: Summary) -> list[Section]:
    """A section for each cell, with all its charts."""
    from bench.reports.charts.built_in import cell_charts  # noqa: PLC0415  (altair)

    return [
        Section(
            cell,
            list(_notes(summary, cell)),
            [drawn(chart) for chart in cell_charts(summary, cell)],
            0,
            quantile_grid(summary, cell),
            list(checks(summary, cell)),
        )
        for cell in summary.cells
    ]


def _notes(summary: Summary, cell: Cell) -> Iterator[str]:
    """What is to be known beside the verdict, and not said in it."""
    return (note for note in footnotes(summary, cell) if (note.partition(": ")[2] or note) not in cell.verdict)


def within(found: list[Section], room: int) -> list[Section]:
    """With as many charts as fit into so many bytes."""
    kept = fitting([section.charts for section in found], room)
    return [
        section._replace(charts=charts, left_out=len(section.charts) - len(charts))
        for section, charts in zip(found, kept, strict=True)
    ]


def cards(claims: Iterable[Claim]) -> list[Card]:
    """A card for each claim."""
    from bench.reports.charts.gain_by_length import claim_charts  # noqa: PLC0415

    return [Card(claim, [drawn(chart) for chart in claim_charts(claim)]) for claim in claims]


def failed_classes(summary: Summary) -> Iterator[tuple[str, int]]:
    """How many trials failed in each class, the most frequent first; of those that are listed."""
    return iter(Counter(failure.status for failure in summary.failures).most_common())


def failure_grid(summary: Summary) -> Grid:
    """The first failed trials, with what it takes to find them in the server's log."""
    lines = [
        Line([text(str(f.trial_id)), text(f.cell), delivery(f.delivery), text(f.status), *_told(f.error, f)])
        for f in summary.failures[:MOST_FAILURES]
    ]
    return Grid("Failed trials", [Head(name, text=True) for name in FAILURE_HEADS], lines)


def outlier_grid(summary: Summary) -> Grid:
    """Ok trials far from the others."""
    words, ids = ("trial", "cell", "delivery", "metric"), ("seen with it", "client id", "server id")
    heads = [*(Head(x, text=True) for x in words), Head("took"), Head("median"), *(Head(x, text=True) for x in ids)]
    return Grid("Outliers", heads, [Line(list(_outlier(one))) for one in summary.outliers])


def _outlier(one: Outlier) -> Iterator[Field]:
    yield from (text(str(one.trial_id)), text(one.cell), delivery(one.delivery), text(one.metric))
    yield from (Field(milliseconds(ms), sort=sort_number(ms)) for ms in (one.ms, one.median))
    yield from _told(one.cause or "nothing", one)


def _told(what: str, one: Failure | Outlier) -> list[Field]:
    """What is known of it, and the ids to look for."""
    ids = [text(name, kind="id") for name in (one.client_id, one.server_id)]
    return [text(what[:LONGEST_ERROR], kind="words"), *ids]
