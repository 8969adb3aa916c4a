"""Write `compare.html`: a comparison as one page that needs no network."""

from __future__ import annotations

from bench.analysis.comparison.effects import outcome
from bench.analysis.wording import interval, value
from bench.core.results.comparison import Change, Comparison
from bench.reports.page.charts import PageChart, page_chart
from bench.reports.page.document import render_page
from bench.reports.page.grid import Grid, GridField, GridHead, GridLine, sort_number, text
from bench.reports.tables import changes as words

KINDS = {"worse": "bad", "better": "good"}


def render_html(comparison: Comparison) -> str:
    """Render what speaks against the comparison, the answer, the chart, and the table, worst first."""
    shown = words.select_shown(comparison)
    found, charts = words.counts(shown.changes), forest(shown)
    return render_page(
        "compare.html.j2",
        with_vega=bool(charts),
        title=f"{comparison.current.name} against {comparison.baseline.name}",
        comparison=comparison,
        answer=words.sentence(comparison),
        charts=charts,
        changes=change_grid(shown),
        counted=f"{words.counts_text(found)}; {words.chance_text(found)}",
        resolved=words.capital(words.resolution_text(comparison)),
        notes=list(words.notes(shown.changes)),
    )


def forest(shown: Comparison) -> list[PageChart]:
    """Draw the ratios; no chart where there is no ratio."""
    from bench.reports.charts.forest import forest_chart  # noqa: PLC0415  (altair)

    return [page_chart(forest_chart(shown))] if any(change.ratio is not None for change in shown.changes) else []


def change_grid(shown: Comparison) -> Grid:
    """Tabulate every number shown, on both sides, with its change and verdict."""
    names = ("cell", "delivery", "metric", "baseline", "current", "change", "n", "verdict")
    words_in = {"cell", "delivery", "metric", "verdict"}
    heads = [GridHead(name, "95 %" if name == "change" else "", text=name in words_in) for name in names]
    return Grid("What changed, worst first", heads, list(map(_line, shown.changes)))


def _line(change: Change) -> GridLine:
    names = [text(change.label), text(change.delivery, kind=change.delivery), text(words.metric(change))]
    sides = [
        GridField(value(row), interval(row), sort_number(row.estimate)) for row in (change.baseline, change.current)
    ]
    ratio = change.ratio if change.ratio is not None else change.difference
    moved = GridField(
        words.change_text(change),
        "paired" if change.method == "paired" else "",
        sort_number(ratio),
        KINDS.get(outcome(change), ""),
    )
    return GridLine([*names, *sides, moved, GridField(str(change.n), sort=str(change.n)), text(words.verdict(change))])
