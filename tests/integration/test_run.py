"""A whole run on the simulator: what it leaves, rebuilt byte for byte, interrupted, killed."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from bench.records import journal as records
from tests.support.cli import bench, environment, invoke, only_run, started

pytestmark = pytest.mark.paced

FILES = ("report.html", "report.md", "summary.csv", "summary.json")
PUBLIC_FORMAT = (
    "scenario,params,api,target,model,client,load,delivery,metric,unit,statistic,n,failed,estimate,low,high,note"
)
"""The columns of `summary.csv`: a change breaks what people have built on it."""
QUICK = ["run", "--no-memory", "--warmup", "1", "--seed", "3"]


def wait_for_trials(folder: Path, count: int, timeout: float = 60) -> Path:
    """Until the journal of the run in `folder` has so many trials."""
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        for journal in folder.glob("reports/*/journal.jsonl"):
            if journal.read_bytes().count(b'{"trials"') >= count:
                return journal.parent
        time.sleep(0.05)
    raise TimeoutError(f"no {count} trials within {timeout} s")


def trials_of(run: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = records.read(run)["trials"].to_pylist()
    return rows


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The folder of a finished run of all core scenarios, and what the command said."""
    folder = tmp_path_factory.mktemp("run")
    return folder, bench(*QUICK, "--pairs", "8", "--profile", "flood", "--output-tokens", "40", cwd=folder)


