"""The whole command against a server that this project did not write, every number held against what a socket sees."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from statistics import median
from typing import Any

import pyarrow.parquet as pq
import pytest

from tests.support.aimock import Reading, aimock, install, read_bare
from tests.support.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.node, pytest.mark.timeout(300), pytest.mark.paced]

FIRST_MS, GAP_MS = 200, 50
"""The fixtures' pace: the first event, and from one event to the next."""
TOLERANCE_MS = 40
"""For what two processes see at different times on a busy machine; the SDK's own part is a few ms."""
TOKENS = 17
WEATHER = {"type": "function", "name": "get_weather", "parameters": {}}
BODIES: Mapping[str, Mapping[str, Any]] = {
    "text": {"input": "something paced"},
    "function_call": {"input": "Weather?", "tools": [WEATHER]},
    "structured_output": {"input": "Analyse this product"},
}
FIRST_TOKEN = {"text": 4, "function_call": 3, "structured_output": 4}
"""Events before it: created, in progress, item added, and for text the content part."""


@dataclass(frozen=True)
class Run:
    """A finished `bench run`."""

    folder: Path
    stdout: str

    def row(self, scenario: str, delivery: str, metric: str, statistic: str, unit: str | None = None) -> dict[str, str]:
        """One row of summary.csv."""
        wanted = {"scenario": scenario, "delivery": delivery, "metric": metric, "statistic": statistic}
        wanted |= {"unit": unit} if unit is not None else {}
        with (self.folder / "summary.csv").open(newline="") as file:
            (row,) = [row for row in csv.DictReader(file) if wanted.items() <= row.items()]
        return row

    def number(self, *key: str) -> float:
        """Its estimate."""
        return float(self.row(*key)["estimate"])

    def trials(self, **wanted: str) -> list[dict[str, Any]]:
        """The measured trials with these values."""
        rows = pq.read_table(self.folder / "trials.parquet").to_pylist()
        return [row for row in rows if {"phase": "measure", **wanted}.items() <= row.items()]


@pytest.fixture(scope="module")
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """aimock, installed once and kept in pytest's cache."""
    cache = request.config.cache
    assert cache is not None
    package = install(cache.mkdir("aimock"))
    with aimock(package, tmp_path_factory.mktemp("aimock") / "log") as url:
        yield url


