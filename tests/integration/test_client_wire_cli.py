"""`--client wire` as a user meets it: beside the SDK, alone, and where it cannot do what a scenario needs."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import pandas as pd
import pytest

from tests.support import events as e
from tests.support.cli import bench, invoke, only_run, started
from tests.support.scripted import json_response, scripted

RUN = ["run", "--no-memory", "--no-self-check", "--seed", "3"]
OTHERS = {"text_sync", "text_ws", "text_helper", "structured_helper", "recovery_resume", "cancel_background"}
"""Built-in scenarios that need what the client wire does not offer."""


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of both clients, with a scenario that only one of them can do."""
    folder = tmp_path_factory.mktemp("both")
    names = ["text", "text_sync", "cancel"]
    sizes = ["--pairs", "2", "--warmup", "1", "-P", "cancel.chars=20", "--profile", "flood"]
    done = bench(*RUN, *names, *sizes, "--client", "sdk,wire", cwd=folder)
    assert done.returncode == 0, done.stderr
    said = [line for line in done.stderr.splitlines() if line.startswith("unsupported")]
    assert said == ["unsupported: text_sync on sim (it is synchronous and the client wire is not: use --client sdk)"]
    assert "What the SDK adds" in done.stdout
    return only_run(folder)


@pytest.mark.slow
def test_both_clients_have_cells_of_their_own(run: Path) -> None:
    """Every scenario that a client can do is a cell of it, and all trials are ok."""
    trials = pd.read_parquet(run / "trials.parquet")
    assert set(trials["status"]) == {"ok"}
    assert set(zip(trials["scenario"], trials["client"], strict=True)) == {
        ("text", "sdk"),
        ("text", "wire"),
        ("text_sync", "sdk"),
        ("cancel", "sdk"),
        ("cancel", "wire"),
    }
    assert trials.groupby("cell")["client"].nunique().max() == 1


@pytest.mark.slow
def test_both_clients_get_the_same_answers(run: Path) -> None:
    """Both deliveries of a pair have one answer on each client, with as many events, tokens and pieces on both."""
    trials = pd.read_parquet(run / "trials.parquet")
    text = trials[(trials["scenario"] == "text") & (trials["phase"] == "measure")]
    assert text.groupby(["client", "pair"], observed=True)["result_sha256"].nunique().eq(1).all()
    same = ["ask", "delivery", "output_tokens", "events"]
    rows = {name: sorted(of[same].to_numpy().tolist()) for name, of in text.groupby("client", observed=True)}
    assert rows["sdk"] == rows["wire"]
    assert len(rows["sdk"]) == 4
    streamed = text[text["delivery"] == "streamed"]
    assert streamed["deltas"].eq(streamed["pieces"]).all()


@pytest.mark.slow
def test_nothing_is_tried_again_beside_wire(run: Path) -> None:
    """Both make one attempt, so that both meet the same server; the manifest says so."""
    attempts = pd.read_parquet(run / "attempts.parquet")
    assert set(attempts["attempt"]) == {0}
    assert json.loads((run / "manifest.json").read_text())["settings"]["max_retries"] == 0


@pytest.mark.slow
def test_a_live_scenario_stops_the_stream_on_wire(run: Path) -> None:
    """`cancel` leaves its stream: on both clients the answer is read no further."""
    trials = pd.read_parquet(run / "trials.parquet")
    known = trials[["trial_id", "scenario", "client"]]
    attempts = pd.read_parquet(run / "attempts.parquet").merge(known, on="trial_id")
    left = attempts[attempts["scenario"] == "cancel"].groupby("client", observed=True)["closed_early"].all()
    assert left.to_dict() == {"sdk": True, "wire": True}


