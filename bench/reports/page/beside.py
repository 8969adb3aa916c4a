"""Targets and models beside each other: which is fastest, and what changed against the baseline of the run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from bench.core.comparison import Change, Comparison, Ranked, Ranking
from bench.core.row import Row
from bench.core.summary import Summary
from bench.reports.page.charts import Drawn, drawn
from bench.reports.page.compare import change_grid, forest
from bench.reports.page.grid import Field, Grid, Head, Line, number, sort_number, text
from bench.reports.tables import changes as words
from bench.reports.tables.times import NONE, entry

METRICS = {"ttfu": "first useful", "total": "whole"}
"""What a ranking shows, streamed."""


class Ranks(NamedTuple):
    """Which is fastest in one scenario."""

    ranking: Ranking
    grid: Grid
    charts: list[Drawn]


class Beside(NamedTuple):
    """One side of the run beside its baseline."""

    comparison: Comparison
    sentence: str
    counted: str
    grid: Grid
    charts: list[Drawn]


def ranks(summary: Summary) -> list[Ranks]:
    """Which target or model is fastest, where there are several."""
    if not summary.rankings:
        return []
    from bench.reports.charts.ranking import ranking_chart  # noqa: PLC0415  (altair)

    shown = [(one, ranking_chart(one, summary)) for one in summary.rankings]
    return [Ranks(one, _ranking_grid(summary, one), [drawn(chart)] if chart else []) for one, chart in shown]


def besides(summary: Summary) -> list[Beside]:
    """The comparisons within the run, of the numbers that are shown of any comparison."""
    return [_beside(words.displayed(one)) for one in summary.comparisons]


def _beside(shown: Comparison) -> Beside:
    counted = words.counted(words.counts(shown.changes))
    return Beside(shown, words.sentence(shown), counted, change_grid(shown), forest(shown))


def _ranking_grid(summary: Summary, ranking: Ranking) -> Grid:
    medians = [Head(name, "median, streamed") for name in METRICS.values()]
    behind = [Head(f"{name} later", "than the fastest") for name in METRICS.values()]
    lines = [Line([text(one.name), *_ranked(summary, one)]) for one in ranking.entries]
    return Grid(f"Fastest in {ranking.label}", [Head("who", text=True), *medians, *behind], lines)


def _ranked(summary: Summary, one: Ranked) -> Iterator[Field]:
    rows = {row.metric: row for row in summary.rows if _is_median(row, one)}
    yield from (number(entry(rows.get(metric))) for metric in METRICS)
    behind = {change.metric: change for change in one.behind}
    yield from (_later(behind.get(metric)) for metric in METRICS)


def _is_median(row: Row, one: Ranked) -> bool:
    return (row.key, row.delivery, row.statistic) == (one.key, "streamed", "p50")


def _later(change: Change | None) -> Field:
    """By how much, with its interval; why that is not known; of the fastest itself a dash, sorted as 0."""
    if change is None:
        return Field(NONE, sort="0")
    if change.ratio is None:
        return Field("n/a", change.note.removeprefix("n/a ").strip("()"))
    return Field(words.change_text(change), f"n={change.n}, {change.method}", sort_number(change.ratio))
