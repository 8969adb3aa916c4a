"""What the simulator answers."""

from __future__ import annotations

import json
import random
from typing import Any

import jiter
import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.script import Item, Turn
from bench.simulator.answers import AnswerPart, SimulatedAnswer, answer_to, input_tokens
from bench.simulator.control import Control
from bench.simulator.errors import ApiError
from bench.simulator.requests.conversation import turn_of
from bench.simulator.requests.responses import ResponsesRequest, parse_request
from bench.simulator.text import text_of_length

PRODUCT: dict[str, Any] = {
    "type": "object",
    "properties": {
        "product_name": {"type": "string"},
        "features": {"type": "array", "items": {"type": "string"}},
        "price_range": {"type": "string"},
    },
    "required": ["product_name", "features", "price_range"],
    "additionalProperties": False,
}
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
CLOCK = {
    "type": "function",
    "name": "get_time",
    "parameters": {"type": "object", "properties": {"zone": {"enum": ["UTC"]}}},
}
AS_PRODUCT: dict[str, Any] = {"format": {"type": "json_schema", "name": "product", "schema": PRODUCT, "strict": True}}


def request(**fields: Any) -> ResponsesRequest:
    """A valid request."""
    return parse_request(orjson.dumps({"model": "sim-1", "input": "Tell me.", **fields}))


def answer(tokens: int | None = None, seed: int = 0, turn: Turn | None = None, **fields: Any) -> SimulatedAnswer:
    """What such a request is answered with under a profile of 60 tokens."""
    return answer_to(request(**fields), control=Control(tokens=tokens), turn=turn, seed=seed, default_tokens=60)


def part(tokens: int | None = None, seed: int = 0, **fields: Any) -> AnswerPart:
    """The only item of that answer."""
    (only,) = answer(tokens, seed, **fields).parts
    return only


@given(st.integers(1, 2000), st.text(max_size=30), st.integers(0, 9))
def test_text_length(tokens: int, prompt: str, seed: int) -> None:
    """A text has exactly the asked number of tokens, none of them empty, and reads as sentences."""
    made = part(tokens, seed, input=prompt)
    assert len(made.tokens) == tokens
    assert all(made.tokens)
    assert made.text[0].isupper()
    assert made.text.endswith(".")


@given(st.integers(0, 500), st.integers(0, 99).map(random.Random))
def test_text_of_length(chars: int, rng: random.Random) -> None:
    """A string of n characters has n characters, no space at its ends, and needs no escaping in JSON."""
    text = text_of_length(chars, rng)
    assert len(text) == chars
    assert text == text.strip()
    assert len(json.dumps(text)) == chars + 2


@pytest.mark.parametrize("extra", [{}, {"text": AS_PRODUCT}, {"tools": [WEATHER, CLOCK]}], ids=["text", "json", "call"])
def test_nonce_does_not_count(extra: dict[str, Any]) -> None:
    """Two nonces in front of the same prompt, as string or message, give the same answer and the same usage."""
    bare = answer(**extra)
    prompts = ["[0123456789abcdef] Tell me.", [{"role": "user", "content": "[fedcba9876543210] Tell me."}]]
    assert [answer(input=prompt, **extra) for prompt in prompts] == [bare, bare]
    assert len({input_tokens(request(input=prompt)) for prompt in prompts}) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"input": "Tell me!"},
        {"model": "sim-mini"},
        {"seed": 1},
        {"instructions": "Be brief."},
        {"text": AS_PRODUCT},
        {"tools": [CLOCK]},
        {"input": "[0123456789abcde] Tell me."},
    ],
    ids=str,
)
def test_question_counts(change: dict[str, Any]) -> None:
    """Another prompt, model, seed, instruction, format or tool gives another answer."""
    assert answer(**change) != answer()


def test_input_tokens_count_all_text() -> None:
    """Usage counts a quarter of the characters of instructions and all messages, rounded up."""
    parts = [{"type": "input_text", "text": "12345"}, {"type": "input_text", "text": "67"}]
    messages = [{"role": "system", "content": "ab"}, {"role": "user", "content": parts}]
    assert input_tokens(request(input=messages, instructions="1234")) == 4


@given(st.integers(30, 3000))
def test_structured_length(tokens: int) -> None:
    """Structured output is valid and has exactly the asked number of tokens where the schema leaves room."""
    made = part(tokens, text=AS_PRODUCT)
    value = json.loads(made.text)
    assert len(made.tokens) == tokens
    assert list(value) == list(PRODUCT["properties"])
    assert len(value["features"]) >= 1


def test_structured_minimum() -> None:
    """Structured output shorter than its schema allows gets the least that is valid."""
    assert json.loads(part(1, text=AS_PRODUCT).text)["features"] == []
    narrow = {"type": "object", "properties": {"grade": {"enum": ["good"]}}}
    text = {"format": {"type": "json_schema", "name": "g", "schema": narrow}}
    assert part(500, text=text).text == '{"grade":"good"}'


