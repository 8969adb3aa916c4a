"""The runner: order, side by side, interruption, and what the journal says of each."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from bench import Ask, Scenario, hookimpl
from bench.plan.plan import BOTH
from bench.plan.schedule import make_plan
from bench.simulator.process import running
from bench.simulator.truth import read_truth
from tests.support import events as e
from tests.support.harness import cell_of, measure
from tests.support.scenarios import TEXT, blocking
from tests.support.scripted import Request, Script, json_response, scripted, sse

pytestmark = pytest.mark.alone


def answer(request: Request) -> Script:
    """The same answer in both deliveries, after 50 ms."""
    if request.json["stream"]:
        return sse(e.CREATED, 0.05, e.delta("Hel"), e.delta("lo"), e.COMPLETED)
    return [0.05, *json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))]


def test_trials_run_in_the_order_of_the_plan(tmp_path: Path) -> None:
    """One at a time, in the planned order, none beginning before the one before it has ended."""
    with scripted(routes={"/v1/responses": answer}) as server:
        trials = measure(tmp_path, server.base_url, TEXT, pairs=4, warmup=1)["trials"]
    plan = make_plan([cell_of(TEXT, BOTH, 1, 1)], pairs=4, warmup=1, seed=7)
    assert [(t["trial_id"], t["delivery"], t["phase"]) for t in trials] == [
        (t.trial_id, t.delivery, t.phase) for t in plan.trials
    ]
    assert all(a["t_end"] < b["t_origin"] for a, b in pairwise(trials))
    assert [request.json["stream"] for request in server.requests] == [t["delivery"] == "streamed" for t in trials]


def test_both_deliveries_do_the_same_work(tmp_path: Path) -> None:
    """A pair's requests differ in `stream` and the nonce only, and equal answers have equal hashes."""
    with scripted(routes={"/v1/responses": answer}) as server:
        first, second = measure(tmp_path, server.base_url, TEXT)["trials"]
    bodies = [request.json for request in server.requests]
    texts = [body.pop("input")[0]["content"] for body in bodies]
    assert {body.pop("stream") for body in bodies} == {True, False}
    assert bodies[0] == bodies[1]
    assert {len(text) for text in texts} == {len(texts[0])}
    assert texts[0] != texts[1]
    assert first["result_sha256"] == second["result_sha256"]
    assert (first["output_tokens"], first["cached_tokens"], first["reasoning_tokens"]) == (3, 2, 1)


def test_concurrency_is_reached_and_not_exceeded(tmp_path: Path) -> None:
    """Three workers keep three trials going, each its own pairs one after the other; the CPU is the segment's."""
    with scripted(routes={"/v1/responses": answer}) as server:
        measured = measure(tmp_path, server.base_url, TEXT, pairs=9, concurrency=3)
    trials = [row for row in measured["trials"] if row["phase"] == "measure"]
    moments = sorted([(row["t_origin"], 1) for row in trials] + [(row["t_end"], -1) for row in trials])
    level, levels = 0, Counter[int]()
    for _, step in moments:
        level += step
        levels[level] += 1
    assert max(levels) == 3
    assert {row["cpu_ns"] for row in trials} == {None}
    assert all(cell["cpu_ns"] > 0 and cell["wall_ns"] > 0 for cell in measured["cells"])
    measured_ids = {row["trial_id"] for row in trials}
    events = [row for row in measured["events"] if row["trial_id"] in measured_ids]
    assert sum(cell["events"] for cell in measured["cells"]) == len(events)
    pairs = {pair: [row for row in trials if row["pair"] == pair] for pair in {row["pair"] for row in trials}}
    for first, second in pairs.values():
        assert max(first["t_origin"], second["t_origin"]) >= min(first["t_end"], second["t_end"])


def test_every_start_is_journalled(tmp_path: Path) -> None:
    """What was started is known, whatever came of it: offered = starts."""
    with scripted(routes={"/v1/responses": answer}) as server:
        measured = measure(tmp_path, server.base_url, TEXT, pairs=2, warmup=1)
    assert [row["trial_id"] for row in measured["starts"]] == [row["trial_id"] for row in measured["trials"]]
    assert all(s["t_start"] <= t["t_origin"] for s, t in zip(measured["starts"], measured["trials"], strict=True))


