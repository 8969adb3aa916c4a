"""Chat Completions end to end: the simulator and the SDK, the scenarios, odd servers, and `--api chat`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import pytest
from openai import OpenAI
from pydantic import BaseModel

from bench import Scenario, Target
from bench.core.errors import RunInvalid
from bench.core.load import ALONE
from bench.core.plugins.loader import builtin_folder, load
from bench.core.scenario import Api
from bench.plan.selection import choose_scenarios, make_cells
from bench.records.journal import read
from bench.run.memory.measure import Job
from bench.run.memory.measure import measure as measure_memory
from bench.simulator.process import Simulator, running
from tests.support import chat as c
from tests.support.aimock import aimock, install
from tests.support.cli import bench, only_run
from tests.support.harness import Measured, measure
from tests.support.scripted import Answer, json_response, scripted, sse

ARGUMENTS = '{"location":"Lisbon","unit":"celsius","days":1}'
NAMES = ("chat_text", "chat_function_call", "chat_structured_output")


class Product(BaseModel):
    """What a structured answer is."""

    product_name: str
    features: list[str]


@pytest.fixture(scope="module")
def sim() -> Iterator[Simulator]:
    """A simulator without pacing."""
    with running(profile="flood") as simulator:
        yield simulator


@pytest.fixture(scope="module")
def client(sim: Simulator) -> Iterator[OpenAI]:
    """The official client, without retries that could hide a failure."""
    with OpenAI(base_url=sim.base_url, api_key="anything", max_retries=0) as made:
        yield made


@pytest.fixture(scope="module")
def scenarios() -> dict[str, Scenario]:
    """The scenarios for this API, as the manager finds them."""
    found = load().scenarios
    return {name: found[name][0] for name in NAMES}


def control(**fields: Any) -> dict[str, str]:
    """Metadata with the control field."""
    return {"bench": json.dumps({"tokens": 20} | fields)}


def test_the_helper_of_the_sdk_takes_the_stream(client: OpenAI) -> None:
    """`client.chat.completions.stream()`, which parses as it goes, ends with the parsed answer and its usage."""
    ask: Any = {"model": "sim-1", "messages": [{"role": "user", "content": "A kettle"}], "metadata": control()}
    with client.chat.completions.stream(
        **ask, response_format=Product, stream_options={"include_usage": True}
    ) as stream:
        types = {event.type for event in stream}
        final = stream.get_final_completion()
    assert {"chunk", "content.delta", "content.done"} <= types
    assert isinstance(final.choices[0].message.parsed, Product)
    whole = client.chat.completions.parse(**ask, response_format=Product)
    assert whole.choices[0].message.content == final.choices[0].message.content
    assert (whole.usage, final.usage and final.usage.completion_tokens) == (final.usage, 20)


def test_a_conversation_goes_on_turn_by_turn(client: OpenAI) -> None:
    """Answers of the model in `messages` count as turns of the script, calls and their results included."""
    answers = [{"items": [{"type": "function_call"}]}, {"items": [{"type": "message", "text": "It rains."}]}]
    tool: Any = {"type": "function", "function": {"name": "look", "parameters": {"type": "object"}}}
    messages: list[Any] = [{"role": "user", "content": "Weather?"}]
    ask: Any = {"model": "sim-1", "tools": [tool], "metadata": control(answers=answers)}
    first = client.chat.completions.create(**ask, messages=messages).choices[0]
    assert first.finish_reason == "tool_calls"
    assert first.message.tool_calls
    messages += [first.message, {"role": "tool", "tool_call_id": first.message.tool_calls[0].id, "content": "Rain"}]
    assert client.chat.completions.create(**ask, messages=messages).choices[0].message.content == "It rains."


@pytest.mark.parametrize("name", NAMES)
def test_both_deliveries_do_the_same_work(
    name: str, scenarios: dict[str, Scenario], sim: Simulator, tmp_path: Path
) -> None:
    """A pair on the simulator: both ok, equal results, equal usage, several pieces, TTFT at the first token."""
    scenario = scenarios[name]
    run = measure(tmp_path, sim.base_url, scenario, prompts=scenario.prompts[:1], simulated=True)
    streamed, blocking = run.trial("streamed"), run.trial("blocking")
    assert (streamed["status"], blocking["status"]) == ("ok", "ok"), (streamed["error"], blocking["error"])
    assert streamed["result_sha256"] == blocking["result_sha256"]
    assert streamed["output_tokens"] == blocking["output_tokens"] == streamed["deltas"]
    assert streamed["pieces"] > 1
    assert blocking["t_first_token"] is None
    kinds = [row["kind"] for row in run["events"]]
    assert kinds[0] == "lifecycle"
    assert kinds[-3:] == ["terminal", "other", "done"]
    assert {row["type"] for row in run["events"]} >= {"chat.lifecycle", "chat.terminal", "chat.other", "[DONE]"}


@pytest.mark.parametrize(
    ("fault", "streamed", "blocking"),
    [
        ("error_nested", "in_band_error", "in_band_error"),
        ("silent_end", "no_terminal_event", "malformed"),
        ("cut", "cut_mid_stream", "cut_mid_stream"),
    ],
)
def test_faults_are_told_apart(
    fault: str, streamed: str, blocking: str, scenarios: dict[str, Scenario], sim: Simulator, tmp_path: Path
) -> None:
    """What the simulator does wrong over this API is classified as over the other one."""
    always = {"faults": [f"{fault}=1"]}
    run = measure(tmp_path, sim.base_url, scenarios["chat_text"], simulated=True, control=always, max_retries=0)
    assert [run.trial(delivery)["status"] for delivery in ("streamed", "blocking")] == [streamed, blocking]


STRANGE: dict[str, tuple[Sequence[Any], str, int]] = {
    "no [DONE], usage on the finish chunk": ([c.ROLE, c.content("Hi"), c.chunk(finish="stop", usage=c.USAGE)], "ok", 1),
    "finish on the last content": ([c.content("Hi"), c.content(" you", finish="stop"), c.DONE], "ok", 2),
    "pings, empty deltas, no choice": (
        [": ping\n\n", c.ROLE, c.chunk({"content": None}), {**c.USAGE_ONLY, "usage": None}, c.content("Hi"), c.STOP],
        "ok",
        1,
    ),
    "choices null": ([{**c.ROLE, "choices": None}, c.content("Hi"), c.STOP, c.DONE], "ok", 1),
    "delta null": ([{**c.ROLE, "choices": [{"index": 0, "delta": None}]}, c.content("Hi"), c.STOP], "ok", 1),
    "ten in one write": ([[c.ROLE, *[c.content("ab")] * 8, c.STOP], c.DONE], "ok", 8),
    "one in two writes": (['data: {"choices": [{"index": 0, "del', 'ta": {"content": "Hi"}}]}\n\n', c.STOP], "ok", 1),
    "only reasoning": (
        [c.chunk({"reasoning": "Hm"}), c.chunk({"reasoning_content": "Hm"}), c.STOP],
        "invalid_result",
        2,
    ),
    "only a refusal": ([c.chunk({"refusal": "No."}), c.STOP, c.DONE], "invalid_result", 1),
    "length": ([c.content("Hi"), c.chunk(finish="length"), c.DONE], "ok", 1),
    "content filter": ([c.content("Hi"), c.chunk(finish="content_filter"), c.DONE], "incomplete", 1),
    "[DONE] without a finish reason": ([c.content("Hi"), c.DONE], "no_terminal_event", 1),
    "error frame": ([c.content("Hi"), {"error": {"message": "out of memory"}}, c.DONE], "in_band_error", 1),
    "error that the SDK passes over": ([c.content("Hi"), {"object": "error", "message": "m"}], "in_band_error", 1),
    "no JSON": ([c.content("Hi"), "data: {oops\n\n"], "malformed", 1),
}


@pytest.mark.parametrize("case", STRANGE)
def test_what_servers_really_send(case: str, scenarios: dict[str, Scenario], tmp_path: Path) -> None:
    """Streams that OpenAI would not send are read right: their status, and how many deltas brought something."""
    chunks, status, deltas = STRANGE[case]
    with scripted(sse(*chunks)) as server:
        row = measure(tmp_path, server.base_url, scenarios["chat_text"], deliveries=("streamed",)).trial()
    assert (row["status"], row["deltas"]) == (status, deltas), row["error"]


CALLS: dict[str, Sequence[Any]] = {
    "name in every chunk": [c.call(ARGUMENTS[:9], name="f"), c.call(ARGUMENTS[9:], name="f"), c.chunk(finish="stop")],
    "whole at once": [c.call(ARGUMENTS, name="f"), c.chunk(finish="tool_calls")],
    "two at index 0": [c.call(ARGUMENTS, name="f"), c.call(ARGUMENTS, name="f"), c.chunk(finish="tool_calls")],
    "the second one between": [
        c.call("", name="f"),
        c.call(ARGUMENTS[:9]),
        c.call("{}", name="g", index=1),
        c.call(ARGUMENTS[9:]),
        c.chunk(finish="tool_calls"),
    ],
    "arguments null": [c.call(None, name="f"), c.call(ARGUMENTS), c.chunk(finish="tool_calls")],
}


def with_ids(chunks: Sequence[Any]) -> list[Any]:
    """The chunks, each part of a call with an id of its own if it has one."""
    text = [json.dumps(chunk) for chunk in chunks]
    return [json.loads(one.replace('"call_0"', f'"call_{number}"')) for number, one in enumerate(text)]


@pytest.mark.parametrize("case", CALLS)
def test_tool_calls_of_other_servers(case: str, scenarios: dict[str, Scenario], tmp_path: Path) -> None:
    """However a call is cut, named and numbered, its arguments are those of the first one."""
    with scripted(sse(*with_ids(CALLS[case]), c.DONE)) as server:
        scenario = scenarios["chat_function_call"]
        row = measure(tmp_path, server.base_url, scenario, deliveries=("streamed",)).trial()
    assert (row["status"], row["text"]) == ("ok", ARGUMENTS), row["error"]


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (json_response(c.completion("Hi")), "ok"),
        (json_response(c.completion("Hi", finish="length")), "ok"),
        (json_response(c.completion(None, refusal="No.")), "invalid_result"),
        (json_response(c.completion("Hi", finish="content_filter")), "incomplete"),
        (json_response({"id": "r", "output": []}), "malformed"),
        (json_response({"error": {"message": "m"}}), "in_band_error"),
        (json_response({"detail": "no such model"}, status=422), "http_4xx"),
        (sse(c.content("Hi"), c.STOP), "malformed"),
    ],
)
def test_blocking_bodies(answer: Answer, status: str, scenarios: dict[str, Scenario], tmp_path: Path) -> None:
    """A blocking answer is a success only if it is a chat completion that ended well."""
    with scripted(answer) as server:
        run = measure(tmp_path, server.base_url, scenarios["chat_text"], deliveries=("blocking",), max_retries=0)
    assert run.trial("blocking")["status"] == status, run.trial("blocking")["error"]


@pytest.mark.slow
def test_api_chat_swaps_the_core_set(tmp_path: Path) -> None:
    """`bench run --api chat` measures the Chat twins of the core set, on the simulator, and all trials are ok."""
    options = ("--pairs", "2", "--warmup", "0", "--profile", "flood", "--output-tokens", "30", "--no-memory")
    done = bench("run", "--api", "chat", *options, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    run = Measured({name: table.to_pylist() for name, table in read(only_run(tmp_path)).items()}, None, 0)  # type: ignore[arg-type]
    assert {(row["scenario"], row["api"], row["status"]) for row in run["trials"]} == {
        (name, "chat", "ok") for name in NAMES
    }
    assert {row["path"] for row in run["attempts"]} == {"/v1/chat/completions"}
    report = (only_run(tmp_path) / "report.md").read_text("utf-8")  # the terminal shows the first trust lines only
    assert "read lag against the simulator's send log, 6 trials" in report


def test_an_api_that_is_not_there_leaves_out_its_scenarios_only() -> None:
    """What preflight did not find is left out with the advice; nothing left is exit 3 with the same."""
    registry = load()
    chosen = choose_scenarios(registry, ["text", "chat_text"], [])
    target = Target(name="mine", base_url="http://127.0.0.1:1/v1", lacks=["responses"])
    notices: list[str] = []

    def cells(scenarios: Sequence[Scenario]) -> list[str]:
        names = {scenario.name: [""] for scenario in scenarios}
        made = make_cells(
            scenarios,
            [(target, "m")],
            delivery="both",
            loads=[ALONE],
            clients=["sdk"],
            prompts=names,
            params=names,
            notice=notices.append,
        )
        return [cell.scenario for cell in made]

    assert cells(chosen) == ["chat_text"]
    assert notices == ["unsupported: text on mine (no Responses API there: try --api chat, with no scenario named)"]
    with pytest.raises(RunInvalid, match=r"nothing to run.*try --api chat"):
        cells(chosen[:1])


def test_names_win_over_the_api() -> None:
    """A named scenario or file's is taken whatever `--api` says; the core set is that of one API, by name or not."""
    registry = load()
    core = ["function_call", "structured_output", "text"]

    def chosen(*names: str, api: Api = "responses", tags: Sequence[str] = ()) -> list[str]:
        return [scenario.name for scenario in choose_scenarios(registry, names, [], tags, api)]

    assert chosen() == core
    assert chosen(api="chat") == chosen(api="chat", tags=["core"]) == [f"chat_{name}" for name in core]
    assert chosen("text", "chat_text", api="chat") == ["text", "chat_text"]
    assert {*NAMES, *core} <= set(chosen("all", api="chat"))


