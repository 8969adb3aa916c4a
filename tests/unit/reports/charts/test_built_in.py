"""The list of a cell's charts, and the data that they are drawn from."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.reports.charts.built_in import chart_data
from bench.reports.charts.waterfall.waterfall import Waterfalls
from tests.support.synthetic import Truth, make_run

EXACT = Truth(noise=0, stamped=True)
"""Each trial is like the other: first delta after 120 ms, then one each 5 ms."""


def test_the_summary_has_the_chart_data_of_each_cell(tmp_path: Path) -> None:
    """By the cell's number; each cell's are its own, and the same from the same folder."""
    run = make_run(tmp_path / "run", [EXACT, replace(EXACT, scenario="other", useful_ms=300)], pairs=6)
    summary = build(run, chart_data=chart_data)
    found = [summary.cell_data(cell, Waterfalls) or Waterfalls() for cell in summary.cells]
    totals = [next(pair.streamed.total for pair in one.pairs if pair.which == "median") for one in found]
    assert totals == pytest.approx([420, 420 + 180])
    assert summary.chart_data == build(run, chart_data=chart_data).chart_data


def test_a_summary_that_no_page_is_made_of_has_no_chart_data(tmp_path: Path) -> None:
    """Choosing them takes time: a comparison and the fixture need none."""
    assert build(make_run(tmp_path / "run", [EXACT], pairs=2)).chart_data == {}
