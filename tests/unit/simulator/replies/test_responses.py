"""The events and objects of the Responses API, held against the SDK's own types."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from typing import Any

import openai.types.responses as sdk
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from bench.core.script import Turn
from bench.simulator.answers import answer_to
from bench.simulator.control import Control
from bench.simulator.replies.responses import Reply
from bench.simulator.requests.responses import parse_request
from bench.simulator.timing.pacing import schedule
from bench.simulator.timing.profiles import PROFILES

CLASSES: dict[str, type[BaseModel]] = {
    "response.created": sdk.ResponseCreatedEvent,
    "response.in_progress": sdk.ResponseInProgressEvent,
    "response.output_item.added": sdk.ResponseOutputItemAddedEvent,
    "response.content_part.added": sdk.ResponseContentPartAddedEvent,
    "response.output_text.delta": sdk.ResponseTextDeltaEvent,
    "response.output_text.done": sdk.ResponseTextDoneEvent,
    "response.content_part.done": sdk.ResponseContentPartDoneEvent,
    "response.refusal.delta": sdk.ResponseRefusalDeltaEvent,
    "response.refusal.done": sdk.ResponseRefusalDoneEvent,
    "response.reasoning_text.delta": sdk.ResponseReasoningTextDeltaEvent,
    "response.reasoning_text.done": sdk.ResponseReasoningTextDoneEvent,
    "response.reasoning_summary_part.added": sdk.ResponseReasoningSummaryPartAddedEvent,
    "response.reasoning_summary_text.delta": sdk.ResponseReasoningSummaryTextDeltaEvent,
    "response.reasoning_summary_text.done": sdk.ResponseReasoningSummaryTextDoneEvent,
    "response.reasoning_summary_part.done": sdk.ResponseReasoningSummaryPartDoneEvent,
    "response.function_call_arguments.delta": sdk.ResponseFunctionCallArgumentsDeltaEvent,
    "response.function_call_arguments.done": sdk.ResponseFunctionCallArgumentsDoneEvent,
    "response.output_item.done": sdk.ResponseOutputItemDoneEvent,
    "response.completed": sdk.ResponseCompletedEvent,
    "response.incomplete": sdk.ResponseIncompleteEvent,
}
TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
FORMAT = {"type": "json_schema", "name": "n", "schema": TOOL["parameters"], "strict": True}
KINDS: dict[str, dict[str, Any]] = {
    "text": {"instructions": "Be kind.", "metadata": {"a": "b"}},
    "json": {"text": {"format": FORMAT, "verbosity": "low"}, "reasoning": {"effort": "low"}},
    "call": {"tools": [TOOL], "tool_choice": {"type": "function", "name": "get_weather"}},
}


ITEMS: list[dict[str, Any]] = [
    {"type": "reasoning", "tokens": 3},
    {"type": "reasoning_summary", "text": "I look it up."},
    {"type": "message", "text": "One moment."},
    {"type": "function_call", "arguments": {"city": "Oslo"}},
    {"type": "function_call"},
    {"type": "refusal", "tokens": 4},
]
"""One item of each type, and a second call."""


def reply(tokens: int | None = None, turn: Turn | None = None, **fields: Any) -> Reply:
    """The reply to a request with these fields."""
    request = parse_request(orjson.dumps({"model": "sim-1", "input": "Hi", **fields}))
    return Reply(request, answer_to(request, control=Control(tokens=tokens), turn=turn, seed=0, default_tokens=5))


def scripted(turn: dict[str, Any], **fields: Any) -> Reply:
    """The reply that a turn of a script says, to a request with a tool."""
    return reply(turn=Turn.model_validate(turn), tools=[TOOL], **fields)


def events(made: Reply) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """(time, type, data) of every frame; each is one SSE event with its type in front."""
    times = schedule(made.answer.tokens, PROFILES["typical"], 1.0, random.Random(1))  # noqa: S311
    for due, type_, frame in made.frames(times):
        name, data, *end = frame.split(b"\n")
        assert (name, end) == (b"event: " + type_.encode(), [b"", b""])
        yield due, type_, orjson.loads(data.removeprefix(b"data: "))


def strangers(value: object, path: str = "") -> Iterable[str]:
    """Fields that the SDK's types do not know."""
    if isinstance(value, BaseModel):
        yield from (f"{path}.{name}" for name in value.model_extra or {})
        for name in type(value).model_fields:
            yield from strangers(getattr(value, name), f"{path}.{name}")
    elif isinstance(value, list):
        for item in value:
            yield from strangers(item, f"{path}[]")


