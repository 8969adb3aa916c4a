"""How long `bench report` takes on a large run, and how much memory."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support.cli import BENCH, environment
from tests.support.large import Large, make_large
from tests.support.yardsticks.processes import most, watched

TRIALS = 100_000
"""A tenth of what it shall stand in seconds: this is a benchmark, not a test of patience."""


@pytest.mark.slow
@pytest.mark.benchmark(group="report")
def test_report(benchmark: Any, tmp_path: Path) -> None:
    """The whole command on a run folder of so many trials, the events of one in a hundred stored."""
    run = make_large(tmp_path / "run", Large(trials=TRIALS))

    def report() -> int:
        child = subprocess.Popen([*BENCH, "report", str(run)], env=environment(), stdout=subprocess.DEVNULL)
        with watched(child.pid, tmp_path) as samples:
            status = child.wait(300)
        benchmark.extra_info["MB resident"] = most(samples.seen)[1] >> 20
        return status

    assert benchmark.pedantic(report, rounds=1) in {0, 3}  # 3: the run's own checks may find it INVALID
    print(TRIALS, benchmark.extra_info)
    assert (run / "report.md").exists()
