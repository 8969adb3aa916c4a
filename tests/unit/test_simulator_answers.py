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

from bench.simulator.answers import Answer, answer_to, input_tokens
from bench.simulator.errors import ApiError
from bench.simulator.requests import ResponsesRequest, parse_request
from bench.simulator.words import text_of_length

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


def answer(tokens: int | None = None, seed: int = 0, **fields: Any) -> Answer:
    """What such a request is answered with under a profile of 60 tokens."""
    return answer_to(request(**fields), seed=seed, tokens=tokens, default_tokens=60)


@given(st.integers(1, 2000), st.text(max_size=30), st.integers(0, 9))
def test_text_length(tokens: int, prompt: str, seed: int) -> None:
    """A text has exactly the asked number of tokens, none of them empty, and reads as sentences."""
    made = answer(tokens, seed, input=prompt)
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
    made = answer(tokens, text=AS_PRODUCT)
    value = json.loads(made.text)
    assert len(made.tokens) == tokens
    assert list(value) == list(PRODUCT["properties"])
    assert len(value["features"]) >= 1


def test_structured_minimum() -> None:
    """Structured output shorter than its schema allows gets the least that is valid."""
    assert json.loads(answer(1, text=AS_PRODUCT).text)["features"] == []
    narrow = {"type": "object", "properties": {"grade": {"enum": ["good"]}}}
    text = {"format": {"type": "json_schema", "name": "g", "schema": narrow}}
    assert answer(500, text=text).text == '{"grade":"good"}'


def test_json_object() -> None:
    """The format `json_object` gives a JSON object of the profile's length."""
    made = answer(text={"format": {"type": "json_object"}})
    assert isinstance(json.loads(made.text), dict)
    assert len(made.tokens) == 60


def test_function_call_length() -> None:
    """A call has the length its arguments need, or exactly the asked one; both are JSON."""
    natural, long = answer(tools=[WEATHER]), answer(300, tools=[WEATHER])
    assert len(natural.tokens) < 20
    assert len(long.tokens) == 300
    assert {natural.function, long.function} == {"get_weather"}
    assert json.loads(natural.text).keys() == json.loads(long.text).keys() == {"city"}


def test_tool_choice() -> None:
    """A forced function is called, `none` gives a text, and a function without parameters gets none."""
    forced = answer(tools=[WEATHER, CLOCK], tool_choice={"type": "function", "name": "get_time"})
    assert (forced.function, forced.text) == ("get_time", '{"zone":"UTC"}')
    assert answer(tools=[WEATHER], tool_choice="none").function is None
    assert answer(tools=[{"type": "function", "name": "ping"}]).text == "{}"


@pytest.mark.parametrize("extra", [{}, {"text": AS_PRODUCT}, {"tools": [WEATHER]}], ids=["text", "json", "call"])
def test_cut(extra: dict[str, Any]) -> None:
    """`max_output_tokens` below the length cuts the same answer there; above it nothing changes."""
    whole = answer(50, **extra)
    cut = answer(50, max_output_tokens=7, **extra)
    assert (cut.cut, cut.tokens) == (True, whole.tokens[:7])
    assert answer(50, max_output_tokens=50, **extra) == whole


def test_partial_json_grows() -> None:
    """Every prefix of structured output is the beginning of JSON, so fields can be read as they come."""
    made = answer(200, text=AS_PRODUCT)
    sizes = [
        len(orjson.dumps(jiter.from_json("".join(made.tokens[:n]).encode(), partial_mode="trailing-strings")))
        for n in range(1, 200)
    ]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"text": {"format": {"type": "json_schema", "name": "n", "schema": {"pattern": "a"}}}}, "text.format.schema"),
        ({"tools": [{"type": "function", "name": "f", "parameters": {"type": "object", "properties": 3}}]}, "tools"),
    ],
)
def test_bad_schema(fields: dict[str, Any], param: str) -> None:
    """A schema that cannot be answered is refused with the name of the parameter."""
    with pytest.raises(ApiError) as caught:
        answer(**fields)
    assert caught.value.status == 400
    assert caught.value.body["error"]["param"] == param
    assert caught.value.body["error"]["code"] == "invalid_json_schema"
