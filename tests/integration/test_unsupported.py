"""What a target cannot do is found out in the warm-up, said once, and no failure."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest

from bench import Ask, Scenario
from bench.core.trial import Trial
from bench.records import journal as records
from bench.run.outcome.judge import Outcome
from bench.run.outcome.unsupported import Refusal, Refusals, refusal
from tests.support import events as e
from tests.support.cli import bench, only_run
from tests.support.harness import measure
from tests.support.scenarios import TEXT
from tests.support.scripted import Answer, Request, Script, json_response, scripted, sse

MODELS = json_response({"object": "list", "data": [{"id": "m1"}]})
OK = sse(e.CREATED, e.delta("Hel"), e.delta("lo"), e.COMPLETED)
WHOLE = json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))


def refused(status: int) -> Script:
    return json_response({"error": {"message": "no\x1b[31m tools here"}}, status, {"x-should-retry": "false"})


def answer(request: Request) -> Script:
    """As asked: streamed or whole."""
    return OK if request.json.get("stream") else WHOLE


def unless(what: Callable[[Request], bool], status: int = 400) -> Callable[[Request], Script]:
    """A server that refuses some requests."""
    return lambda request: refused(status) if what(request) else answer(request)


@pytest.mark.parametrize("status", [400, 404, 405, 415, 422, 501])
def test_a_refused_warm_up_ends_the_cell(tmp_path: Path, status: int) -> None:
    """None of its measured trials is sent or offered; the warm-up stays in the records, and so does the reason."""
    with scripted(refused(status)) as server:
        measured = measure(tmp_path, server.base_url, TEXT, warmup=2, pairs=3)
    assert len(server.requests) == 4
    assert {row["phase"] for row in measured["trials"]} == {"warmup"}
    assert len(measured["starts"]) == 4
    (cell,) = measured["cells"]
    assert cell["unsupported"] == f"HTTP {status}: no [31m tools here"
    assert not measured.tally.statuses


@pytest.mark.parametrize("status", [401, 403, 408, 409, 413, 429, 500, 503])
def test_other_errors_are_failures(tmp_path: Path, status: int) -> None:
    """They do not say that the server cannot do it, so all trials are run."""
    with scripted(refused(status)) as server:
        measured = measure(tmp_path, server.base_url, TEXT, warmup=1, pairs=2)
    assert len(server.requests) == 6
    assert not measured.tally.unsupported


def test_one_refused_delivery_is_a_finding(tmp_path: Path) -> None:
    """A server that only cannot stream is measured, and its failures are counted."""
    with scripted(unless(lambda request: bool(request.json.get("stream")))) as server:
        measured = measure(tmp_path, server.base_url, TEXT, warmup=1, pairs=2)
    assert measured.tally.statuses == {"ok": 2, "http_4xx": 2}


async def by_websocket(client: Any, ask: Ask) -> AsyncIterator[str]:
    async with client.responses.connect():
        yield "never"


@asynccontextmanager
async def connected(client: Any, ask: Ask) -> AsyncIterator[Any]:
    async with client.responses.connect() as connection:
        yield connection


@pytest.mark.parametrize(("status", "unsupported"), [(403, True), (404, True), (426, True), (401, False), (503, False)])
@pytest.mark.parametrize("when", ["streamed", "setup"])
def test_a_server_without_websocket(tmp_path: Path, status: int, unsupported: bool, when: str) -> None:
    """A refused handshake ends the cell, though the blocking half would work; a refused key or an error does not."""
    scenario = Scenario("ws", by_websocket, TEXT.blocking) if when == "streamed" else replace(TEXT, setup=connected)
    with scripted(lambda request: refused(status) if request.method == "GET" else answer(request)) as server:
        measured = measure(tmp_path, server.base_url, scenario, warmup=1, pairs=1)
    reasons = [cell["unsupported"] for cell in measured["cells"]]
    if unsupported:
        assert reasons == [f"no WebSocket there: HTTP {status}: no [31m tools here"] or when == "setup"
        assert "no WebSocket there" in reasons[0]
        assert not measured.tally.statuses
    else:
        assert reasons == [None]
        assert measured.tally.statuses.total() == 2
        assert "scenario_error" not in measured.tally.statuses


def test_without_warm_up_nothing_is_unsupported(tmp_path: Path) -> None:
    """There is nothing to tell it by."""
    with scripted(refused(400)) as server:
        measured = measure(tmp_path, server.base_url, TEXT, warmup=0, pairs=2)
    assert measured.tally.statuses == {"http_4xx": 4}


def test_a_scenario_that_expects_refusals_is_supported() -> None:
    """An ok trial was not refused, whatever its last answer was."""
    trial = Trial(0, "mine", "streamed", "there", "m", "warmup")
    assert not refusal(trial, [], Outcome("ok"))
    refusals = Refusals()
    assert refusals.reason(0) == ""
    refusals.add(0, Refusal("HTTP 400: no"))
    refusals.add(0, Refusal())
    assert refusals.reason(0) == ""


SETUP = """
    from contextlib import asynccontextmanager
    from bench import Scenario, hookimpl

    @asynccontextmanager
    async def setup(client, ask):
        await client.responses.create(**{**ask.request, "tools": [{"type": "function", "name": "f"}]})
        yield

    async def streamed(client, ask):
        yield "never"

    @hookimpl
    def register_scenarios():
        yield Scenario("prepared", streamed, setup=setup)