@pytest.mark.slow
def test_the_memory_pass_knows_the_length_of_a_chat_answer() -> None:
    """Both deliveries of `chat_text` have points of the asked length by usage, as those of `text` have."""
    job = Job("chat_text", builtin_folder() / "chat_text.py")
    rows, notes = measure_memory([job], seconds=20, lengths=(250, 1000))
    assert notes == []
    assert {(row["delivery"], row["output_tokens"]) for row in rows} == {
        (delivery, tokens) for delivery in ("streamed", "blocking") for tokens in (250, 1000)
    }
    assert all(row["error"] is None for row in rows)


@pytest.mark.slow
@pytest.mark.node
def test_a_server_of_others(scenarios: dict[str, Scenario], request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """Aimock, a server, sends an event at 200 ms, then one each 50 ms: role, name of the call, arguments."""
    cache = request.config.cache
    assert cache is not None
    scenario = scenarios["chat_function_call"]
    with aimock(install(cache.mkdir("aimock")), tmp_path / "log") as base_url:
        run = measure(tmp_path, base_url, scenario, prompts=scenario.prompts[:1], pairs=3, warmup=1)
    trials = [row for row in run["trials"] if row["phase"] == "measure"]
    assert [row["status"] for row in trials] == ["ok"] * 6
    assert len({row["result_sha256"] for row in trials}) == 1
    streamed = [row for row in trials if row["delivery"] == "streamed"]
    first_token = median(row["t_first_token"] - row["t_origin"] for row in streamed) / 1e6
    assert 295 < first_token < 345
