"""The examples of the documentation, run as they stand: every file written, every `$` command typed, by the real CLI.

What a page shows below a command must be part of what the command prints, apart from figures and spaces.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from bench.simulator.process import running
from tests.support.parts.nginx import nginx
from tests.support.parts.redelivery import redelivered
from tests.support.parts.ways import WAYS
from tests.support.paths import ROOT
from tests.support.plugged import installed
from tests.unit.test_docs import FENCE

RUNS = "[run]\npairs = 6\nwarmup = 1\n"
"""Runs of the how-to pages are shortened by a `bench.toml`."""

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300), pytest.mark.paced]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the command `bench` and the `python` it belongs to."""
    (tmp_path / "bin").mkdir()
    for name, call in {"bench": f"{sys.executable} -m bench", "python": sys.executable}.items():
        script = tmp_path / "bin" / name
        script.write_text(f'#!/bin/sh\nexec {call} "$@"\n')
        script.chmod(0o755)
    (tmp_path / "here").mkdir()
    return tmp_path / "here"


@pytest.fixture
def endpoint() -> Iterator[Mapping[str, str]]:
    """A server that is up, for the address and the models that the pages make up."""
    with running() as simulator:
        yield {"127.0.0.1:8000": host(simulator.base_url), "my-model": "sim-1", "other-model": "sim-mini"}


def host(base_url: str) -> str:
    """Of an address, host and port."""
    return base_url.removeprefix("http://").removesuffix("/v1")


def follow(page: str, folder: Path, made_up: Mapping[str, str], exits: Sequence[int] = ()) -> str:
    """Do what the page says, from top to bottom; all that was printed. `exits`: the exit codes, where one is not 0."""
    printed, expected = "", iter(exits)
    for kind, name, block in FENCE.findall((ROOT / "docs" / page).read_text("utf-8")):
        for word, real in made_up.items():
            block = block.replace(word, real)  # noqa: PLW2901
        if name:
            (folder / name).write_text(block)
        elif kind == "console":
            for command, shown in re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE):
                output = type_(command, folder, next(expected, 0))
                assert [line for line in shown.splitlines() if plain(line) not in plain(output)] == [], output
                printed += output
    return printed


def type_(command: str, folder: Path, exits: int = 0) -> str:
    """Run a command line, which must end with that code: its stdout and stderr."""
    path = os.pathsep.join([str(folder.parent / "bin"), os.environ["PATH"]])
    env = {**os.environ, "PATH": path, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd=folder, env=env, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == exits, f"{command}\n{done.stdout}{done.stderr}"
    return done.stdout + done.stderr


def plain(text: str) -> str:
    """Without figures, folders and the widths of columns."""
    text = re.sub(r"[+-]?\d+(\.\d+)?k?", "#", text)
    return " ".join(re.sub(r"/\S*/(?=\w+\.py)", "", text).split())


def test_the_tutorial(folder: Path) -> None:
    """Every plugin of the tutorial runs on the simulator, and what it records is where the page says."""
    follow("writing-a-plugin.md", folder, {})


@pytest.mark.parametrize(
    "page", ["measure-my-endpoint.md", "compare-two-models.md", "compare-runs.md", "test-a-chat-server.md"]
)
def test_how_to_measure(page: str, folder: Path, endpoint: Mapping[str, str]) -> None:
    """The commands for one's own endpoint measure one."""
    (folder / "bench.toml").write_text(RUNS)
    follow(f"how-to/{page}", folder, endpoint)


def test_how_to_inject_faults(folder: Path) -> None:
    """Every stream that was cut last is found as cut, and nothing else failed."""
    printed = follow("how-to/inject-faults.md", folder, {})
    rows = re.findall(r"^ *(streamed|blocking) +(.*?) +(\w+) +\d+$", printed, re.MULTILINE)
    cut = [(delivery, faults.endswith("cut"), status) for delivery, faults, status in rows]
    assert {status for delivery, last, status in cut if delivery == "streamed" and last} == {"cut_mid_stream"}
    assert {status for delivery, last, status in cut if delivery == "blocking" or not last} == {"ok"}


def test_how_to_run_until_precise(folder: Path) -> None:
    """The run ends at the first look, for that endpoint is even."""
    follow("how-to/run-until-precise.md", folder, {})


def test_how_to_put_under_load(folder: Path) -> None:
    """A sweep by rates with its limits, a plan that time ends, and both clients side by side."""
    (folder / "bench.toml").write_text(RUNS)
    printed = follow("how-to/load.md", folder, {})
    assert "knee, streamed" in printed


def test_how_to_assert_in_pytest(folder: Path, endpoint: Mapping[str, str]) -> None:
    """The page's tests are skipped unasked and pass on an endpoint; pytest-benchmark reads what is exported."""
    (folder / "bench.toml").write_text(RUNS)
    path, commands = installed(folder.parent / "site"), folder.parent / "bin"
    for name, call in {"pytest": "-m pytest", "pytest-benchmark": "-m pytest_benchmark"}.items():
        (commands / name).write_text(f'#!/bin/sh\nPYTHONPATH={path} exec {sys.executable} {call} "$@"\n')
        (commands / name).chmod(0o755)
    follow("how-to/pytest.md", folder, {**endpoint, "pairs=36": "pairs=9"})


def test_how_to_find_a_request(folder: Path) -> None:
    """The script prints the ids of three attempts, and the records have what docs/records.md says."""
    (folder / "bench.toml").write_text(RUNS)
    printed = follow("how-to/find-a-request.md", folder, {})
    assert len(set(re.findall(r"bench-[0-9a-f]{32} req_[0-9a-f]{32}", " ".join(printed.split())))) == 3
    (run,) = (folder / "reports").iterdir()
    page = (ROOT / "docs/records.md").read_text("utf-8")
    tables = re.findall(r"^## (\w+)$", page, re.MULTILINE)
    reports = {"summary.csv", "summary.json", "report.md", "report.html", "plan.json", "manifest.json"}
    assert {file.name for file in run.iterdir()} == {f"{table}.parquet" for table in tables} | reports
    assert json.loads((run / "manifest.json").read_text())["ended"] == "finished"


@pytest.mark.nginx
def test_my_stream_arrives_in_lumps(folder: Path) -> None:
    """A default nginx holds the page's server, and not the simulator; the doctor ends as the page says."""
    with (
        running(keep=64) as simulator,
        redelivered(simulator.base_url, WAYS["plain"]) as direct,
        nginx(folder.parent / "gateway", direct) as gateway,
        nginx(folder.parent / "before", simulator.base_url) as before,
    ):
        made_up = {
            "--sim-behind http://127.0.0.1:8081/v1": f"--sim-behind {before} --sim {simulator.base_url}",
            "127.0.0.1:8081": host(before),
            "127.0.0.1:8000": host(direct),
            "127.0.0.1:9000": host(gateway),
            "my-model": "sim-1",
        }
        follow("how-to/stream-in-lumps.md", folder, made_up, exits=(1, 1, 0, 0, 1))
    found = json.loads((folder / "doctor.json").read_text("utf-8"))
    assert [one["verdict"] for one in found["findings"]] == ["streaming"]
    assert re.search(
        r"^## 127\.0\.0\.1:\d+ · chat, text: BURSTY$", (folder / "issue.md").read_text("utf-8"), re.MULTILINE
    )
