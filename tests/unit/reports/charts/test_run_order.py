"""The trials of a cell in the order of the run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.tables import load
from bench.reports.charts import run_order
from bench.reports.charts.run_order import RunOrder
from tests.support.synthetic import Truth, make_run

EXACT = Truth(noise=0, stamped=True)
"""Each trial is like the other: first delta after 120 ms, then one each 5 ms."""
TOTAL = 120 + 59 * 5 + 5
"""ms of a streamed trial: its end comes 5 ms after its last delta."""


def chosen(tmp_path: Path, truth: Truth) -> RunOrder:
    return run_order.data(load(make_run(tmp_path / "run", [truth], pairs=9, memory=False)))[0]


def test_the_order_of_the_run_is_that_of_the_clock(tmp_path: Path) -> None:
    """Every offered trial once, from the run's start; a failed one has no total."""
    found = chosen(tmp_path, replace(EXACT, fail={("blocking", 1): "timeout"}))
    assert found.of == len(found.points) == 18
    assert [point.seconds for point in found.points] == [float(second) for second in range(2, 20)]
    assert [point.trial_id for point in found.points if point.total is None] == [2 + 3]
    assert found.points[0].total == pytest.approx(TOTAL)


def test_a_long_run_is_sampled_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many points, of both deliveries, in order, and said of how many."""
    monkeypatch.setattr(run_order, "MOST_KEPT", 10)
    first, again = (chosen(tmp_path / name, EXACT) for name in ("a", "b"))
    assert first.points == again.points
    assert (len(first.points), first.of) == (10, 18)
    assert list(first.points) == sorted(first.points)
    assert {point.delivery for point in first.points} == {"streamed", "blocking"}
