"""Calibration through the real instrument: its floors on this machine, and what makes them rise."""

from __future__ import annotations

import csv
import json
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.core.results.row import Row
from bench.core.results.summary import CALIBRATION
from bench.plan.calibration import PROMPT, TARGET
from bench.records import journal as records
from bench.testing.calibrate.command import finish_folder, measure_level
from bench.testing.calibrate.table import level_of
from tests.support import events as e
from tests.support.cli import bench, invoke, only_run, started
from tests.support.scripted import json_response, scripted

pytestmark = pytest.mark.alone

METRICS = {"floor_ttft", "floor_ttfu", "floor_gap", "floor_total", "floor_cpu_per_event"}
SLICE_S = 0.02
TRIALS = 8
NEVER_MS = 50
"""No machine on which tests pass adds so much with one stream at a time."""


def floors(folder: Path, *, busy: bool) -> dict[tuple[str, str], Row]:
    """The medians of a small calibration, by metric and delivery."""
    folder.mkdir()
    with holding_the_interpreter() if busy else _idle():
        measured = measure_level(1, TRIALS, folder / "run")
    level = level_of(1, finish_folder(measured))
    assert (level.offered, level.failed) == (2 * TRIALS, 0)
    return {(row.metric, row.delivery): row for row in level.rows if row.statistic == "p50"}


@contextmanager
def _idle() -> Iterator[None]:
    yield


@contextmanager
def holding_the_interpreter() -> Iterator[None]:
    """A thread that computes all the time and gives the interpreter away only every 20 ms."""
    over, before = threading.Event(), sys.getswitchinterval()

    def compute() -> None:
        while not over.is_set():
            sum(range(100))

    sys.setswitchinterval(SLICE_S)
    thread = threading.Thread(target=compute)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()
        sys.setswitchinterval(before)


@pytest.mark.slow
def test_what_holds_the_client_up_raises_the_floor(tmp_path: Path) -> None:
    """Floors are positive; a process that gets the interpreter only every 20 ms reads and ends that much later."""
    quiet, busy = floors(tmp_path / "quiet", busy=False), floors(tmp_path / "busy", busy=True)
    for where in [("floor_ttft", "streamed"), ("floor_ttfu", "streamed"), ("floor_total", "blocking")]:
        usual, late = quiet[where].estimate, busy[where].estimate
        assert usual is not None
        assert late is not None
        assert 0 < usual < NEVER_MS, where
        assert late > usual + 1000 * SLICE_S / 4, where


@pytest.fixture(scope="module")
def real(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[str]]:
    """The folder of a run on a server that is no simulator, and all that this server was asked."""
    folder = tmp_path_factory.mktemp("real")
    models, answer = json_response({"data": [{"id": "m1"}]}), json_response(e.response(output=[e.message("Hello.")]))
    with scripted(routes={"/v1/models": models, "/v1/responses": answer}) as server:
        done = bench(
            *["run", "text", "--base-url", server.base_url, "--delivery", "blocking"],
            *["--pairs", "10", "--warmup", "1", "--no-memory", "--seed", "1"],
            cwd=folder,
        )
        asked = [json.dumps(request.json) for request in server.requests if request.path.endswith("responses")]
    assert done.returncode == 0, done.stderr
    return only_run(folder), asked


@pytest.mark.slow
def test_a_run_on_a_real_endpoint_has_floors(real: tuple[Path, list[str]]) -> None:
    """The simulator is started beside it; what it is asked never reaches the endpoint, and it is no row of a report."""
    run, asked = real
    with (run / "summary.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["scenario"] == CALIBRATION]
    assert {row["metric"] for row in rows} == METRICS
    medians = [row for row in rows if row["statistic"] == "p50" and row["metric"] != "floor_gap"]
    assert {(row["target"], row["load"], row["n"], row["failed"]) for row in rows if row in medians} == {
        (TARGET, "c=1", "10", "0")
    }
    assert all(float(row["estimate"]) > 0 for row in medians)
    assert asked
    assert not any(PROMPT in body or "metadata" in body for body in asked)
    assert [cell.key.scenario for cell in build(run).cells] == ["text"]
    assert records.read_manifest(run)["simulator"] is None


@pytest.mark.slow
def test_floors_are_rebuilt_from_the_records(real: tuple[Path, list[str]]) -> None:
    """Read again by another process, the folder gives the floors that the run itself reported."""
    rebuilt = [row for row in build(real[0]).rows if row.scenario == CALIBRATION]
    with (real[0] / "summary.csv").open(newline="") as file:
        reported = [row for row in csv.DictReader(file) if row["scenario"] == CALIBRATION]
    assert len(rebuilt) == len(reported) > 0
    for row, written in zip(rebuilt, reported, strict=True):
        assert [row.metric, row.delivery, row.statistic] == [written[k] for k in ("metric", "delivery", "statistic")]
        assert (row.estimate is None) == (written["estimate"] == "")
        assert row.estimate is None or row.estimate == pytest.approx(float(written["estimate"]), rel=1e-4)


@pytest.mark.slow
def test_the_command(tmp_path: Path) -> None:
    """Each level has its floors as JSON; nothing is written; a level that is none is a usage error."""
    done = bench("calibrate", "--concurrency", "4,1", "--trials", "12", "--json", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["clock_step_ns"] > 0
    assert [level["concurrency"] for level in found["levels"]] == [1, 4]
    for level in found["levels"]:
        assert {row["metric"] for row in level["rows"]} >= METRICS
        assert (level["offered"], level["failed"]) == (24, 0)
        assert level["resolution"]["gain_ms"] > 0
    assert list(tmp_path.iterdir()) == []
    done = invoke("calibrate", "--concurrency", "0", cwd=tmp_path)
    assert (done.returncode, "write numbers from 1 on" in done.stderr) == (2, True)


@pytest.mark.slow
def test_interrupted(tmp_path: Path) -> None:
    """Ctrl-C ends it at once: exit 130, one line, no traceback."""
    process = started("calibrate", "--trials", "1000", cwd=tmp_path)
    assert process.stderr is not None
    assert process.stderr.readline().startswith("1 at a time: ")
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    assert err.splitlines()[-1] == "bench: interrupted"
    assert "Traceback" not in err
    assert out == ""