"""


@pytest.mark.slow
def test_the_report_says_what_was_left_out(tmp_path: Path) -> None:
    """The rest is measured and exit 0; stderr says each once, and so do manifest and report."""
    (tmp_path / "prepared.py").write_text(dedent(SETUP))
    routes: dict[str, Answer] = {"/v1/models": MODELS, "/v1/responses": unless(lambda request: "tools" in request.json)}
    with scripted(routes=routes) as server:
        arguments = ["run", "text", "function_call", "./prepared.py", "--base-url", server.base_url, "--no-memory"]
        done = bench(*arguments, "--pairs", "6", "--warmup", "1", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    lines = sorted(line for line in done.stderr.splitlines() if line.startswith("unsupported: "))
    assert len(lines) == 2
    assert lines[0].startswith("unsupported: function_call on ")
    assert lines[0].endswith("(HTTP 400: no [31m tools here)")
    assert lines[1].endswith("(setup: HTTP 400: no [31m tools here)")
    assert "trials: 17 of 17" in done.stderr
    run = only_run(tmp_path)
    notes = json.loads((run / records.MANIFEST).read_text())["notes"]
    assert sorted(note for note in notes if note.startswith("unsupported: ")) == lines
    table = next(line for line in (run / "report.md").read_text().splitlines() if line.startswith("| function_call"))
    assert "n/a<br>unsupported" in table
    assert "function_call: unsupported there, so not measured: HTTP 400: no" in done.stdout
    assert "not started" not in done.stdout
    assert "12 offered = 12 ok" in done.stdout
    assert "unsupported" in (run / "report.html").read_text()


@pytest.mark.slow
def test_nothing_left_to_measure_is_exit_3(tmp_path: Path) -> None:
    """With the reasons and what to do; the report still builds."""
    routes: dict[str, Answer] = {"/v1/models": MODELS, "/v1/responses": unless(lambda request: "tools" in request.json)}
    with scripted(routes=routes) as server:
        arguments = ["run", "function_call", "--base-url", server.base_url, "--no-memory", "--pairs", "6"]
        done = bench(*arguments, "--warmup", "1", cwd=tmp_path)
    assert done.returncode == 3, done.stderr
    assert "nothing was left to measure; try another --model or --api" in done.stderr.splitlines()[-1]
    assert "Nothing was measured: the target supports none of it." in done.stdout
    assert (only_run(tmp_path) / "summary.csv").exists()
