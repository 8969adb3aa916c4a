"""The chunks and objects of Chat Completions, held against the SDK's own types, and what a request may be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel

from bench.clients.decode.chat_events import read_chat_chunk
from bench.core.script import Turn
from bench.simulator.answers import SimulatedAnswer, answer_to
from bench.simulator.control import Control
from bench.simulator.delivery import Frame
from bench.simulator.errors import ApiError
from bench.simulator.replies.chat import ChatReply
from bench.simulator.requests.chat import parse_chat
from bench.simulator.requests.responses import parse_request

FUNCTION = {
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
TOOL = {"type": "function", "function": FUNCTION}
SCHEMA = {"name": "n", "schema": FUNCTION["parameters"], "strict": True}
GOOD: dict[str, Any] = {"model": "sim-1", "messages": [{"role": "user", "content": "Hi"}]}
ITEMS: list[dict[str, Any]] = [
    {"type": "reasoning", "tokens": 3},
    {"type": "message", "text": "One moment."},
    {"type": "function_call", "arguments": {"city": "Oslo"}},
    {"type": "function_call"},
]


def reply(turn: dict[str, Any] | None = None, tokens: int | None = None, **fields: Any) -> ChatReply:
    """The reply to a request with these fields."""
    asked, question = parse_chat(orjson.dumps({**GOOD, **fields}))
    script = None if turn is None else Turn.model_validate(turn)
    answer = answer_to(question, control=Control(tokens=tokens), turn=script, seed=0, default_tokens=6)
    return ChatReply(asked, question, answer)


def frames(made: ChatReply) -> list[Frame]:
    """Its stream, a token each 10 ns."""
    return list(made.frames((1, 10 * number) for number in range(1, made.answer.tokens + 1)))


def chunks(made: ChatReply) -> list[dict[str, Any]]:
    """The chunks of its stream, which must end in `[DONE]`."""
    *data, done = [frame.removeprefix(b"data: ") for _, _, frame in frames(made)]
    assert done == b"[DONE]\n\n"
    return [orjson.loads(chunk) for chunk in data]


def known(model: BaseModel) -> None:
    """No object in it has a field that the SDK does not know, but for `reasoning_content`."""
    assert not (model.model_extra or {}).keys() - {"reasoning_content"}
    for value in dict(model).values():
        for inner in value if isinstance(value, list) else [value]:
            if isinstance(inner, BaseModel):
                known(inner)


@pytest.mark.parametrize(
    "fields",
    [{}, {"tools": [TOOL]}, {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}, {"turn": ITEMS}],
)
def test_the_sdk_knows_every_field(fields: dict[str, Any]) -> None:
    """Every chunk and the whole completion validate strictly against the SDK's classes."""
    turn = {"items": fields.pop("turn")} if "turn" in fields else None
    made = reply(turn, **{"tools": [TOOL]} if turn else fields, stream=True, stream_options={"include_usage": True})
    for chunk in chunks(made):
        known(ChatCompletionChunk.model_validate_json(orjson.dumps(chunk), strict=True))
    known(ChatCompletion.model_validate_json(orjson.dumps(made.body()), strict=True))


def test_the_sequence_of_a_text() -> None:
    """The role alone at once, then content, the finish reason, usage without a choice, `[DONE]`."""
    made = reply(stream=True, stream_options={"include_usage": True})
    first, *rest = chunks(made)
    *deltas, finish, usage = rest
    assert first["choices"][0]["delta"] == {"role": "assistant", "content": "", "refusal": None}
    assert (
        "".join(chunk["choices"][0]["delta"]["content"] for chunk in deltas)
        == made.body()["choices"][0]["message"]["content"]
    )
    assert finish["choices"][0] == {"index": 0, "delta": {}, "logprobs": None, "finish_reason": "stop"}
    assert (usage["choices"], usage["usage"]) == ([], made.body()["usage"])
    assert {chunk["usage"] for chunk in rest[:-1]} == {None}
    assert [due for due, *_ in frames(made)] == [0, 10, 20, 30, 40, 50, 60, 60, 60, 60]


def test_usage_only_if_asked_for() -> None:
    """Without `include_usage` no chunk speaks of usage."""
    assert not any("usage" in chunk for chunk in chunks(reply(stream=True)))


def test_calls_open_with_id_and_name() -> None:
    """A call begins with index, id and name; then come its arguments alone, by index, interleaved if scripted so."""
    made = reply({"items": ITEMS[2:], "interleaved": True}, tools=[TOOL], stream=True)
    parts = [call for chunk in chunks(made) for call in chunk["choices"][0]["delta"].get("tool_calls", [])]
    whole = made.body()["choices"][0]["message"]["tool_calls"]
    for index, call in enumerate(whole):
        opening, *deltas = [part for part in parts if part["index"] == index]
        assert opening == {"index": index, **call, "function": {**call["function"], "arguments": ""}}
        assert "".join(part["function"]["arguments"] for part in deltas) == call["function"]["arguments"]
        assert all(part.keys() == {"index", "function"} for part in deltas)
    assert [part["index"] for part in parts][:4] == [0, 0, 1, 1]
    assert made.body()["choices"][0]["finish_reason"] == "tool_calls"


