"""`compare.html`: a comparison as one page that needs no network."""

from __future__ import annotations

from bench.analysis.comparison.effects import outcome
from bench.analysis.wording import interval, value
from bench.core.comparison import Change, Comparison
from bench.reports.page.charts import Drawn, drawn
from bench.reports.page.document import render_page
from bench.reports.page.grid import Field, Grid, Head, Line, sort_number, text
from bench.reports.tables import changes as words

KINDS = {"worse": "bad", "better": "good"}


def render_html(comparison: Comparison) -> str:
    """What speaks against it, the answer, the picture, and the table, worst first."""
    shown = words.displayed(comparison)
    found, charts = words.counts(shown.changes), forest(shown)
    return render_page(
        "compare.html.j2",
        drawn=bool(charts),
        title=f"{comparison.current.name} against {comparison.baseline.name}",
        comparison=comparison,
        answer=words.sentence(comparison),
        charts=charts,
        changes=change_grid(shown),
        counted=f"{words.counted(found)}; {words.by_chance(found)}",
        resolved=words.capital(words.resolved(comparison)),
        notes=list(words.notes(shown.changes)),
    )


def forest(shown: Comparison) -> list[Drawn]:
    """The plot of its ratios; none where there is no ratio."""
    from bench.reports.charts.forest import forest_chart  # noqa: PLC0415  (altair)

    return [drawn(forest_chart(shown))] if any(change.ratio is not None for change in shown.changes) else []


def change_grid(shown: Comparison) -> Grid:
    """Every number shown, on both sides, and what became of it."""
    named = [Head(name, text=True) for name in ("cell", "delivery", "metric")]
    heads = [*named, Head("baseline"), Head("current"), Head("change", "95 %"), Head("n"), Head("verdict", text=True)]
    return Grid("What changed, worst first", heads, list(map(_line, shown.changes)))


def _line(change: Change) -> Line:
    names = [text(change.label), text(change.delivery, kind=change.delivery), text(words.metric(change))]
    sides = [Field(value(row), interval(row), sort_number(row.estimate)) for row in (change.baseline, change.current)]
    ratio = change.ratio if change.ratio is not None else change.difference
    moved = Field(
        words.change_text(change),
        "paired" if change.method == "paired" else "",
        sort_number(ratio),
        KINDS.get(outcome(change), ""),
    )
    return Line([*names, *sides, moved, Field(str(change.n), sort=str(change.n)), text(words.verdict(change))])
