"""The built-in scenarios against the simulator: both deliveries of the same ask do the same work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from bench import Ask, Scenario, Target
from bench.core.ask import Options, make_ask, nonce_text
from bench.core.plugins.loader import load
from bench.simulator.process import running
from tests.support import events as e
from tests.support.harness import Row, measure
from tests.support.scripted import CLOSE, json_response, scripted, sse

NAMES = ("text", "function_call", "structured_output")


class Forgetful:
    """A recorder for scenarios that record nothing."""

    def now(self) -> int:
        return perf_counter_ns()

    def mark(self, name: str) -> None: ...
    def record(self, name: str, value: float, unit: str) -> None: ...


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A simulator without pacing."""
    with running(profile="flood") as simulator:
        yield simulator.base_url


@pytest.fixture(params=NAMES)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each built-in scenario, as the manager finds it."""
    return load().scenarios[request.param][0]


def ask_of(scenario: Scenario, prompt: int, tokens: int | None, nonce: int) -> Ask:
    """A ready ask for the simulator."""
    return make_ask(
        scenario.prompts[prompt],
        target=Target(name="sim", base_url=None),
        model="sim-1",
        nonce=nonce_text(nonce),
        seed=0,
        recorder=Forgetful(),
        options=Options(output_tokens=tokens, control={"profile": "flood"}),
    )


async def streamed(scenario: Scenario, base_url: str, ask: Ask) -> list[Any]:
    """All pieces; what was yielded before an API error, if there is one."""
    pieces = []
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        try:
            async for piece in scenario.streamed(client, ask):  # type: ignore[union-attr]
                pieces.append(piece)  # noqa: PERF401  (they shall survive the error)
        except openai.APIError:
            pass
    return pieces


async def blocking(scenario: Scenario, base_url: str, ask: Ask) -> Any:
    """The whole result."""
    assert scenario.blocking is not None
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        return await scenario.blocking(client, ask)


@pytest.mark.parametrize("tokens", [None, 700])
def test_both_deliveries_give_one_valid_result(scenario: Scenario, base_url: str, tokens: int | None) -> None:
    """Streamed and blocking give equal results that pass the check, for every prompt and length, whatever the nonce."""
    for prompt in range(len(scenario.prompts)):
        pieces = asyncio.run(streamed(scenario, base_url, ask_of(scenario, prompt, tokens, 1)))
        whole = asyncio.run(blocking(scenario, base_url, ask_of(scenario, prompt, tokens, 2)))
        assert len(pieces) > 1
        assert scenario.useful(pieces[0])
        assert scenario.assemble(pieces) == whole
        if scenario.check is not None:
            scenario.check(whole)


def test_names_of_the_built_in_scenarios_are_documented() -> None:
    """Each is described by the first line of its file, and says what it needs of a target."""
    found = load().scenarios
    assert [found[name][0].description for name in NAMES] == [
        "Plain text, shown as it arrives.",
        "A function call: the arguments of a tool, as they are written.",
        "Structured output: a product analysis that fills in field by field.",
    ]
    assert [tuple(found[name][0].needs) for name in NAMES] == [(), ("tools",), ("json_schema",)]


def delta(text: str) -> dict[str, Any]:
    """A text delta."""
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    return {"type": "response.output_text.delta", "sequence_number": 1, "delta": text, **place}


def test_a_cut_stream_gives_what_was_complete() -> None:
    """A structured stream that breaks off has yielded its complete fields, and its result is not valid."""
    scenario = load().scenarios["structured_output"][0]
    with scripted(sse(delta('{"product_name": "Sun'), delta('pack", "features": ["so'), CLOSE)) as server:
        pieces = asyncio.run(streamed(scenario, server.base_url, ask_of(scenario, 0, None, 1)))
    assert pieces == [{"product_name": "Sunpack", "features": []}]
    assert scenario.check is not None
    with pytest.raises(ValueError, match="target_audience"):
        scenario.check(scenario.assemble(pieces))


def test_a_completed_answer_that_is_no_json_raises() -> None:
    """A structured answer that ends well but is not JSON raises as the blocking one does."""
    scenario = load().scenarios["structured_output"][0]
    done = {"type": "response.completed", "sequence_number": 2, "response": {"id": "r", "object": "response"}}
    with scripted(sse(delta("Sorry, no."), done)) as server, pytest.raises(json.JSONDecodeError):
        asyncio.run(streamed(scenario, server.base_url, ask_of(scenario, 0, None, 1)))


ANALYSIS = json.dumps(
    {
        "product_name": "Sunpack",
        "features": ["solar"],
        "pros": [],
        "cons": [],
        "price_range": "$$",
        "target_audience": "hikers",
    },
    sort_keys=True,
)
CALL = '{"location":"Lisbon","unit":"celsius","days":1}'
ITEM = {"type": "response.output_item.done", "sequence_number": 8, "output_index": 0}
TEXTS = {"text": "Hello there", "structured_output": ANALYSIS}


def ended(*items: e.Event, **more: Any) -> e.Event:
    """The end of a stream, with the whole output."""
    return {**e.COMPLETED, "response": e.response(output=list(items), usage=e.USAGE, **more)}


def trial(name: str, folder: Path, *events: e.Event) -> Row:
    """The streamed trial of a built-in scenario, through the runner, of a server that sends these events."""
    folder.mkdir(exist_ok=True)
    with scripted(sse(e.CREATED, *events)) as server:
        return measure(folder, server.base_url, load().scenarios[name][0], deliveries=("streamed",)).trial()


def blocking_trial(name: str, folder: Path, response: e.Event) -> Row:
    """The blocking trial of a built-in scenario, of a server that sends this Response object."""
    folder.mkdir(exist_ok=True)
    with scripted(json_response(response)) as server:
        scenario = load().scenarios[name][0]
        return measure(folder, server.base_url, scenario, deliveries=("blocking",)).trial("blocking")


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("first", ["delta", "text done", "item done", "completed"])
def test_text_is_taken_once_from_where_it_first_stands(name: str, first: str, tmp_path: Path) -> None:
    """A server may leave out the deltas, the done event and the done item: the result has its text once."""
    text = TEXTS[name]
    sent = {
        "delta": [e.delta(""), e.delta(text[:7]), e.delta(text[7:])],
        "text done": [e.delta(""), e.text_done(text)],
        "item done": [{**ITEM, "item": e.message(text)}],
        "completed": [ended(e.message(text))],
    }
    events = [event for key in list(sent)[list(sent).index(first) :] for event in sent[key]]
    row = trial(name, tmp_path, *events)
    assert (row["status"], row["error"]) == ("ok", None)
    assert row["text"] == text
    assert row["t_first_useful"] is not None


@pytest.mark.parametrize("name", TEXTS)
def test_events_with_null_for_text_say_nothing(name: str, tmp_path: Path) -> None:
    """Null for a delta, a text, an item or its content is passed over, and the text beside it is the result."""
    nulls: list[e.Event] = [
        {**e.delta(""), "delta": None},
        {**e.text_done(""), "text": None},
        {**ITEM, "item": None},
        {**ITEM, "item": {**e.message(""), "content": None}},
    ]
    row = trial(name, tmp_path, *nulls, e.delta(TEXTS[name]), ended())
    assert (row["status"], row["text"]) == ("ok", TEXTS[name])


REFUSAL = {**e.message(""), "content": [{"type": "refusal", "refusal": "I cannot help with that."}]}
REASONING = {"type": "reasoning", "id": "rs_1", "summary": []}


@pytest.mark.parametrize("output", [[], [e.message(" \n")], [REFUSAL], [REASONING]])
def test_an_answer_without_text_is_not_valid(output: list[e.Event], tmp_path: Path) -> None:
    """An empty, blank, refused or reasoning-only answer is an invalid result of `text`, in both deliveries."""
    events = [e.reasoning("Let me think."), *({**ITEM, "item": item} for item in output), ended(*output)]
    rows = [
        trial("text", tmp_path / "streamed", *events),
        blocking_trial("text", tmp_path / "blocking", e.response(output=output)),
    ]
    assert [row["status"] for row in rows] == ["invalid_result"] * 2
    assert [row["error"] for row in rows] == ["ValueError: the answer has no text"] * 2


@pytest.mark.parametrize(
    "events",
    [
        pytest.param([e.call_item("added", "{}"), e.arguments(CALL), ended()], id="an empty object first"),
        pytest.param([e.call_item("added", CALL[:9]), e.arguments(CALL), ended()], id="started over"),
        pytest.param([e.arguments(CALL + "}"), e.call_item("done", CALL), ended()], id="corrected at the end"),
        pytest.param(
            [{**e.arguments(""), "delta": None}, ended(e.call_item("done", CALL)["item"])], id="null, and whole at last"
        ),
    ],
)
def test_arguments_are_what_the_server_meant(events: list[e.Event], tmp_path: Path) -> None:
    """Arguments that come more than once, or are corrected, are a valid call with the text that counts."""
    row = trial("function_call", tmp_path, *events)
    assert (row["status"], row["text"]) == ("ok", CALL)


@pytest.mark.parametrize("name", NAMES)
def test_an_answer_without_output_is_no_fault_of_the_scenario(name: str, tmp_path: Path) -> None:
    """A Response object whose output is null fails as what the server sent, not as an exception of the plugin."""
    null = e.response(output=None)
    rows = [
        trial(name, tmp_path / "streamed", {**e.COMPLETED, "response": null}),
        blocking_trial(name, tmp_path / "blocking", null),
    ]
    assert {row["status"] for row in rows} <= {"invalid_result", "malformed"}
