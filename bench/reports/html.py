"""Write `report.html`: one file that needs no network, to look at or to send to someone."""

from __future__ import annotations

import shlex
from typing import Any, NamedTuple

from bench.core.results.summary import Summary
from bench.reports.page import numbers, parts
from bench.reports.page.beside import rankings, run_comparisons
from bench.reports.page.charts import LARGEST, PageChart, page_chart
from bench.reports.page.document import render_page
from bench.reports.page.facts import facts
from bench.reports.page.glossary import formulas, terms
from bench.reports.page.grid import Grid
from bench.reports.tables import checks, claims, recorded, sweep
from bench.reports.tables.times import CAPTION, unfit
from bench.reports.terminal.report import title


def render_html(summary: Summary) -> str:
    """Render the whole page, with as many charts of cells as it has room for."""
    sections, values = parts.cell_parts(summary), _template_values(summary)

    def render(sections: list[parts.CellPart]) -> str:
        with_vega = values["charted"] or any(one.charts or one.left_out for one in sections)
        return render_page("report.html.j2", with_vega=with_vega, sections=sections, **values)

    page = render(sections)
    if len(page.encode()) <= LARGEST:
        return page
    bare = render(parts.with_room(sections, 0))
    return render(parts.with_room(sections, LARGEST - len(bare.encode())))


def _template_values(summary: Summary) -> dict[str, Any]:
    """Return the values in the order in which a reader asks: is it true, what is the answer, how much, and why."""
    ranked, compared, loads = rankings(summary), run_comparisons(summary), _load_parts(summary)
    cards, times, added = parts.claim_cards(summary.claims), numbers.time_grid(summary), sweep.sdk_costs(summary)
    return {
        "charted": any(one.charts for group in (cards, ranked, compared, loads) for one in group),
        "title": title(summary),
        "summary": summary,
        "facts": list(facts(summary)),
        "time": times,
        "bars": any(one.bar is not None for line in times.lines for one in line.fields),
        "cost": numbers.cost_grid(summary),
        "caption": CAPTION,
        "ranks": ranked,
        "besides": compared,
        "anchor": numbers.anchor,
        "unfit": unfit,
        "loads": loads,
        "added": numbers.delivery_grid(sweep.TITLE_SDK, "scenario", sweep.COLUMNS_SDK, added) if added else None,
        "sweep_words": sweep,
        "sweep_caption": sweep.caption(summary),
        "cards": cards,
        "claims_title": claims.TITLE,
        "recorded": numbers.recorded_grid(summary),
        "recorded_words": recorded,
        "failures": parts.failure_grid(summary) if summary.failures else None,
        "failed_classes": parts.failed_classes(summary),
        "unlisted": max(len(summary.failures) - parts.MOST_FAILURES, 0) + summary.unlisted,
        "outliers": parts.outlier_grid(summary) if summary.outliers else None,
        "floors": numbers.floor_grid(summary),
        "floors_caption": checks.FLOORS_CAPTION,
        "terms": list(terms(summary)),
        "formulas": formulas(summary),
        "command": shlex.join(map(str, summary.manifest["command"])),
    }


class LoadPart(NamedTuple):
    """A sweep with its table and its charts."""

    sweep: sweep.Sweep
    grid: Grid
    charts: list[PageChart]


def _load_parts(summary: Summary) -> list[LoadPart]:
    if not (swept := sweep.sweeps(summary)):
        return []
    from bench.reports.charts.sweep import sweep_charts  # noqa: PLC0415  (altair)

    charts = [(label, page_chart(chart)) for label, chart in sweep_charts(summary)]
    found = []
    for one in swept:
        grid = numbers.delivery_grid(f"{one.label} under load", "load", one.columns, one.lines)
        found.append(LoadPart(one, grid, [chart for label, chart in charts if label == one.label]))
    return found
