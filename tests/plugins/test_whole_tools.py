"""The scenarios for tools, reasoning and refusals: each on the simulator, through the real runner."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

from bench import Scenario
from bench.core.plugins.loader import builtin_folder, load_file
from bench.simulator.process import running
from tests.support import events as e
from tests.support.harness import Measured, Row, measure
from tests.support.scripted import json_response, scripted, sse

NAMES = ("parallel_calls", "agent_loop", "reasoning", "refusal")
Run = Callable[[str], Measured]


@cache
def scenario_of(name: str) -> Scenario:
    """The built-in scenario of a file of its own name."""
    scenario: Scenario
    (scenario,) = load_file(builtin_folder() / f"{name}.py").register_scenarios()
    return scenario


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """One run of a scenario on the simulator, the same for all tests that look at it."""
    with running(profile="flood") as simulator:

        @cache
        def once(name: str) -> Measured:
            scenario = scenario_of(name)
            return measure(
                tmp_path_factory.mktemp(name),
                simulator.base_url,
                scenario,
                prompts=scenario.prompts[:1],
                simulated=True,
                control={"profile": "flood", "ttft_ms": 20, "token_ms": 1, "tokens": 30},
            )

        yield once


def recorded(measured: Measured, trial: Row) -> dict[str, float]:
    """What a trial recorded, by name."""
    return {row["name"]: row["value"] for row in measured["metrics"] if row["trial_id"] == trial["trial_id"]}


@pytest.mark.parametrize("name", NAMES)
def test_both_deliveries_do_the_same_work(name: str, run: Run) -> None:
    """Both trials are ok with the same result, and the first useful piece comes before the end."""
    measured = run(name)
    streamed, blocking = measured.trial(), measured.trial("blocking")
    assert {(row["status"], row["error"]) for row in measured["trials"]} == {("ok", None)}
    assert streamed["result_sha256"] == blocking["result_sha256"] is not None
    assert streamed["pieces"] > 1
    assert streamed["t_first_useful"] < streamed["t_end"]
    assert measured.tally.orphans == 0


def test_parallel_calls_are_all_there_and_valid(run: Run) -> None:
    """Three calls, executable one after the other, although their arguments were written side by side."""
    measured = run("parallel_calls")
    streamed, blocking = (recorded(measured, measured.trial(way)) for way in ("streamed", "blocking"))
    assert streamed["calls"] == blocking["calls"] == measured.trial()["pieces"] == 3
    assert streamed["spread"] >= 0
    assert [name for name, _ in json.loads(measured.trial()["text"])] == ["get_weather"] * 3


def test_an_agent_calls_twice_and_answers(run: Run) -> None:
    """Three rounds; the first call comes in the first of them and the text in the last, sooner when streamed."""
    measured = run("agent_loop")
    streamed, blocking = measured.trial(), measured.trial("blocking")
    found, other = recorded(measured, streamed), recorded(measured, blocking)
    assert found["rounds"] == other["rounds"] == streamed["requests"] == blocking["requests"] == 3
    assert 18 <= found["mark.first_call"] < found["mark.first_text"]  # ms; nothing is sent for 20 ms
    assert 18 <= other["mark.first_call"] < other["mark.first_text"]
    assert found["mark.first_text"] >= 54  # in the third round
    result = json.loads(streamed["text"])
    assert [name for name, _ in result["calls"]] == ["get_weather", "find_activity"]
    first_useful = (streamed["t_first_useful"] - streamed["t_origin"]) / 1e6
    assert found["mark.first_call"] <= first_useful < found["mark.first_text"]


def test_a_round_that_breaks_off_fails_the_trial(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A round without its terminal event is nothing to go on with: no second request, and the class is the wire's."""
    with scripted(sse(e.CREATED, e.delta("Half"))) as server:
        folder = tmp_path_factory.mktemp("broken")
        measured = measure(folder, server.base_url, scenario_of("agent_loop"), deliveries=("streamed",))
    assert measured.trial()["status"] == "no_terminal_event"
    assert len(server.requests) == 1


CALL = {
    "type": "function_call",
    "id": "fc_1",
    "call_id": "c",
    "name": "get_weather",
    "arguments": '{"location": "Rome"}',
}


def with_output(*output: e.Event) -> e.Event:
    """The end of a stream with this output."""
    return {**e.COMPLETED, "response": e.response(output=list(output))}


def test_an_agent_that_never_answers_is_left(tmp_path: Path) -> None:
    """A server that calls on although the last round forbids it gets no further round, and the trial is not valid."""
    with scripted(sse(e.CREATED, with_output(CALL))) as server:
        measured = measure(tmp_path, server.base_url, scenario_of("agent_loop"), deliveries=("streamed",))
    assert measured.trial()["status"] == "invalid_result"
    assert len(server.requests) == 6


def test_what_is_said_behind_a_call_stands_there_in_both_deliveries(tmp_path: Path) -> None:
    """A round with a call and then a text: blocking, the items are taken in their order too, as they are streamed."""
    first, last = [CALL, e.message("One moment. ")], [e.message("Go out.")]
    with scripted(json_response(e.response(output=first)), json_response(e.response(output=last))) as server:
        measured = measure(tmp_path, server.base_url, scenario_of("agent_loop"), deliveries=("blocking",))
    assert json.loads(measured.trial("blocking")["text"])["text"] == "One moment. Go out."


def test_reasoning_comes_before_what_is_visible(run: Run) -> None:
    """The first token is one of reasoning; the first visible text, and the first useful piece, come later."""
    measured = run("reasoning")
    trial = measured.trial()
    found = recorded(measured, trial)
    assert found["reasoning.chars"] > 0
    assert 18 <= found["reasoning.first"] < found["reasoning.first"] + found["reasoning.time"]  # ms
    assert trial["t_first_token"] < trial["t_first_visible"] <= trial["t_first_useful"]
    assert trial["reasoning_tokens"] == measured.trial("blocking")["reasoning_tokens"] > 0


def test_a_refusal_is_read(run: Run) -> None:
    """The refusal's text comes piece by piece, and both deliveries say that it is one."""
    measured = run("refusal")
    assert [recorded(measured, measured.trial(way))["refused"] for way in ("streamed", "blocking")] == [1, 1]
    assert json.loads(measured.trial()["text"])["refused"] is True


def test_an_answer_in_place_of_a_refusal_counts(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model that answers the harmless prompt is ok, and said not to have refused."""
    with scripted(sse(e.CREATED, e.delta("Tibbles"), e.COMPLETED)) as server:
        folder = tmp_path_factory.mktemp("answer")
        measured = measure(folder, server.base_url, scenario_of("refusal"), deliveries=("streamed",))
    assert measured.trial()["status"] == "ok"
    assert recorded(measured, measured.trial())["refused"] == 0
