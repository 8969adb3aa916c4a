"""`report.html`: one file that needs no network, to look at or to send to someone."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from bench.core.summary import Summary
from bench.reports.page import numbers, parts
from bench.reports.page.beside import Beside, Ranks, besides, ranks
from bench.reports.page.charts import LARGEST, Drawn, drawn, script_json
from bench.reports.page.document import render_page
from bench.reports.page.facts import facts
from bench.reports.page.glossary import formulas, terms
from bench.reports.page.grid import Grid
from bench.reports.page.parts import Section
from bench.reports.tables import claims, floors, recorded, sweep
from bench.reports.tables.times import CAPTION, unfit
from bench.reports.terminal.report import title

__all__ = ["render_html", "render_page", "script_json"]


def render_html(summary: Summary) -> str:
    """The whole page, with as many charts of cells as it has room for."""
    sections, values = parts.sections(summary), _values(summary)
    page = _page(sections, values)
    if len(page.encode()) <= LARGEST:
        return page
    bare = _page(parts.within(sections, 0), values)
    return _page(parts.within(sections, LARGEST - len(bare.encode())), values)


def _page(sections: list[Section], values: Mapping[str, Any]) -> str:
    """With these sections of the cells."""
    drawn = values["charted"] or any(one.charts or one.left_out for one in sections)
    return render_page("report.html.j2", drawn=drawn, sections=sections, **values)


def _values(summary: Summary) -> dict[str, Any]:
    """In the order in which a reader asks: can it be trusted, what is the answer, how much, and why."""
    ranked, compared, loads = ranks(summary), besides(summary), _loads(summary)
    cards, times = parts.cards(summary.claims), numbers.time_grid(summary)
    return {
        "charted": _any_charts(cards, ranked, compared, loads),
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
        "added": numbers.sdk_grid(added) if (added := sweep.added(summary)) else None,
        "sweep_words": sweep,
        "sweep_caption": sweep.caption(summary),
        "cards": cards,
        "claims_title": claims.TITLE,
        "recorded": numbers.recorded_grid(summary),
        "recorded_words": recorded,
        "failures": parts.failure_grid(summary) if summary.failures else None,
        "failed_classes": list(parts.failed_classes(summary)),
        "unlisted": max(len(summary.failures) - parts.MOST_FAILURES, 0) + summary.unlisted,
        "outliers": parts.outlier_grid(summary) if summary.outliers else None,
        "floors": numbers.floor_grid(summary),
        "floors_words": floors,
        "terms": list(terms(summary)),
        "formulas": formulas(summary),
        "command": shlex.join(map(str, summary.manifest["command"])),
    }


class Load(NamedTuple):
    """A sweep with its table and its charts."""

    sweep: sweep.Sweep
    grid: Grid
    charts: list[Drawn]


def _any_charts(*groups: Sequence[parts.Card | Ranks | Beside | Load]) -> bool:
    return any(one.charts for group in groups for one in group)


def _loads(summary: Summary) -> list[Load]:
    found = sweep.sweeps(summary)
    if not found:
        return []
    from bench.reports.charts.sweep import sweep_charts  # noqa: PLC0415  (altair)

    charts = [(label, drawn(chart)) for label, chart in sweep_charts(summary)]
    return [
        Load(one, numbers.sweep_grid(one), [chart for label, chart in charts if label == one.label]) for one in found
    ]