def test_a_run_says_what_it_is(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Exit 0; progress and files on stderr, the report on stdout, SIMULATED in the first lines of both."""
    _, done = finished
    assert done.returncode == 0, done.stderr
    assert "SIMULATED" in done.stderr.splitlines()[0]
    assert "SIMULATED" in "".join(done.stdout.splitlines()[:2])
    assert "trials: 54 of 54" in done.stderr
    assert "54 of 54" not in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 100
    assert "\x1b" not in done.stdout


def test_offered_adds_up(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """Every planned trial was started and has one row; warm-up is flagged; both deliveries gave the same answers."""
    folder, _ = finished
    run = only_run(folder)
    plan, trials = records.read_json(run / "plan.json"), trials_of(run)
    starts = records.read(run)["starts"]["trial_id"].to_pylist()
    assert starts == plan["trials"]["trial_id"] == [row["trial_id"] for row in trials]
    assert [row["phase"] for row in trials] == plan["trials"]["phase"]
    assert {row["status"] for row in trials} == {"ok"}
    for pair in {row["pair"] for row in trials}:
        assert len({row["result_sha256"] for row in trials if row["pair"] == pair}) == 1


def test_the_manifest(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """The manifest has versions, environment, seed's plan, command and end."""
    folder, _ = finished
    manifest = records.read_manifest(only_run(folder))
    assert manifest["ended"] == "finished"
    assert manifest["command"][:2] == ["bench", "run"]
    assert manifest["versions"]["openai"]
    assert manifest["duration_s"] > 0
    assert os.uname().nodename not in json.dumps(manifest["environment"])


def test_the_summary_is_tidy(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """One row per number, the documented columns, an estimate or the reason why there is none."""
    folder, _ = finished
    with (only_run(folder) / "summary.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert ",".join(rows[0]) == PUBLIC_FORMAT
    assert all(row["estimate"] or row["note"] for row in rows)
    p99 = [row for row in rows if row["statistic"] == "p99"]
    assert p99
    assert all(not row["estimate"] and "n/a" in row["note"] for row in p99)


@pytest.mark.slow
def test_the_report_is_rebuilt_byte_for_byte(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """`bench report` makes every file again from the records alone, the same to the byte, and prints the same."""
    folder, done = finished
    run = only_run(folder)
    before = {name: (run / name).read_bytes() for name in FILES}
    for name in FILES:
        (run / name).unlink()
    again = invoke("report", cwd=folder)
    assert again.stdout == done.stdout
    assert {name: (run / name).read_bytes() for name in FILES} == before


def test_the_same_seed_makes_the_same_plan(finished: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    """What a seed means is stored: its plan can be made again."""
    folder, _ = finished
    manifest = records.read_manifest(only_run(folder))
    dry = invoke(*QUICK, "--pairs", "8", "--profile", "flood", "--dry-run", cwd=folder)
    assert f"plan {manifest['plan_sha256'][:12]}" in dry.stdout


@pytest.mark.slow
def test_ctrl_c_keeps_and_reports_what_was_measured(tmp_path: Path) -> None:
    """SIGINT ends the run cleanly: exit 130, a report, the trial in flight `cancelled`, no process left."""
    process = started(*QUICK, "text", "--pairs", "200", cwd=tmp_path)
    run = wait_for_trials(tmp_path, 16)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    assert "interrupted" in out
    assert records.read_manifest(run)["ended"] == "interrupted"
    assert all((run / name).exists() for name in FILES)
    statuses = [row["status"] for row in trials_of(run)]
    assert statuses.count("cancelled") <= 1
    assert set(statuses) <= {"ok", "cancelled"}


@pytest.mark.slow
def test_a_plain_kill_is_an_interruption_at_any_time(tmp_path: Path) -> None:
    """SIGTERM ends the memory pass as well: exit 130, a report, and no process left behind."""
    process = started("run", "text", "--pairs", "1", "--warmup", "0", cwd=tmp_path)
    run = wait_for_trials(tmp_path, 2)
    time.sleep(2)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert records.read_manifest(run)["ended"] == "interrupted"
    assert (run / "report.html").exists()


@pytest.mark.slow
def test_sigkill_loses_only_the_trials_in_flight(tmp_path: Path) -> None:
    """Killed without warning, every finished trial is there, the one in flight is known, and the report builds."""
    process = started(*QUICK, "text", "--pairs", "200", cwd=tmp_path)
    run = wait_for_trials(tmp_path, 16)
    process.kill()
    process.communicate(timeout=30)
    lines = (run / "journal.jsonl").read_bytes().count(b'{"trials"')
    trials = trials_of(run)
    starts = records.read(run)["starts"]["trial_id"].to_pylist()
    assert len(trials) == lines >= 16
    assert starts[: len(trials)] == [row["trial_id"] for row in trials]
    assert len(starts) - len(trials) <= 1
    done = invoke("report", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "has not ended" in done.stdout or "interrupted" in done.stdout or "killed" in done.stdout
    assert (run / "report.html").exists()


@pytest.mark.slow
def test_two_models_are_cells_of_one_run(tmp_path: Path) -> None:
    """Models are compared in one run and one table; the faster is named when the intervals are apart."""
    done = bench(
        *QUICK, "text", "--target", "sim", "--model", "sim-1", "--model", "sim-mini", "--pairs", "6", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert "sim-mini" in done.stdout
    plan = records.read_json(only_run(tmp_path) / "plan.json")
    assert [cell["model"] for cell in plan["cells"]] == ["sim-1", "sim-mini"]


@pytest.mark.slow
def test_one_delivery_only(tmp_path: Path) -> None:
    """`--delivery streamed` has no pairs and no comparison, and says so instead of a number."""
    done = bench(*QUICK, "text", "--delivery", "streamed", "--pairs", "6", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {row["delivery"] for row in trials_of(only_run(tmp_path))} == {"streamed"}


@pytest.mark.slow
def test_side_by_side(tmp_path: Path) -> None:
    """`--concurrency 4` runs segments of one cell; the load is in the table's key."""
    done = bench(*QUICK, "text", "--concurrency", "4", "--pairs", "8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = only_run(tmp_path)
    assert {row["load"] for row in trials_of(run)} == {"c=4"}
    assert records.read(run)["cells"].num_rows >= 1


@pytest.mark.slow
def test_a_run_in_the_background_of_a_script_can_be_killed(tmp_path: Path) -> None:
    """A shell without job control starts it with SIGINT ignored; SIGTERM ends it all the same, with its report."""
    background = """import signal, sys; from bench.cli.main import main
signal.signal(signal.SIGINT, signal.SIG_IGN)
main()"""
    command = [sys.executable, "-c", background, *QUICK, "text", "--pairs", "200"]
    process = subprocess.Popen(command, cwd=tmp_path, env=environment(), stderr=subprocess.PIPE, text=True)
    run = wait_for_trials(tmp_path, 4)
    process.terminate()
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert records.read_manifest(run)["ended"] == "interrupted"
