"""`bench compare` and baselines, as a user types them: real runs on the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.cli import bench, invoke
from tests.support.shelf import Shelf
from tests.support.synthetic import Truth, make_run

SHORT = ("--output-tokens", "5", "--no-memory", "--no-self-check", "--warmup", "1")


@pytest.fixture(scope="module")
def folder(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two stored runs, `after` and, in the folder `before`, `last-week`."""
    here = tmp_path_factory.mktemp("here")
    for name in ("before", "after"):
        shelf.copy(name, here / "reports")
    return here


@pytest.mark.slow
def test_compare_puts_runs_to_the_gate(folder: Path) -> None:
    """The table, the verdict and the files of the current run; the condition that failed is the exit code."""
    done = bench("compare", "last-week", "after", "--fail-on", "text.ttft:+3%", cwd=folder)
    assert done.returncode == 1, done.stderr
    assert "text ttft p50 streamed" in done.stdout
    assert "FAIL" in done.stdout
    assert len(done.stdout.splitlines()) <= 40
    assert {"compare.html", "compare.md", "compare.json"} <= {
        file.name for file in (folder / "reports/after").iterdir()
    }
    assert not (folder / "reports/before/compare.json").exists()


def test_compare_as_json(folder: Path) -> None:
    """On stdout is JSON alone, verdicts go to stderr."""
    done = invoke("compare", "before", "after", "--json", "--fail-on", "text.ttft:+50%", cwd=folder)
    assert (done.returncode, json.loads(done.stdout)["current"]["name"]) == (0, "after")
    assert done.stdout == (folder / "reports/after/compare.json").read_text()
    assert "PASS" in done.stderr


def test_a_run_is_not_compared_with_itself(folder: Path) -> None:
    """The same run under two names is a mistake, and one line says so."""
    done = invoke("compare", "after", "latest", cwd=folder)
    assert (done.returncode, done.stdout) == (2, "")
    assert "are the same run" in done.stderr


@pytest.mark.paced
@pytest.mark.slow
def test_baselines_in_a_run_and_against_a_stored_one(tmp_path: Path) -> None:
    """Models of one run are compared pair by pair, the run with a stored one; the report is rebuilt from its folder."""
    models = ("--target", "sim", "--model", "sim-1", "--model", "sim-mini")
    make_run(tmp_path / "reports/20260102-a", [Truth()], manifest={"name": "before"})
    typed = ("run", "text", *models, "--baseline-model", "sim-1", "--baseline", "latest", "--pairs", "6", *SHORT)
    done = bench(*typed, "--out", "reports", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert "sim-mini compared with sim-1 (pair by pair)" in done.stdout
    run = max((tmp_path / "reports").iterdir())
    stored = json.loads((run / "manifest.json").read_text())
    assert stored["baseline"] == {"target": None, "model": "sim-1"}
    assert stored["definitions"]["ttft"]
    assert json.loads((run / "compare.json").read_text())["baseline"]["name"] == "before"
    report = (run / "report.md").read_text()
    (run / "report.md").unlink()
    assert invoke("report", run, cwd=tmp_path).returncode == 0
    assert (run / "report.md").read_text() == report
    assert "sim-mini against sim-1, within this run" in report


def test_a_baseline_that_is_none(tmp_path: Path) -> None:
    """It is told before the first request, and nothing is left behind."""
    done = invoke("run", "text", "--target", "sim", "--baseline-model", "sim-mni", cwd=tmp_path)
    assert done.returncode == 2
    assert "--baseline-model: unknown model 'sim-mni'" in done.stderr
    assert not (tmp_path / "reports").exists()


@pytest.mark.paced
@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_slowdown_of_ten_percent_is_found(tmp_path: Path) -> None:
    """With 36 pairs `text.ttft:+3%` fails where all waits are 10 % longer, and does not where they are equal.

    A machine that is busy with other work makes runs INVALID; what such a run says is UNDECIDED.
    """
    size = ("--pairs", "36", "--output-tokens", "20", "--no-memory", "--no-self-check")
    codes = []
    for name, profile in (("before", "quick"), ("slower", "quick:1.1"), ("equal", "quick")):
        codes.append(bench("run", "text", *size, "--profile", profile, "--name", name, cwd=tmp_path).returncode)
    if any(codes):
        pytest.skip(f"the machine is too busy: exit codes {codes}")
    judged = [
        invoke("compare", "before", name, "--fail-on", "text.ttft:+3%", cwd=tmp_path) for name in ("slower", "equal")
    ]
    assert judged[0].returncode == 1, judged[0].stdout
    assert judged[1].returncode in {0, 4}, judged[1].stdout