def test_a_scenario_that_wire_cannot_do(tmp_path: Path) -> None:
    """Nothing is left to run: exit 3, one line with the reason and the client that can."""
    done = invoke("run", "text_sync", "--client", "wire", cwd=tmp_path)
    assert (done.returncode, done.stdout) == (3, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith("bench: nothing to run")
    assert line.endswith("(it is synchronous and the client wire is not: use --client sdk)")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_every_built_in_runs_on_wire_or_says_why_not(tmp_path: Path) -> None:
    """Each is ok in every trial, or unsupported with a reason that names `--client sdk`; none fails."""
    done = bench(*RUN, "all", "--client", "wire", "--pairs", "1", "--warmup", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    trials = pd.read_parquet(only_run(tmp_path) / "trials.parquet")
    measured = trials[trials["phase"] == "measure"]
    assert set(measured["status"]) == {"ok"}
    said = [line for line in done.stderr.splitlines() if line.startswith("unsupported: ")]
    assert all("--client sdk" in line for line in said)
    listed = invoke("list", cwd=tmp_path).stdout
    names = {line.split()[0] for line in listed.partition("targets")[0].splitlines() if line.startswith("  ")}
    assert {line.split()[1] for line in said} >= {name for name in OTHERS if name in names} - {"text_ws"}
    assert set(measured["scenario"]).isdisjoint(OTHERS)
    assert len(set(measured["scenario"])) >= 25


@pytest.mark.slow
def test_a_plugin_that_leaves_its_stream_is_told_about_live(tmp_path: Path) -> None:
    """Without `live=True` its times would be made up, so the run ends with one line that says what to write."""
    (tmp_path / "mine.py").write_text(LEAVES)
    done = invoke(*RUN, "./mine.py", "--client", "wire", "--pairs", "1", "--warmup", "1", cwd=tmp_path)
    assert done.returncode == 2
    assert "scenario 'mine' leaves its stream early: say live=True" in done.stderr.splitlines()[-1]
    (tmp_path / "mine.py").write_text(LEAVES.replace("streamed)", "streamed, live=True, recovers=True)"))
    done = bench(*RUN, "./mine.py", "--client", "wire", "--pairs", "1", "--warmup", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr


LEAVES = """
from bench import Scenario, hookimpl

async def streamed(client, ask):
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta
                return

@hookimpl
def register_scenarios():
    yield Scenario("mine", streamed)
"""


@pytest.mark.slow
def test_wire_goes_through_no_proxy(tmp_path: Path) -> None:
    """A proxy in the way is one line before anything is measured, and says what to do."""
    models = json_response({"object": "list", "data": [{"id": "m1"}]})
    answer = json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))
    with scripted(lambda request: models if request.method == "GET" else answer) as server:
        away = {"http_proxy": server.url, "HTTP_PROXY": server.url, "no_proxy": "", "NO_PROXY": ""}
        options = ["--base-url", server.base_url, "--model", "m1", "--client", "wire"]
        done = bench(*RUN, "text", *options, cwd=tmp_path, env=away)
    assert done.returncode == 2, done.stderr
    assert "the client wire goes through no proxy: add the host to NO_PROXY" in done.stderr.splitlines()[-1]


@pytest.mark.slow
def test_the_shooter_is_killed(tmp_path: Path) -> None:
    """What was in flight is lost, nothing more is begun, and the report of the rest is written: exit 3, one line."""
    options = ["text", "--client", "wire", "--concurrency", "4", "--requests", "4000", "--warmup", "1"]
    with started(*RUN, *options, cwd=tmp_path) as run:
        journal = wait_for(lambda: next(tmp_path.glob("reports/*/journal.jsonl"), None))
        wait_for(lambda: b'"measure"' in journal.read_bytes())
        os.kill(shooter_of(run.pid), signal.SIGKILL)
        _, stderr = run.communicate(timeout=60)
    assert run.returncode == 3, stderr
    last = stderr.splitlines()[-1]
    assert re.fullmatch(r"bench: the process \d+ that sends and reads was killed by SIGKILL; .*report\.md has .*", last)
    folder = only_run(tmp_path)
    trials = pd.read_parquet(folder / "trials.parquet")
    lost = trials[trials["status"] == "lost"]
    assert 1 <= len(lost) <= 4
    assert len(trials) < 4000
    assert (lost["t_end"] > lost["t_origin"]).all()
    assert set(trials["status"]) == {"ok", "lost"}
    assert set(pd.read_parquet(folder / "starts.parquet")["trial_id"]) == set(trials["trial_id"])
    assert "SIGKILL" in json.loads((folder / "manifest.json").read_text())["ended"]


Found = TypeVar("Found")


def wait_for(look: Callable[[], Found | None]) -> Found:
    """What is looked for, once it is there."""
    end = time.monotonic() + 30
    while time.monotonic() < end:
        if found := look():
            return found
        time.sleep(0.02)
    raise TimeoutError


def shooter_of(pid: int) -> int:
    """The process of that run which sends and reads."""
    children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    (found,) = [
        int(child) for child in children if b"load_generator.shooter" in Path(f"/proc/{child}/cmdline").read_bytes()
    ]
    return found