@pytest.mark.parametrize("cap", [None, 2], ids=["whole", "cut"])
@pytest.mark.parametrize("kind", KINDS)
def test_events_are_the_sdks(kind: str, cap: int | None) -> None:
    """Every event validates strictly against the SDK's class for its type, and has no field that the class lacks."""
    for _, type_, data in events(reply(max_output_tokens=cap, **KINDS[kind])):
        event = CLASSES[type_].model_validate(data, strict=True)
        assert list(strangers(event)) == []


@pytest.mark.parametrize("kind", KINDS)
def test_body_is_the_sdks(kind: str) -> None:
    """The Response object validates strictly against the SDK's, and has no field that it lacks."""
    assert list(strangers(sdk.Response.model_validate(reply(**KINDS[kind]).body(), strict=True))) == []


def test_text_sequence() -> None:
    """A text comes in OpenAI's order of events."""
    types = [type_ for _, type_, _ in events(reply(1))]
    assert types == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]


def test_call_sequence() -> None:
    """A function call comes in OpenAI's order of events; its item opens with empty arguments."""
    made = list(events(reply(max_output_tokens=1, **KINDS["call"])))
    assert [type_ for _, type_, _ in made] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.function_call_arguments.delta",
        "response.function_call_arguments.done",
        "response.output_item.done",
        "response.incomplete",
    ]
    assert made[2][2]["item"]["arguments"] == ""


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 300), st.integers(1, 300), st.text(max_size=20))
def test_deliveries_agree(kind: str, tokens: int, cap: int, prompt: str) -> None:
    """Streamed or whole, answer, status and usage are equal, and the deltas join to the answer."""
    made = reply(tokens, max_output_tokens=cap, input=prompt, **KINDS[kind])
    seen = list(events(made))
    terminal = seen[-1][2]["response"]
    assert terminal | {"completed_at": 0} == made.body() | {"completed_at": 0}
    assert "".join(data["delta"] for _, _, data in seen if "delta" in data) == made.answer.parts[0].text
    assert terminal["usage"]["output_tokens"] == made.answer.tokens <= cap
    assert [data["sequence_number"] for _, _, data in seen] == list(range(len(seen)))


def test_times() -> None:
    """The beginning leaves at once, the item with the first token, the end with the last."""
    made = list(events(reply(20)))
    due = [due for due, _, _ in made]
    deltas = [due for due, type_, _ in made if type_.endswith("delta")]
    assert due[:2] == [0, 0]
    assert due[2:5] == [deltas[0]] * 3
    assert due[-4:] == [deltas[-1]] * 4
    assert due == sorted(due)


def test_cut_is_said() -> None:
    """An answer that met its cap is incomplete, with the reason and without a time of completion."""
    body = reply(9, max_output_tokens=3).body()
    assert (body["status"], body["incomplete_details"]) == ("incomplete", {"reason": "max_output_tokens"})
    assert body["completed_at"] is None
    assert body["output"][0]["status"] == "incomplete"


def test_metadata_is_echoed() -> None:
    """All metadata comes back, the control field too."""
    metadata = {"bench": '{"tokens":3}', "trace": "7"}
    assert reply(metadata=metadata).body()["metadata"] == metadata


