"""The gate at the command line: exit codes, files, and the workflow of the documentation."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
import yaml

from bench.simulator.process import running
from tests.integration.test_docs_examples import RUNS, follow
from tests.integration.test_docs_examples import folder as folder  # noqa: PLC0414  (a fixture)
from tests.support.cli import invoke, only_run
from tests.support.paths import ROOT
from tests.support.shelf import Shelf

pytestmark = pytest.mark.paced

WORKFLOW = ROOT / "docs/examples/github-actions.yml"


@pytest.fixture(scope="module")
def reports(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with two runs in `reports`, the later one 10 % slower."""
    here = tmp_path_factory.mktemp("gate")
    for name in ("before", "after"):
        shelf.copy(name, here / "reports")
    return here


def test_report_with_a_gate(reports: Path) -> None:
    """`bench report` decides all conditions, writes the JUnit file and the step summary, and exits 1 for a failure."""
    env = {"GITHUB_STEP_SUMMARY": str(reports / "step.md"), "GITHUB_ACTIONS": "true"}
    conditions = ("--fail-on", "ttft > 1s", "--fail-on", "text.ttft:+3%")
    done = invoke("report", "after", "--baseline", "before", *conditions, "--junit", "junit.xml", cwd=reports, env=env)
    assert done.returncode == 1, done.stdout + done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines if line.startswith(("PASS", "FAIL", "gate"))] == ["PASS", "FAIL", "gate:"]
    assert [line for line in lines if line.startswith("::error title=FAIL text.ttft%3A+3%25::text ttft p50")]
    root = ET.parse(reports / "junit.xml").getroot()  # noqa: S314  (our own)
    assert (root.get("tests"), root.get("failures")) == ("2", "1")
    assert (reports / "step.md").read_text("utf-8").startswith("## Gate: 1 failed, 1 passed")


def test_undecided(reports: Path) -> None:
    """The file's conditions hold where none is typed; an undecided one exits 4, and says what would decide."""
    (reports / "bench.toml").write_text('[gate]\nfail-on = ["ttft.p99 > 1s"]\n')
    try:
        done = invoke("report", "after", "--json", cwd=reports)
    finally:
        (reports / "bench.toml").unlink()
    assert done.returncode == 4
    assert "UNDECIDED  ttft.p99 > 1s  text ttft p99 streamed: n/a: n=36 < 368; use --pairs 368" in done.stderr
    assert done.stdout.startswith("{")


def test_a_mistake_is_no_pass(reports: Path) -> None:
    """A condition about nothing exits 2 with the nearest name, before anything is measured."""
    done = invoke("run", "text", "--fail-on", "text.ttft.p9 > 1s", cwd=reports)
    assert done.returncode == 2
    assert done.stderr == "bench: --fail-on 'text.ttft.p9 > 1s': unknown statistic 'p9': did you mean 'p99'?\n"
    assert len(list((reports / "reports").iterdir())) == 2


def workflow() -> dict[str | bool, Any]:
    """The workflow; YAML reads its key `on` as true."""
    loaded: dict[str | bool, Any] = yaml.safe_load(WORKFLOW.read_text("utf-8"))
    return loaded


def test_the_workflow_is_one() -> None:
    """It has triggers, few rights, steps that run or use something, secrets by name only, and uploads in any case."""
    loaded = workflow()
    assert set(loaded[True]) == {"pull_request", "workflow_dispatch"}
    assert loaded["permissions"] == {"contents": "read"}
    job = loaded["jobs"]["bench"]
    assert {"runs-on", "timeout-minutes", "env", "steps"} <= set(job)
    assert all(("run" in step) != ("uses" in step) for step in job["steps"])
    assert all(re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]) for step in job["steps"] if "uses" in step)
    assert job["env"]["ENDPOINT_API_KEY"] == "${{ secrets.ENDPOINT_API_KEY }}"
    assert not any(
        "${{" in step.get("run", "") for step in job["steps"]
    )  # an expression would be pasted into the shell
    assert job["steps"][-1]["if"] == "always()"


@pytest.mark.slow
def test_the_workflows_steps(folder: Path) -> None:
    """Its steps, run in bash against an endpoint, pass the gate and leave what the last step uploads."""
    job = workflow()["jobs"]["bench"]
    summary = folder / "step.md"
    with running() as simulator:
        known = {"vars.ENDPOINT_URL": simulator.base_url, "vars.ENDPOINT_MODEL": "sim-1"}
        env = {name: _filled(value, known) for name, value in job["env"].items()}
        env |= {"PAIRS": "10", "GITHUB_STEP_SUMMARY": str(summary), "PYTHONPATH": str(ROOT)}
        env["PATH"] = os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]])
        steps = [step["run"] for step in job["steps"] if "run" in step and step["name"] != "Install"]
        for step in steps:
            done = subprocess.run(
                ["bash", "-e", "-c", step],
                cwd=folder,
                env={**os.environ, **env},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stdout + done.stderr
    assert "gate: 3 passed" in done.stdout
    assert summary.read_text("utf-8").startswith("## Gate: 3 passed")
    for pattern in job["steps"][-1]["with"]["path"].split():
        assert list(folder.glob(pattern)), pattern
    assert only_run_of(folder).is_dir()


def only_run_of(here: Path) -> Path:
    """The run's folder; the JUnit file lies beside it."""
    (run,) = (path for path in (here / "reports").iterdir() if path.is_dir())
    return run


def _filled(value: str, known: dict[str, str]) -> str:
    """An environment variable of the job, its expressions replaced as GitHub would; a secret by some text."""
    return re.sub(r"\$\{\{ ([\w.]+) \}\}", lambda found: known.get(found[1], "some-secret"), value)


@pytest.mark.slow
def test_how_to_gate(folder: Path) -> None:
    """The page's example passes on the simulator."""
    (folder / "bench.toml").write_text(RUNS)
    printed = follow("how-to/ci.md", folder, {})
    assert "gate: 2 passed" in printed
    assert only_run(folder).is_dir()
