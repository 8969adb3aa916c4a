"""Show targets and models beside each other: which is fastest, and what changed against the baseline of the run."""

from __future__ import annotations

from typing import NamedTuple

from bench.core.results.comparison import Change, Comparison, Ranking
from bench.core.results.summary import Summary
from bench.reports.page.charts import PageChart, page_chart
from bench.reports.page.compare import change_grid, forest
from bench.reports.page.grid import Grid, GridField, GridHead, GridLine, number, sort_number, text
from bench.reports.tables import changes as words
from bench.reports.tables.times import NONE, entry

METRICS = {"ttfu": "first useful", "total": "whole"}
"""What a ranking shows, streamed."""


class RankingPart(NamedTuple):
    """Which is fastest in one scenario."""

    ranking: Ranking
    grid: Grid
    charts: list[PageChart]


class RunComparison(NamedTuple):
    """One side of the run beside its baseline."""

    comparison: Comparison
    sentence: str
    counted: str
    grid: Grid
    charts: list[PageChart]


def rankings(summary: Summary) -> list[RankingPart]:
    """Rank the targets or models, where there are several."""
    if not summary.rankings:
        return []
    from bench.reports.charts.ranking import ranking_chart  # noqa: PLC0415  (altair)

    shown = [(one, ranking_chart(one, summary)) for one in summary.rankings]
    return [RankingPart(one, _ranking_grid(summary, one), [page_chart(chart)] if chart else []) for one, chart in shown]


def run_comparisons(summary: Summary) -> list[RunComparison]:
    """Make a part for each comparison within the run."""
    return [
        RunComparison(
            shown,
            words.sentence(shown),
            words.counts_text(words.counts(shown.changes)),
            change_grid(shown),
            forest(shown),
        )
        for shown in map(words.select_shown, summary.comparisons)
    ]


def _ranking_grid(summary: Summary, ranking: Ranking) -> Grid:
    medians = [GridHead(name, "median, streamed") for name in METRICS.values()]
    behind = [GridHead(f"{name} later", "than the fastest") for name in METRICS.values()]
    lines = []
    for one in ranking.entries:
        shown = [number(entry(summary.row(one, "streamed", metric, "p50"))) for metric in METRICS]
        later = {change.metric: change for change in one.behind}
        lines.append(GridLine([text(one.name), *shown, *(_later(later.get(metric)) for metric in METRICS)]))
    return Grid(f"Fastest in {ranking.label}", [GridHead("who", text=True), *medians, *behind], lines)


def _later(change: Change | None) -> GridField:
    """Return by how much with its interval, or why that is not known; of the fastest itself a dash, sorted as 0."""
    if change is None:
        return GridField(NONE, sort="0")
    if change.ratio is None:
        return GridField("n/a", change.note.removeprefix("n/a ").strip("()"))
    return GridField(words.change_text(change), f"n={change.n}, {change.method}", sort_number(change.ratio))
