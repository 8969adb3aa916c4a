"""The guard on real runs: silent on an idle client, loud on one that cannot keep up, and on a machine kept busy."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.analysis.checks.guard import busy
from bench.analysis.tables import load
from bench.core.results.summary import Summary
from tests.support.cli import bench, only_run

pytestmark = pytest.mark.alone

QUICK = ("run", "text", "--no-memory", "--seed", "3", "--warmup", "1")


def summary_of(folder: Path, *options: str) -> Summary:
    """What a run with these options came to."""
    folder.mkdir()
    done = bench(*QUICK, *options, cwd=folder)
    assert done.returncode in {0, 3, 4}, done.stderr
    return build(only_run(folder))


def estimate(summary: Summary, metric: str, statistic: str) -> float:
    """A number of the first cell, which must be there."""
    row = summary.row(summary.cells[0], "paired", metric, statistic)
    assert row is not None
    assert row.estimate is not None, row.note
    return row.estimate


@contextmanager
def kept_busy(processes: int) -> Iterator[None]:
    """Other processes that want a CPU all the time."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait()


@pytest.mark.slow
def test_an_idle_client_is_silent(tmp_path: Path) -> None:
    """One stream at a time is no strain: not SATURATED, and its loop, send and CPU figures are there.

    Where another process kept the machine busy meanwhile (the run says so), it is measured once more.
    """
    summary = summary_of(tmp_path / "first", "--pairs", "3")
    if summary.cells[0].saturated and busy(load(only_run(tmp_path / "first"))).get("pressure", 0) > 0.1:
        summary = summary_of(tmp_path / "second", "--pairs", "3")
    assert summary.cells[0].saturated == ""
    assert 0 < estimate(summary, "loop_lag", "p50") < 5
    assert 0 < estimate(summary, "cpu_share", "share") < 0.5
    assert estimate(summary, "send_lag", "p50") > 0


@pytest.mark.slow
def test_a_saturated_client_is_told(tmp_path: Path) -> None:
    """At 64 streams of 200 events a second the SDK is late by far more than 5 ms: no verdict, and advice that helps."""
    summary = summary_of(tmp_path / "run", "--pairs", "64", "--concurrency", "64")
    assert "fewer streams at a time" in summary.cells[0].saturated
    assert estimate(summary, "loop_lag", "p90") > 5
    assert "SATURATED" in summary.cells[0].verdict


@pytest.mark.slow
def test_a_busy_machine_is_told(tmp_path: Path) -> None:
    """While four other processes never rest, the report says that the machine or the client was not in time."""
    with kept_busy(4):
        summary = summary_of(tmp_path / "run", "--pairs", "6")
    assert summary.trust.verdict in {"CAUTION", "INVALID"}
    said = (*summary.trust.lines, summary.cells[0].saturated)
    assert any("machine was busy" in line or "machine busy" in line or "ms late" in line for line in said)
