"""How long the analysis takes."""

from __future__ import annotations

from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from bench.analysis.build import build
from bench.core.results.summary import Summary
from tests.support.synthetic import make_run


def test_build_of_200_trials(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """200 trials with 60 events each, from Parquet to Summary."""
    run = make_run(tmp_path / "r", pairs=100)
    summary: Summary = benchmark(build, run)
    assert summary.cells[0].pairs == 100