def bench_run(base_url: str, out: Path, *options: str) -> Run:
    """The command as a user types it."""
    command = [sys.executable, "-m", "bench", "run", "--base-url", base_url, "--model", "small", "--no-memory"]
    done = subprocess.run(
        [*command, "--seed", "1", "--out", str(out), *options],
        cwd=out,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    (folder,) = out.iterdir()
    return Run(folder, done.stdout)


@pytest.fixture(scope="module")
def paced(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Run]:
    """By scenario: the run it was measured in. Text has 20 pairs, from which on a median gap is printed."""
    text = bench_run(base_url, tmp_path_factory.mktemp("text"), "text", "--prompt", "something paced", "--pairs", "20")
    options = ("function_call", "structured_output", "--pairs", "6", "--warmup", "1")
    others = bench_run(base_url, tmp_path_factory.mktemp("others"), *options)
    return {"text": text, "function_call": others, "structured_output": others}


@pytest.fixture(scope="module")
def bare(base_url: str) -> dict[str, list[Reading]]:
    """By scenario: what a bare socket sees of the same answers."""
    return {name: [read_bare(base_url, {**body, "stream": True}) for _ in range(3)] for name, body in BODIES.items()}


@pytest.fixture(scope="module")
def failing(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A run in which two of three prompts always fail, and the third when streamed."""
    prompts = tmp_path_factory.mktemp("prompts") / "asks.jsonl"
    prompts.write_text("\n".join(json.dumps({"id": word, "prompt": word}) for word in ("limited", "broken", "cut")))
    options = ("text", "--prompts", str(prompts), "--pairs", "6", "--warmup", "0")
    return bench_run(base_url, tmp_path_factory.mktemp("failing"), *options)


@pytest.mark.parametrize("scenario", BODIES)
def test_times_are_those_of_the_socket(scenario: str, paced: dict[str, Run], bare: dict[str, list[Reading]]) -> None:
    """First event, first token, first useful and total are those that a bare socket sees, and never below the pace."""
    run, readings = paced[scenario], bare[scenario]
    useful = 1 if scenario == "structured_output" else 0  # the first delta of the object holds no complete field
    seen = {
        "first_event": median(reading.events[0][1] for reading in readings),
        "ttft": median(reading.deltas()[0] for reading in readings),
        "ttft_visible": median(reading.deltas()[0] for reading in readings),
        "ttfu": median(reading.deltas()[useful] for reading in readings),
        "total": median(reading.end for reading in readings),
    }
    measured = {metric: run.number(scenario, "streamed", metric, "p50") for metric in seen}
    assert measured == pytest.approx(seen, abs=TOLERANCE_MS)
    assert measured["first_event"] == pytest.approx(FIRST_MS, abs=TOLERANCE_MS)
    assert measured["ttft"] >= FIRST_MS + FIRST_TOKEN[scenario] * (GAP_MS - 1)
    assert measured["ttfu"] >= measured["ttft"] + useful * (GAP_MS - 5)


def test_gaps_are_those_of_the_pace(paced: dict[str, Run], bare: dict[str, list[Reading]]) -> None:
    """The median gap is 50 ms, as on a bare socket, and all deltas are counted."""
    gaps = [later - earlier for reading in bare["text"] for earlier, later in pairwise(reading.deltas())]
    measured = paced["text"].number("text", "streamed", "gap", "p50")
    assert measured == pytest.approx(median(gaps), abs=3)
    assert GAP_MS - 1 <= measured <= GAP_MS + 5
    assert {row["deltas"] for row in paced["text"].trials(delivery="streamed")} == {len(bare["text"][0].deltas())}


@pytest.mark.parametrize("scenario", BODIES)
def test_blocking_is_that_of_the_socket(scenario: str, paced: dict[str, Run], base_url: str) -> None:
    """The blocking total is what a bare socket takes, and its first useful is the whole."""
    readings = [read_bare(base_url, {**BODIES[scenario], "stream": False}) for _ in range(3)]
    run = paced[scenario]
    total = run.number(scenario, "blocking", "total", "p50")
    assert total == pytest.approx(median(reading.end for reading in readings), abs=TOLERANCE_MS)
    assert run.number(scenario, "blocking", "ttfu", "p50") == total
    late = run.number(scenario, "paired", "gain", "hl", "ms")
    assert late == pytest.approx(total - run.number(scenario, "streamed", "ttfu", "p50"), abs=TOLERANCE_MS)
    assert late < 0


@pytest.mark.parametrize("scenario", BODIES)
@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_every_answer_is_valid_and_the_same(scenario: str, delivery: str, paced: dict[str, Run]) -> None:
    """All trials succeed in one attempt, without a wait, and both deliveries give the same result."""
    run = paced[scenario]
    trials = run.trials(scenario=scenario, delivery=delivery)
    assert {(trial["status"], trial["attempts"], trial["backoff_ns"]) for trial in trials} == {("ok", 1, 0)}
    assert run.number(scenario, delivery, "failures", "sum") == 0
    assert run.number(scenario, delivery, "attempts", "sum") == len(trials)
    assert len({trial["result_sha256"] for trial in run.trials(scenario=scenario)}) == 1


@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_usage_of_zero_is_missing(delivery: str, paced: dict[str, Run]) -> None:
    """A usage that is all zero is n/a, never 0; one that is given is summed."""
    for scenario in ("text", "function_call"):
        row = paced[scenario].row(scenario, delivery, "output_tokens", "sum")
        assert (row["estimate"], row["note"]) == ("", "n/a (not reported)")
        assert paced[scenario].row(scenario, delivery, "tokens_per_s", "p50")["estimate"] == ""
        assert {trial["output_tokens"] for trial in paced[scenario].trials(scenario=scenario)} == {None}
    given = paced["structured_output"].number("structured_output", delivery, "output_tokens", "sum")
    assert given == TOKENS * 6


@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
@pytest.mark.parametrize(("ask", "status"), [("limited", "http_429"), ("broken", "http_5xx")])
def test_refusals_are_classified(ask: str, status: str, delivery: str, failing: Run) -> None:
    """A limit and a server error are failures of their class after the SDK's three attempts and its waits."""
    trials = failing.trials(ask_id=ask, delivery=delivery)
    assert {(trial["status"], trial["attempts"], trial["requests"]) for trial in trials} == {(status, 3, 1)}
    assert all(trial["backoff_ns"] > 0.5e9 for trial in trials)
    assert {trial["t_first_useful"] for trial in trials} == {None}
    assert failing.number("text", delivery, f"failures.{status}", "sum") == len(trials) == 2


def test_a_cut_stream_is_a_failure(failing: Run) -> None:
    """A stream cut without a terminal event fails at the first attempt, though it brought text; blocking is ok."""
    cut = failing.trials(ask_id="cut", delivery="streamed")
    assert {(trial["status"], trial["attempts"]) for trial in cut} == {("cut_mid_stream", 1)}
    assert all(trial["deltas"] > 0 and trial["t_first_token"] is not None for trial in cut)
    assert {trial["status"] for trial in failing.trials(ask_id="cut", delivery="blocking")} == {"ok"}
    assert failing.number("text", "streamed", "failures", "sum") == 6
    assert failing.number("text", "blocking", "failures", "sum") == 4


def test_attempts_and_waits_add_up(failing: Run) -> None:
    """The report's attempts and back-off are the sums over the attempts that were made."""
    attempts = pq.read_table(failing.folder / "attempts.parquet").to_pylist()
    for delivery in ("streamed", "blocking"):
        ids = {trial["trial_id"] for trial in failing.trials(delivery=delivery)}
        made = [attempt for attempt in attempts if attempt["trial_id"] in ids]
        waited = sum(attempt["backoff_ns"] or 0 for attempt in made) / 1e6
        assert failing.number("text", delivery, "attempts", "sum") == len(made) == 14
        assert failing.number("text", delivery, "backoff", "sum") == pytest.approx(waited, rel=1e-6)


def test_failures_have_no_finite_time(failing: Run) -> None:
    """With most trials failed there is no finite median, no comparison, and no CPU of events that were not read."""
    assert failing.number("text", "streamed", "ttfu", "p50") == float("inf")
    assert failing.row("text", "paired", "gain", "hl", "ms")["estimate"] == ""
    assert failing.row("text", "streamed", "cpu_per_event", "mean")["estimate"] == ""


def test_every_report_shows_it(failing: Run, paced: dict[str, Run]) -> None:
    """Terminal, Markdown and HTML name the real host; the failures' classes stand in each of them."""
    for run in (failing, paced["text"]):
        texts = [run.stdout, *((run.folder / name).read_text() for name in ("report.md", "report.html"))]
        assert all("real endpoint 127.0.0.1" in text for text in texts)
        assert not any("SIMULATED" in text for text in texts)
        shown = [all(word in text for word in ("http_429", "http_5xx", "cut_mid_stream")) for text in texts]
        assert set(shown) == {run is failing}
