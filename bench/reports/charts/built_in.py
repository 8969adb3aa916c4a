"""The built-in charts, in the order in which a page shows them.

Deterministic: no generated names.
"""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.summary import Cell, Summary
from bench.reports.charts.chart import Chart
from bench.reports.charts.ecdf import ecdf, steps
from bench.reports.charts.forest import forest_chart
from bench.reports.charts.gain_by_length import claim_charts, gain
from bench.reports.charts.gaps import histogram
from bench.reports.charts.memory import memory_charts
from bench.reports.charts.ranking import ranking_chart
from bench.reports.charts.run_order import run_order
from bench.reports.charts.sweep import sweep_charts
from bench.reports.charts.waterfall import waterfall

__all__ = ["cell_charts", "claim_charts", "forest_chart", "ranking_chart", "steps", "sweep_charts"]


def cell_charts(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Those of the cell that there are data for, in the order of reading; each is made when it is asked for."""
    figures = summary.figures.get(cell.number)
    yield from filter(None, [ecdf(cell)])
    if figures:
        yield from (waterfall(one, cell) for one in figures.waterfalls)
        yield from filter(None, [histogram(figures.gaps, cell) if figures.gaps else None])
    yield from filter(None, [gain(summary, cell)])
    yield from memory_charts(summary, cell)
    if figures:
        yield from filter(None, [run_order(figures, cell)])