@pytest.mark.parametrize(
    ("turn", "fields", "reason"),
    [
        ({"end": "incomplete:content_filter"}, {}, "content_filter"),
        ({}, {"max_tokens": 3}, "length"),
        ({}, {"max_completion_tokens": 3}, "length"),
        ({"items": [{"type": "refusal", "text": "I must not."}]}, {}, "stop"),
    ],
)
def test_how_it_ends(turn: dict[str, Any], fields: dict[str, Any], reason: str) -> None:
    """The finish reason is the same in both deliveries."""
    made = reply(turn, **fields)
    assert chunks(made)[-1]["choices"][0]["finish_reason"] == made.body()["choices"][0]["finish_reason"] == reason


def test_reasoning_and_refusal_have_fields_of_their_own() -> None:
    """Reasoning comes as `reasoning_content`, a refusal as `refusal`; the content is then null."""
    made = reply({"items": [{"type": "reasoning", "text": "Hm."}, {"type": "refusal", "text": "No."}]})
    message = made.body()["choices"][0]["message"]
    assert (message["content"], message["refusal"], message["reasoning_content"]) == (None, "No.", "Hm.")
    first, reasoning, refusal, _ = chunks(made)
    assert first["choices"][0]["delta"]["content"] is None
    assert reasoning["choices"][0]["delta"] == {"reasoning_content": "Hm."}
    assert refusal["choices"][0]["delta"] == {"refusal": "No."}


def test_the_log_names_chunks_as_the_client_does() -> None:
    """The type of every frame in the send log is the one that the client reads out of its bytes."""
    turn = {"items": [*ITEMS, {"type": "refusal", "text": "No."}]}
    made = reply(turn, tools=[TOOL], stream=True, stream_options={"include_usage": True})
    *named, (_, done, _) = [*frames(made)[:-1], (0, *made.failure("error", 1)), frames(made)[-1]]
    assert [type_ for _, type_, _ in named] == [read_chat_chunk(orjson.loads(data[6:])).type for _, _, data in named]
    assert done == "[DONE]"
    assert sum(map(made.is_delta, frames(made))) == made.answer.tokens


def answers(fields: dict[str, Any], chat: dict[str, Any]) -> tuple[SimulatedAnswer, SimulatedAnswer]:
    """What both APIs answer."""
    asked = parse_request(orjson.dumps({"model": "sim-1", **fields}))
    options: dict[str, Any] = {"control": Control(), "turn": None, "seed": 0, "default_tokens": 6}
    return answer_to(asked, **options), reply(**chat).answer


@pytest.mark.parametrize(
    ("fields", "chat"),
    [
        ({"input": "Hi"}, {}),
        ({"input": "Hi", "tools": [{"type": "function", **FUNCTION}]}, {"tools": [TOOL]}),
        (
            {"input": "Hi", "text": {"format": {"type": "json_schema", **SCHEMA}}},
            {"response_format": {"type": "json_schema", "json_schema": SCHEMA}},
        ),
        (
            {
                "input": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "input_text", "text": "Hi"}]},
                    {"type": "function_call", "call_id": "1", "name": "get_weather", "arguments": "{}"},
                    {"type": "function_call_output", "call_id": "1", "output": "Rain"},
                ],
                "tools": [{"type": "function", **FUNCTION}],
            },
            {
                "messages": [
                    {"role": "system", "content": "Be brief."},
                    {"role": "user", "content": [{"type": "text", "text": "Hi"}]},
                    {
                        "role": "assistant",
                        "content": None,
                        "tool_calls": [
                            {"id": "x", "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
                        ],
                    },
                    {"role": "tool", "tool_call_id": "x", "content": "Rain"},
                ],
                "tools": [TOOL],
            },
        ),
    ],
)
def test_both_apis_answer_the_same(fields: dict[str, Any], chat: dict[str, Any]) -> None:
    """The same question gives the same answer, whichever API it comes by."""
    one, other = answers(fields, chat)
    assert one == other


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": "gpt-9"}, (404, "model", "model_not_found")),
        ({"messages": []}, (400, "messages", "invalid_value")),
        ({"messages": [{"role": "boss", "content": "x"}]}, (400, "messages[0].role", "invalid_value")),
        ({"messages": [{"role": "user"}]}, (400, "messages[0]", "invalid_value")),
        ({"messages": [{"role": "tool", "content": "x"}]}, (400, "messages[0]", "invalid_value")),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            (400, "messages", "unsupported_by_simulator"),
        ),
        ({"n": 2}, (400, "n", "invalid_value")),
        ({"stop": ["x"]}, (400, "stop", "unsupported_by_simulator")),
        ({"logprobs": True}, (400, "logprobs", "unsupported_by_simulator")),
        ({"input": "Hi"}, (400, "input", "unknown_parameter")),
        ({"stream_options": {"include_usage": True}}, (400, "stream_options", None)),
        ({"tool_choice": "required"}, (400, "tool_choice", "invalid_value")),
        (
            {"tool_choice": {"type": "function", "name": "f"}},
            (400, "tool_choice.function", "missing_required_parameter"),
        ),
        ({"tools": [{"type": "web_search"}]}, (400, "tools", "unsupported_by_simulator")),
        ({"response_format": {"type": "json_schema"}}, (400, "response_format", "invalid_value")),
        ({"metadata": {"a": "x" * 600}}, (400, "metadata", "invalid_value")),
    ],
)
def test_refusals(change: dict[str, Any], expected: tuple[int, str | None, str | None]) -> None:
    """What OpenAI refuses, or the simulator cannot do, is refused in OpenAI's shape, naming the parameter."""
    with pytest.raises(ApiError) as caught:
        parse_chat(orjson.dumps({**GOOD, **change}))
    error = caught.value.body["error"]
    assert (caught.value.status, error["param"], error["code"]) == expected
