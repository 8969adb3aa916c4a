"""List the charts of a cell, in the order in which a page shows them. A new chart is a file and a line here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from bench.analysis.tables import RunFrames
from bench.core.results.summary import Cell, Summary
from bench.reports.charts import ecdf, gain_by_length, gaps, memory, run_order
from bench.reports.charts.chart import CellChart, Chart
from bench.reports.charts.waterfall import waterfall

CELL_CHARTS = (
    CellChart(ecdf.draw),
    CellChart(waterfall.draw, waterfall.data),
    CellChart(gaps.draw, gaps.data),
    CellChart(gain_by_length.draw),
    CellChart(memory.draw),
    CellChart(run_order.draw, run_order.data),
)


def cell_charts(summary: Summary, cell: Cell) -> Iterator[Chart]:
    """Draw those charts of a cell that have data."""
    for chart in CELL_CHARTS:
        yield from chart.draw(summary, cell)


def chart_data(frames: RunFrames) -> Mapping[int, Mapping[type, Any]]:
    """Choose what the charts of each cell are drawn from: plain values by the cell's number and by their class."""
    found: dict[int, dict[type, Any]] = {}
    for chart in CELL_CHARTS:
        for number, value in chart.data(frames).items() if chart.data else ():
            found.setdefault(number, {})[type(value)] = value
    return found