def test_json_object() -> None:
    """The format `json_object` gives a JSON object of the profile's length."""
    made = part(text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(made.text), dict)
    assert len(made.tokens) == 60


def test_function_call_length() -> None:
    """A call has the length its arguments need, or exactly the asked one; both are JSON."""
    natural, long = part(tools=[WEATHER]), part(300, tools=[WEATHER])
    assert len(natural.tokens) < 20
    assert len(long.tokens) == 300
    assert {natural.name, long.name} == {"get_weather"}
    assert json.loads(natural.text).keys() == json.loads(long.text).keys() == {"city"}


def test_tool_choice() -> None:
    """A forced function is called, `none` gives a text, and a function without parameters gets none."""
    forced = part(tools=[WEATHER, CLOCK], tool_choice={"type": "function", "name": "get_time"})
    assert (forced.name, forced.text) == ("get_time", '{"zone":"UTC"}')
    assert part(tools=[WEATHER], tool_choice="none").kind == "message"
    assert part(tools=[{"type": "function", "name": "ping"}]).text == "{}"


@pytest.mark.parametrize("extra", [{}, {"text": AS_PRODUCT}, {"tools": [WEATHER]}], ids=["text", "json", "call"])
def test_cut(extra: dict[str, Any]) -> None:
    """`max_output_tokens` below the length cuts the same answer there; above it nothing changes."""
    whole = answer(50, **extra)
    cut = answer(50, max_output_tokens=7, **extra)
    assert (cut.end, cut.tokens) == ("incomplete:max_output_tokens", 7)
    assert cut.parts[0].tokens == whole.parts[0].tokens[:7]
    assert answer(50, max_output_tokens=50, **extra) == whole


def test_partial_json_grows() -> None:
    """Every prefix of structured output is the beginning of JSON, so fields can be read as they come."""
    made = part(200, text=AS_PRODUCT)
    sizes = [
        len(orjson.dumps(jiter.from_json("".join(made.tokens[:n]).encode(), partial_mode="trailing-strings")))
        for n in range(1, 200)
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("fields", "param", "code"),
    [
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": {"not": {}}}}},
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            {"tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": 3}}]},
            "tools",
            "invalid_function_parameters",
        ),
    ],
)
def test_bad_schema(fields: dict[str, Any], param: str, code: str) -> None:
    """A schema that cannot be answered is refused with the name of the parameter."""
    with pytest.raises(ApiError) as caught:
        answer(**fields)
    assert caught.value.status == 400
    assert caught.value.body["error"]["param"] == param
    assert caught.value.body["error"]["code"] == code


def turn(*items: dict[str, Any], **fields: Any) -> Turn:
    """A turn of a script with these items."""
    return Turn(items=tuple(Item.model_validate(item) for item in items), **fields)


def test_scripted_texts() -> None:
    """Given texts come word for word, made-up ones at the item's length, else at the control field's, else natural."""
    script = turn({"text": "Ünïcode, two  spaces\n"}, {"tokens": 7}, {})
    given, short, natural = answer(turn=script).parts
    assert (given.text, len(given.tokens)) == ("Ünïcode, two  spaces\n", 4)
    assert (len(short.tokens), len(natural.tokens)) == (7, 60)
    assert len(answer(9, turn=script).parts[2].tokens) == 9


@given(st.text(max_size=200))
def test_given_text_is_kept(text: str) -> None:
    """Tokens of a given text join to it, whatever it is, and there is at least one."""
    (only,) = answer(turn=turn({"text": text})).parts
    assert only.text == text
    assert only.tokens


def test_scripted_message_keeps_its_format() -> None:
    """A message without text is JSON for the schema when the request asks for that."""
    (only,) = answer(turn=turn({"tokens": 80}), text=AS_PRODUCT).parts
    assert json.loads(only.text).keys() == PRODUCT["properties"].keys()
    assert len(only.tokens) == 80


def test_scripted_calls() -> None:
    """Arguments are the given text, the given object, or made up for the tool; without a name it is the first tool."""
    calls = turn(
        {"type": "function_call", "name": "get_time", "arguments": '{"zone":'},
        {"type": "function_call", "arguments": {"city": "Oslo"}},
        {"type": "function_call", "name": "get_weather"},
        {"type": "function_call", "name": "get_weather"},
    )
    made = answer(turn=calls, tools=[WEATHER, CLOCK]).parts
    assert [(part.name, part.text) for part in made[:2]] == [
        ("get_time", '{"zone":'),
        ("get_weather", '{"city":"Oslo"}'),
    ]
    assert [json.loads(part.text).keys() for part in made[2:]] == [{"city"}, {"city"}]
    assert made[2] != made[3]