@pytest.mark.parametrize("concurrency", [1, 3])
def test_an_interruption_keeps_what_was_measured(tmp_path: Path, concurrency: int) -> None:
    """Cancelled (Ctrl-C), finished trials stay as they are and those in flight are `cancelled`: starts = trials."""
    with scripted(routes={"/v1/responses": answer}) as server:
        measured = measure(tmp_path, server.base_url, TEXT, pairs=200, concurrency=concurrency, cancel_ended=5)
    assert {row["name"] for row in measured["probes"]} >= {"loop_lag"}, "whether it was late is known too"
    statuses = Counter(row["status"] for row in measured["trials"])
    assert statuses["ok"] >= 5
    assert 1 <= statuses["cancelled"] <= concurrency
    assert set(statuses) == {"ok", "cancelled"}
    assert {row["trial_id"] for row in measured["starts"]} == {row["trial_id"] for row in measured["trials"]}
    cancelled = [row for row in measured["trials"] if row["status"] == "cancelled"]
    assert all(row["t_end"] >= row["t_origin"] for row in cancelled)  # equal: it was cancelled before its first step


def test_a_scenario_that_cancels_itself_does_not_stop_the_run(tmp_path: Path) -> None:
    """A plugin that raises the cancellation of its own task is at fault; the run goes on."""

    async def suicidal(client: Any, ask: Ask) -> AsyncIterator[str]:
        yield "x"
        raise asyncio.CancelledError

    with scripted() as server:
        measured = measure(tmp_path, server.base_url, Scenario("s", suicidal), deliveries=["streamed"], pairs=3)
    assert [row["status"] for row in measured["trials"]] == ["scenario_error"] * 3


def test_an_observer_that_fails(tmp_path: Path) -> None:
    """An observer's exception is a plugin's: `scenario_error`, with its place."""

    class Broken:
        @hookimpl
        def observe(self, trial: Any) -> Any:
            raise LookupError(f"no instrument for {trial.scenario}")

    with scripted(routes={"/v1/responses": answer}) as server:
        row = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"], observers=[Broken()]).trial()
    assert row["status"] == "scenario_error"
    assert "no instrument" in row["error"]


def test_marks_and_numbers_of_a_scenario(tmp_path: Path) -> None:
    """What a scenario marks and records lands in the metrics, marks in ms from the origin on the run's clock."""

    async def marking(client: Any, ask: Ask) -> AsyncIterator[str]:
        begun = ask.now()
        await asyncio.sleep(0.02)
        ask.mark("asleep")
        ask.record("slept", (ask.now() - begun) / 1e6, "ms")
        yield ask.prompt

    with scripted() as server:
        measured = measure(tmp_path, server.base_url, Scenario("m", marking), deliveries=["streamed"])
    metrics = {row["name"]: (row["unit"], row["value"]) for row in measured["metrics"]}
    assert metrics["mark.asleep"][0] == "ms"
    assert 20 <= metrics["mark.asleep"][1] <= metrics["slept"][1] + 50
    assert measured.trial()["attempts"] == 0


def test_prompts_with_columns_of_their_own(tmp_path: Path) -> None:
    """A row of a prompt file gives messages, length and further columns; its id is kept."""
    row = {
        "id": "q1",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Why?"}],
        "output_tokens": 7,
        "topic": "reasons",
    }

    async def using(client: Any, ask: Ask) -> AsyncIterator[str]:
        yield f"{ask.row['topic']} {ask.output_tokens} {ask.prompt}"
        await blocking(client, ask)

    with scripted(routes={"/v1/responses": answer}) as server:
        trial = measure(tmp_path, server.base_url, Scenario("u", using), deliveries=["streamed"], prompts=[row]).trial()
    body = server.requests[0].json
    assert trial["text"] == "reasons 7 Why?"
    assert (trial["ask_id"], body["max_output_tokens"]) == ("q1", 7)
    assert body["input"][0]["content"] == f"{trial['nonce']} Be brief."


def test_stamps_agree_with_the_simulators_send_log(tmp_path: Path) -> None:
    """On one clock every event is read after it was sent, in the median within a token's time of 5 ms."""
    truth = tmp_path / "truth.jsonl"
    with running(profile="quick", truth=truth) as simulator:
        measured = measure(
            tmp_path,
            simulator.base_url,
            TEXT,
            deliveries=["streamed"],
            pairs=3,
            warmup=1,
            simulated=True,
            control={"profile": "quick"},
        )
    log = {sent["client_id"]: sent for sent in read_truth(truth)}
    lags = []
    for attempt in measured["attempts"][1:]:
        events = [row for row in measured["events"] if row["trial_id"] == attempt["trial_id"]]
        sent = log[attempt["client_id"]]
        assert [row["type"] for row in events] == sent["type"]
        lags += [row["t_read"] + measured.t0 - time for row, time in zip(events, sent["t_sent"], strict=True)]
    assert min(lags) > 0
    assert sorted(lags)[len(lags) // 2] < 5e6
