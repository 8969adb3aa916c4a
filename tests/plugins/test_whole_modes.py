"""The built-in scenarios for the guide's patterns: each on the simulator, through the real runner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydantic import create_model

from bench import Scenario
from bench.core.plugins.loader import builtin_folder, load_file
from bench.core.trial import Delivery
from bench.simulator.process import running
from tests.support import events as e
from tests.support.harness import Measured, Row, measure
from tests.support.scripted import Script, json_response, scripted, sse

pytestmark = pytest.mark.slow

FILES = (
    "progress",
    "event_filter",
    "buffered",
    "multi_turn",
    "usage",
    "connections",
    "early_break",
    "long_output",
    "helpers",
)
PAIRED = (
    "progress",
    "event_filter",
    "buffered",
    "multi_turn",
    "multi_turn_stored",
    "usage",
    "connection_cold",
    "connection_warm",
    "long_output",
    "text_helper",
    "structured_helper",
)
UNPAIRED = ("early_break", "early_break_bare")
TOKENS = 40
PARAMS: dict[str, dict[str, Any]] = {
    "progress": {"interval_ms": 10.0},
    "multi_turn": {"turns": 3},
    "multi_turn_stored": {"turns": 3},
    "long_output": {"tokens": 150},
}
"""Of the shared runs, where they are not the defaults."""
MORE: dict[str, dict[str, int]] = {
    "connection_cold": {"pairs": 2},
    "connection_warm": {"pairs": 2},
    "early_break": {"tokens": 200},
    "early_break_bare": {"tokens": 200},  # it must go on for longer than a busy machine takes to break off
}

Run = Callable[[str], Measured]


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A simulator without pacing of its own."""
    with running(profile="flood") as simulator:
        yield simulator.base_url


@cache
def plugins() -> dict[str, tuple[Scenario, ModuleType]]:
    """The scenarios of these files by name, each with the plugin it comes from."""
    modules = [load_file(builtin_folder() / f"{name}.py") for name in FILES]
    return {scenario.name: (scenario, module) for module in modules for scenario in module.register_scenarios()}


def built_in(name: str, **params: Any) -> Scenario:
    """A built-in scenario, with other defaults for its parameters."""
    scenario = plugins()[name][0]
    if not params:
        return scenario
    fields: dict[str, Any] = {key: (type(value), value) for key, value in params.items()}
    return replace(scenario, params=create_model("Other", __base__=scenario.params, **fields))


def measured_on_sim(
    folder: Path, base_url: str, scenario: Scenario, *, pairs: int = 1, tokens: int = TOKENS
) -> Measured:
    """The scenario on the simulator, its plugin's own observer in place."""
    return measure(
        folder,
        base_url,
        scenario,
        deliveries=("streamed", "blocking") if scenario.blocking else ("streamed",),
        pairs=pairs,
        prompts=("Tell me about harbours.",),
        observers=[plugins()[scenario.name][1]],
        simulated=True,
        control={"profile": "flood", "ttft_ms": 20, "token_ms": 1, "tokens": tokens},
    )