@pytest.mark.parametrize("tools", [[], [WEATHER]], ids=["no tools", "others"])
def test_script_needs_its_tool(tools: list[dict[str, Any]]) -> None:
    """A script that calls what the request does not offer is refused, naming the function."""
    with pytest.raises(ApiError, match="get_time") as caught:
        answer(turn=turn({"type": "function_call", "name": "get_time"}), tools=tools)
    assert caught.value.status == 400


def test_cut_over_items() -> None:
    """`max_output_tokens` counts over all items, reasoning too; what lies beyond it is not there."""
    script = turn({"type": "reasoning", "tokens": 5}, {"tokens": 5}, {"tokens": 5})
    made = answer(turn=script, max_output_tokens=7)
    assert [len(part.tokens) for part in made.parts] == [5, 2]
    assert (made.reasoning_tokens, made.reason) == (5, "max_output_tokens")
    assert answer(turn=script, max_output_tokens=15).end == "completed"


@given(
    st.lists(st.integers(1, 9), min_size=1, max_size=4),
    st.lists(st.integers(1, 9), min_size=40, max_size=40),
    st.booleans(),
)
def test_deltas(lengths: list[int], sizes: list[int], interleaved: bool) -> None:
    """However long the parts and events are, each part's deltas join to it, in time order, opened in order."""
    parts = [
        AnswerPart(kind="message", tokens=[f"{n}.{t} " for t in range(length)]) for n, length in enumerate(lengths)
    ]
    made = list(
        SimulatedAnswer(parts=parts, interleaved=interleaved).deltas((size, due) for due, size in enumerate(sizes))
    )
    for index, part in enumerate(parts):
        assert "".join(text for _, place, text in made if place == index) == part.text
    assert [due for due, _, _ in made] == sorted(due for due, _, _ in made)
    assert list(dict.fromkeys(index for _, index, _ in made)) == list(range(len(parts)))


CALL = {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"}
RESULT = {"type": "function_call_output", "call_id": "c1", "output": "7 degrees"}
USER = {"role": "user", "content": "Tell me."}


def test_result_is_answered_with_text() -> None:
    """After a function's result the answer is a text, so agent loops end; a required or forced call stays a call."""
    asked = [USER, CALL, RESULT]
    assert part(input=asked, tools=[WEATHER]).kind == "message"
    assert json.loads(part(input=asked, tools=[WEATHER], text=AS_PRODUCT).text)["features"]
    forced = {"type": "function", "name": "get_weather"}
    choices: list[Any] = ["required", forced]
    assert [part(input=asked, tools=[WEATHER], tool_choice=c).kind for c in choices] == ["function_call"] * 2
    assert part(input=[*asked, USER], tools=[WEATHER]).kind == "function_call"


def test_ids_do_not_count() -> None:
    """Ids, status and reasoning that come back with a conversation do not change the answer; its words do."""
    bare = answer(input=[USER, CALL, RESULT])
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": "x"}
    ids = {"id": "fc_9", "call_id": "c9", "status": "completed"}
    assert answer(input=[USER, reasoning, CALL | ids, RESULT | {"call_id": "c9"}]) == bare
    assert answer(input=[USER, CALL, RESULT | {"output": "8 degrees"}]) != bare
    assert answer(input=[USER, CALL | {"arguments": '{"city":1}'}, RESULT]) != bare


@pytest.mark.parametrize(
    ("conversation", "number"),
    [
        ([USER], 0),
        ([USER, {"role": "assistant", "content": "Hm."}, USER], 1),
        ([USER, CALL, RESULT], 1),
        ([USER, {"type": "reasoning"}, {"role": "assistant", "content": "Hm."}, CALL, CALL, RESULT, RESULT], 1),
        ([USER, CALL, RESULT, CALL, RESULT, {"role": "assistant", "content": "7."}, USER], 3),
        ([{"role": "system", "content": "Be."}, USER, USER], 0),
    ],
)
def test_turn_of(conversation: list[dict[str, Any]], number: int) -> None:
    """The turn is the number of answers before; what the model said in a row is one answer."""
    assert turn_of(request(input=conversation).input) == number


def test_refusal_comes_back() -> None:
    """An assistant message with a refusal, as a response has it, is taken as input."""
    refusal = {"role": "assistant", "content": [{"type": "refusal", "refusal": "No, 1234"}]}
    assert input_tokens(request(input=[refusal])) == 2


def test_summary_on_demand() -> None:
    """A summary of reasoning comes first when the request asks for one; effort alone changes nothing."""
    made = answer(reasoning={"effort": "high", "summary": "auto"})
    assert [(part.kind, len(part.tokens)) for part in made.parts] == [("reasoning_summary", 30), ("message", 60)]
    assert answer(reasoning={"effort": "high"}) == answer()