@pytest.mark.parametrize("interleaved", [False, True], ids=["in order", "interleaved"])
@pytest.mark.parametrize("cap", [None, 9], ids=["whole", "cut"])
def test_scripted_events_are_the_sdks(interleaved: bool, cap: int | None) -> None:
    """Items of every type, in order or interleaved, cut or whole, are events and a body that the SDK's classes know."""
    made = scripted({"items": ITEMS, "interleaved": interleaved}, max_output_tokens=cap)
    seen = list(events(made))
    for _, type_, data in seen:
        assert list(strangers(CLASSES[type_].model_validate(data, strict=True))) == []
    assert list(strangers(sdk.Response.model_validate(made.body(), strict=True))) == []
    assert [data["sequence_number"] for _, _, data in seen] == list(range(len(seen)))


@pytest.mark.parametrize("interleaved", [False, True], ids=["in order", "interleaved"])
def test_items_have_events_of_their_own(interleaved: bool) -> None:
    """Each item opens at its index, in order, before its deltas; these join to its text; it closes right after them."""
    made = scripted({"items": ITEMS, "interleaved": interleaved})
    seen = list(events(made))
    opened = [data for _, type_, data in seen if type_ == "response.output_item.added"]
    assert [data["output_index"] for data in opened] == list(range(len(ITEMS)))
    for index, part in enumerate(made.answer.parts):
        own = [(type_, data) for _, type_, data in seen if data.get("output_index") == index]
        assert own[0][0] == "response.output_item.added"
        assert own[-1] == ("response.output_item.done", own[-1][1] | {"item": made.body()["output"][index]})
        assert "".join(data["delta"] for _, data in own if "delta" in data) == part.text
        assert {data["item_id"] for _, data in own if "item_id" in data} == {own[0][1]["item"]["id"]}


def test_interleaved_deltas_take_turns() -> None:
    """Interleaved, the first delta of every item comes before the second of any; in order, no two items mix."""
    calls = {"items": [{"type": "function_call", "tokens": 9}] * 3}
    for interleaved, start in [(True, [0, 1, 2, 0, 1, 2]), (False, [0, 0, 0, 0, 0, 0])]:
        made = scripted(calls | {"interleaved": interleaved})
        assert [data["output_index"] for _, _, data in events(made) if "delta" in data][:6] == start


def test_reasoning_sequences() -> None:
    """Reasoning comes as a content part, a summary as a summary part, and usage counts both as reasoning."""
    made = scripted({"items": [*ITEMS[:2], {"text": "Hi you."}]})
    assert [type_.removeprefix("response.") for _, type_, _ in events(made) if not type_.endswith("delta")] == [
        "created",
        "in_progress",
        "output_item.added",
        "content_part.added",
        "reasoning_text.done",
        "content_part.done",
        "output_item.done",
        "output_item.added",
        "reasoning_summary_part.added",
        "reasoning_summary_text.done",
        "reasoning_summary_part.done",
        "output_item.done",
        "output_item.added",
        "content_part.added",
        "output_text.done",
        "content_part.done",
        "output_item.done",
        "completed",
    ]
    usage = made.body()["usage"]
    assert (usage["output_tokens_details"], usage["output_tokens"]) == ({"reasoning_tokens": 7}, 9)


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_scripted_end(reason: str) -> None:
    """An end that the script names is said by event, status and reason; only the last item is incomplete."""
    made = scripted({"items": ITEMS[2:4], "end": f"incomplete:{reason}"})
    *_, (_, type_, data) = events(made)
    assert type_ == "response.incomplete"
    assert data["response"]["incomplete_details"] == {"reason": reason}
    assert [item["status"] for item in made.body()["output"]] == ["completed", "incomplete"]


def test_empty_text() -> None:
    """An item without text opens, has one empty delta, and closes."""
    made = scripted({"items": [{"text": ""}]})
    assert [data["delta"] for _, _, data in events(made) if "delta" in data] == [""]
    assert made.body()["output"][0]["content"][0]["text"] == ""


def test_long_control_is_not_echoed() -> None:
    """A control field longer than metadata may be is taken and not repeated."""
    metadata = {"bench": orjson.dumps({"answers": [{"items": [{"text": "x" * 600}]}]}).decode(), "trace": "7"}
    assert reply(metadata=metadata).body()["metadata"] == {"trace": "7"}