@pytest.fixture(scope="module")
def run(base_url: str, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """One run of a scenario on the simulator, the same for all tests that look at it."""

    @cache
    def once(name: str) -> Measured:
        scenario = built_in(name, **PARAMS.get(name, {}))
        return measured_on_sim(tmp_path_factory.mktemp(name), base_url, scenario, **MORE.get(name, {}))

    return once


def recorded(measured: Measured, trial: Row) -> dict[str, float]:
    """What a trial recorded, by name."""
    return {row["name"]: row["value"] for row in measured["metrics"] if row["trial_id"] == trial["trial_id"]}


def attempts(measured: Measured, trial: Row) -> list[Row]:
    """The attempts of a trial."""
    return [row for row in measured["attempts"] if row["trial_id"] == trial["trial_id"]]


@pytest.mark.parametrize("name", PAIRED)
def test_both_deliveries_do_the_same_work(name: str, run: Run) -> None:
    """All trials are ok with the same result, the first useful piece comes before the end, no request is an orphan."""
    measured = run(name)
    first = {row["delivery"]: row for row in measured["trials"] if row["pair"] == 0}
    streamed, blocking = first["streamed"], first["blocking"]
    assert {(row["status"], row["error"]) for row in measured["trials"]} == {("ok", None)}
    assert streamed["result_sha256"] == blocking["result_sha256"] is not None
    assert streamed["pieces"] > 1
    assert streamed["t_first_useful"] < streamed["t_end"]
    assert measured.tally.orphans == 0


def test_every_scenario_has_a_tag_and_none_is_core() -> None:
    """`bench run` stays short: these are run by name or by a tag of their own."""
    tags = {name: set(scenario.tags) for name, (scenario, _) in plugins().items()}
    assert set(tags) == {*PAIRED, *UNPAIRED}
    assert all(found and found <= {"guide", "sdk", "connection"} for found in tags.values()), tags


def test_progress_shows_fewer_updates_than_deltas(run: Run) -> None:
    """The updates are counted, and they are fewer than the deltas."""
    measured = run("progress")
    trial = measured.trial()
    assert recorded(measured, trial)["updates"] == trial["pieces"] < trial["deltas"]


def test_the_filter_counts_what_it_drops(run: Run) -> None:
    """Every event is a piece or was dropped."""
    measured = run("event_filter")
    trial = measured.trial()
    assert recorded(measured, trial)["events_dropped"] == trial["events"] - trial["pieces"] > 0


def test_buffering_delays_each_character(run: Run, base_url: str, tmp_path: Path) -> None:
    """Chunks have their size; bigger ones make the characters in them wait longer."""
    whole = run("buffered")
    sizes = [row["chars"] for row in whole["pieces"]]
    assert all(size >= 100 for size in sizes[:-1])
    single = measured_on_sim(tmp_path, base_url, built_in("buffered", chars=1))
    delays = [recorded(measured, measured.trial())["buffer_delay"] for measured in (single, whole)]
    assert delays[0] < 1 < delays[1]  # ms; 100 characters take the simulator some 10 ms or more


@pytest.mark.parametrize("name", ["multi_turn", "multi_turn_stored"])
def test_a_conversation_has_its_turns(name: str, run: Run) -> None:
    """Each turn is a request of its own, timed to its first text; the answers come back as input of the next turns."""
    measured = run(name)
    streamed, blocking = measured.trial(), measured.trial("blocking")
    found = recorded(measured, streamed)
    assert set(found) == {"turn1.first_text", "turn2.first_text", "turn3.first_text", "growth"}
    assert min(found[f"turn{turn}.first_text"] for turn in (1, 2, 3)) >= 18  # ms; asked for 20 by the server's clock
    assert found["growth"] == pytest.approx(found["turn3.first_text"] - found["turn1.first_text"])
    assert (streamed["requests"], blocking["requests"]) == (3, 3)
    assert streamed["input_tokens"] == blocking["input_tokens"] > 3 * TOKENS
    assert streamed["t_first_useful"] < min(row["t_end"] for row in attempts(measured, streamed))


def test_stored_and_resent_conversations_are_the_same(run: Run) -> None:
    """The server reads the same conversation whether it is sent again or stored, and answers the same."""
    resent, stored = run("multi_turn").trial(), run("multi_turn_stored").trial()
    assert resent["result_sha256"] == stored["result_sha256"]
    assert resent["input_tokens"] == stored["input_tokens"]


def test_a_turn_that_breaks_off_fails_the_trial(tmp_path: Path) -> None:
    """A first turn without its terminal event is no whole answer: no second request, and the class is the wire's."""
    with scripted(sse(e.CREATED, e.delta("Half"))) as server:
        measured = measure(tmp_path, server.base_url, built_in("multi_turn"), deliveries=("streamed",))
    assert measured.trial()["status"] == "no_terminal_event"
    assert len(server.requests) == 1


def test_usage_is_told_and_counted(run: Run) -> None:
    """Both deliveries tell the same usage for one request each, however many events it took."""
    measured = run("usage")
    streamed, blocking = (recorded(measured, measured.trial(way)) for way in ("streamed", "blocking"))
    events = streamed.pop("output_events")
    assert streamed == blocking
    assert (streamed["requests"], streamed["usage.output_tokens"]) == (1, TOKENS)
    assert events == measured.trial()["deltas"] > 1


@pytest.mark.parametrize("told", [None, "many", {"input_tokens": None, "output_tokens": 3, "total_tokens": 3}])
@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_a_usage_that_is_not_told_is_not_made_up(tmp_path: Path, told: Any, delivery: Delivery) -> None:
    """Counts that are missing or nonsense are no valid answer, and no number is recorded of them."""
    whole = e.response(output=[e.message("Hi")], usage=told)
    stream = sse(e.delta("Hi"), {"type": "response.completed", "response": whole})
    with scripted(stream if delivery == "streamed" else json_response(whole)) as server:
        measured = measure(tmp_path, server.base_url, built_in("usage"), deliveries=(delivery,))
    assert measured.trial(delivery)["status"] == "invalid_result"
    assert "tells no usage" in measured.trial(delivery)["error"]
    assert not [row for row in measured["metrics"] if row["name"].startswith("usage.")]


def test_what_is_left_of_a_rate_limit_is_recorded(tmp_path: Path) -> None:
    """Where the server tells what is left of its limits, the trial has it."""
    headers = {"x-ratelimit-remaining-requests": "59", "x-ratelimit-remaining-tokens": "1490"}
    answer = json_response(e.response(output=[e.message("Hi")], usage=e.USAGE), headers=headers)
    observers = [plugins()["usage"][1]]
    with scripted(answer) as server:
        measured = measure(tmp_path, server.base_url, built_in("usage"), deliveries=("blocking",), observers=observers)
    found = recorded(measured, measured.trial("blocking"))
    assert (found["ratelimit.remaining_requests"], found["ratelimit.remaining_tokens"]) == (59, 1490)


@pytest.mark.parametrize(("name", "reused"), [("connection_cold", [0, 0, 0, 0]), ("connection_warm", [0, 1, 1, 1])])
def test_only_cold_trials_pay_the_handshake(name: str, reused: list[int], run: Run) -> None:
    """Cold: every trial opens a connection. Warm: only the first one of the run."""
    found = [recorded(run(name), trial) for trial in run(name)["trials"]]
    assert [row["reused"] for row in found] == reused
    assert all(("handshake" in row) == (row["reused"] == 0) for row in found)


@pytest.mark.parametrize("name", UNPAIRED)
def test_an_abandoned_stream_costs_the_connection(name: str, run: Run) -> None:
    """The second answer is whole and comes over a connection of its own; leaving the first early is no failure."""
    measured = run(name)
    trial = measured.trial()
    first, second = attempts(measured, trial)
    found = recorded(measured, trial)
    assert (trial["status"], trial["error"], trial["requests"]) == ("ok", None, 2)
    assert first["closed_early"]
    assert second["terminal"] == "completed"
    assert (found["reused"], found["connections"]) == (0, 2)
    assert found["second.first_text"] >= 18  # ms; asked for 20 by the server's clock
    assert trial["t_first_useful"] > second["t_start"]
    assert measured.tally.orphans == 0


def test_without_the_context_manager_the_abandoned_answer_goes_on(run: Run) -> None:
    """Left properly, nothing more of the first answer is read; left by `break` alone, it comes in beside the second."""
    closed, bare = (recorded(run(name), run(name).trial()) for name in UNPAIRED)
    assert (closed["abandoned.open"], closed["abandoned.bytes"]) == (0, 0)
    assert bare["abandoned.bytes"] > 1000
    assert bare["abandoned.open"] > bare["second.first_text"]


def test_long_output_has_the_length_of_its_parameter(run: Run) -> None:
    """The answer has exactly the asked tokens in both deliveries, whatever the run's own length."""
    assert [run("long_output").trial(way)["output_tokens"] for way in ("streamed", "blocking")] == [150, 150]


@pytest.mark.parametrize("name", ["text_helper", "structured_helper"])
@pytest.mark.parametrize(
    ("script", "status"),
    [
        pytest.param(sse(e.CREATED, e.FAILED), "in_band_error", id="failed"),
        pytest.param(sse(e.CREATED), "no_terminal_event", id="silent end"),
        pytest.param(sse(e.delta("Hi"), e.COMPLETED), "invalid_result", id="not OpenAI's sequence"),
    ],
)
def test_what_the_helper_does_not_like_is_no_fault_of_the_scenario(
    name: str, script: Script, status: str, tmp_path: Path
) -> None:
    """The helper's RuntimeErrors end as what the server did, or as an answer that could not be read."""
    with scripted(script) as server:
        trial = measure(tmp_path, server.base_url, built_in(name), deliveries=("streamed",)).trial()
    assert trial["status"] == status


ITEM = {
    "type": "response.output_item.added",
    "sequence_number": 1,
    "output_index": 0,
    "item": {**e.message(""), "content": []},
}
PART = {**e.delta(""), "type": "response.content_part.added", "part": e.message("")["content"][0]}
ANALYSIS = json.dumps(
    {
        "product_name": "Lamp",
        "features": ["dimmable"],
        "pros": [],
        "cons": [],
        "price_range": "$",
        "target_audience": "sleepers",
    }
)


def ended(event: e.Event, text: str) -> e.Event:
    """The end of a stream, with the whole output."""
    return {**event, "response": {**event["response"], "output": [e.message(text)]}}


@pytest.mark.parametrize(
    ("name", "text", "end", "truncated"),
    [
        pytest.param("text_helper", "Half an", e.INCOMPLETE, True, id="cut at its length"),
        pytest.param("structured_helper", ANALYSIS, e.COMPLETED, False, id="no done event"),
    ],
)
def test_the_helpers_take_what_other_servers_send(
    name: str, text: str, end: e.Event, truncated: bool, tmp_path: Path
) -> None:
    """An answer at the length cap, for which there is no final response, and one without done events are ok."""
    with scripted(sse(e.CREATED, ITEM, PART, e.delta(text[:4]), e.delta(text[4:]), ended(end, text))) as server:
        trial = measure(tmp_path, server.base_url, built_in(name), deliveries=("streamed",)).trial()
    assert (trial["status"], trial["error"], trial["truncated"]) == ("ok", None, truncated)
    assert trial["text"] == (text if name == "text_helper" else json.dumps(json.loads(text), sort_keys=True))
