"""What strict mode refuses, in OpenAI's words."""

from __future__ import annotations

import json
import re
from typing import Any, Literal

import jsonschema  # type: ignore[import-untyped]
import orjson
import pytest
from openai import pydantic_function_tool
from pydantic import BaseModel, Field

from bench.simulator.answers import answer_to
from bench.simulator.control import Control
from bench.simulator.errors import ApiError
from bench.simulator.json_schema.strict_mode import SchemaError, check_strict
from bench.simulator.requests.chat import parse_chat
from bench.simulator.requests.responses import ResponsesRequest, parse_request

STRING = {"type": "string"}


class Step(BaseModel):
    """A part that may hold parts of its own kind."""

    kind: Literal["step", "rest"]
    seconds: float = Field(ge=0, lt=60, multiple_of=0.5)
    steps: list[Step] = Field(max_length=3)


class Workout(BaseModel):
    """What the SDK makes a strict schema of."""

    name: str = Field(pattern="^[a-z]+-[0-9]{2}$", description="A name")
    day: Literal[1, 2, 3] | None
    main: Step
    notes: list[str] = Field(min_length=2)


def closed(**properties: Any) -> dict[str, Any]:
    """An object with these properties, as strict mode wants it."""
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


REFUSED = [
    ({"type": "array", "items": STRING}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"array\"'"),
    ({"anyOf": [closed()]}, "schema must be a JSON Schema of 'type: \"object\"', got 'type: \"None\"'"),
    ({"type": "object"}, "In context=(), 'additionalProperties' is required to be supplied and to be false"),
    ({"type": "object", "additionalProperties": STRING}, "In context=(), 'additionalProperties' is required"),
    (closed(a=closed() | {"additionalProperties": True}), "In context=('properties', 'a'), 'additionalProperties' is"),
    (closed(a=STRING) | {"required": []}, "an array including every key in properties. Missing 'a'"),
    (closed(a=STRING) | {"required": ["a", "b"]}, "Extra required key 'b' supplied"),
    (closed(a={}), "In context=('properties', 'a'), schema must have a 'type' key"),
    (closed(a={"const": 1}), "In context=('properties', 'a'), schema must have a 'type' key"),
    (closed(a={"type": "array"}), "In context=('properties', 'a'), array schema missing items"),
    (
        closed(a={"type": "array", "items": {}}),
        "In context=('properties', 'a', 'items'), schema must have a 'type' key",
    ),
    (closed(a=STRING | {"format": "uri"}), "In context=('properties', 'a'), 'uri' is not a valid format"),
    (closed(a={"$ref": "#", "description": "d"}), "$ref cannot have keywords {'description'}"),
    (closed(a={"anyOf": [STRING, {"type": "object"}]}), "In context=('properties', 'a', 'anyOf', '1'), 'additional"),
    (closed() | {"$defs": {"X": {"allOf": []}}}, "In context=('$defs', 'X'), 'allOf' is not permitted"),
    (closed(a=True), "In context=('properties', 'a'), True is not of type 'object', 'boolean'"),
    (closed() | {"properties": 5}, "not well-formed"),
    *[
        (closed(a=STRING | {keyword: value}), f"In context=('properties', 'a'), '{keyword}' is not permitted")
        for keyword, value in {
            "oneOf": [STRING],
            "allOf": [STRING],
            "not": STRING,
            "if": STRING,
            "minLength": 1,
            "maxLength": 9,
            "default": "a",
            "patternProperties": {},
            "propertyNames": {},
            "minProperties": 1,
            "dependentRequired": {},
            "uniqueItems": True,
            "prefixItems": [],
            "contains": {},
            "unevaluatedProperties": False,
        }.items()
    ],
]


@pytest.mark.parametrize(("schema", "says"), REFUSED, ids=str)
def test_refused(schema: dict[str, Any], says: str) -> None:
    """What strict mode does not take is named with its place."""
    with pytest.raises(SchemaError, match=re.escape(says)):
        check_strict(schema)


@pytest.mark.parametrize("tokens", [1, 60, 2000])
@pytest.mark.parametrize("seed", range(5))
def test_what_is_taken_is_answered(tokens: int, seed: int) -> None:
    """A strict schema that the SDK makes of a model is taken, and each answer is valid for it and for the model."""
    tool = pydantic_function_tool(Workout)["function"]
    asked = {"format": {"type": "json_schema", "name": "w", "schema": tool["parameters"], "strict": True}}
    request = responses(text=asked)
    answer = answer_to(request, control=Control(tokens=tokens), turn=None, seed=seed, default_tokens=60)
    (part,) = answer.parts
    jsonschema.Draft202012Validator(tool["parameters"]).validate(json.loads(part.text))
    Workout.model_validate_json(part.text)


def responses(**fields: Any) -> ResponsesRequest:
    """A request of the Responses API."""
    return parse_request(orjson.dumps({"model": "sim-1", "input": "Hi", **fields}))


def chat(**fields: Any) -> ResponsesRequest:
    """The question in a request of Chat Completions."""
    body = {"model": "sim-1", "messages": [{"role": "user", "content": "Hi"}], **fields}
    return parse_chat(orjson.dumps(body))[1]


LOOSE = {"name": "loose", "schema": {"type": "object"}}
TOOL = {"name": "loose", "parameters": {"type": "object"}}
WHY = "In context=(), 'additionalProperties' is required to be supplied and to be false."


@pytest.mark.parametrize("strict", [True, False, None])
@pytest.mark.parametrize(
    ("ask", "where", "param", "code"),
    [
        (
            lambda strict: responses(text={"format": {"type": "json_schema", **LOOSE, "strict": strict}}),
            "response_format",
            "text.format.schema",
            "invalid_json_schema",
        ),
        (
            lambda strict: chat(response_format={"type": "json_schema", "json_schema": {**LOOSE, "strict": strict}}),
            "response_format",
            "response_format",
            "invalid_json_schema",
        ),
        (
            lambda strict: responses(tools=[{"type": "function", **TOOL, "strict": strict}]),
            "function",
            "tools[0].parameters",
            "invalid_function_parameters",
        ),
        (
            lambda strict: chat(tools=[{"type": "function", "function": {**TOOL, "strict": strict}}]),
            "function",
            "tools[0].function.parameters",
            "invalid_function_parameters",
        ),
    ],
    ids=["responses", "chat", "responses tool", "chat tool"],
)
def test_only_strict_is_checked(ask: Any, where: str, param: str, code: str, strict: bool | None) -> None:
    """`strict: true` gets OpenAI's 400 for a schema beyond strict mode; without it any schema may come."""
    if not strict:
        ask(strict)
        return
    with pytest.raises(ApiError) as caught:
        ask(strict)
    error = caught.value.body["error"]
    assert (caught.value.status, error["param"], error["code"]) == (400, param, code)
    assert error["message"] == f"Invalid schema for {where} 'loose': {WHY}"
