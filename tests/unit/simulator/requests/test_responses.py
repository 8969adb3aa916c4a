"""What a request may be."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulator.errors import ApiError
from bench.simulator.requests.responses import parse_request

TOOL = {"type": "function", "name": "f"}
GOOD: dict[str, Any] = {"model": "sim-1", "input": "Hi"}


def refusal(body: bytes) -> tuple[int, str | None, str | None]:
    """Status, param and code of the refusal."""
    with pytest.raises(ApiError) as caught:
        parse_request(body)
    error = caught.value.body["error"]
    assert error["type"] == "invalid_request_error"
    assert error["message"]
    return caught.value.status, error["param"], error["code"]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b"", (400, None, "invalid_json")),
        (b'{"model":', (400, None, "invalid_json")),
        (b"\xff\xfe", (400, None, "invalid_json")),
        (b"[1]", (400, None, "invalid_type")),
    ],
)
def test_no_object(body: bytes, expected: tuple[int, str | None, str | None]) -> None:
    """A body that is no JSON object is refused."""
    assert refusal(body) == expected


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"model": None}, (400, "model", "invalid_type")),
        ({"model": "gpt-9"}, (404, "model", "model_not_found")),
        ({"input": 3}, (400, "input", "invalid_type")),
        ({"input": []}, (400, "input", "invalid_value")),
        ({"input": [{"role": "boss", "content": "x"}]}, (400, "input[0].role", "invalid_value")),
        ({"input": [{"role": "user"}]}, (400, "input[0].content", "missing_required_parameter")),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image"}]}]},
            (400, "input", "unsupported_by_simulator"),
        ),
        ({"input": [{"type": "function_call_output"}]}, (400, "input[0].call_id", "missing_required_parameter")),
        ({"input": [{"type": "function_call", "name": 1}]}, (400, "input[0].call_id", "missing_required_parameter")),
        ({"input": [{"type": "web_search_call"}]}, (400, "input", "unsupported_by_simulator")),
        ({"stream": "yes"}, (400, "stream", "invalid_type")),
        ({"temperature": 3}, (400, "temperature", "invalid_value")),
        ({"max_output_tokens": 0}, (400, "max_output_tokens", "invalid_value")),
        ({"max_output_tokens": 1.5}, (400, "max_output_tokens", "invalid_type")),
        ({"metadata": {"a": 1}}, (400, "metadata.a", "invalid_type")),
        ({"metadata": {"trace": "x" * 513}}, (400, "metadata", "invalid_value")),
        ({"metadata": {str(n): "" for n in range(17)}}, (400, "metadata", "invalid_value")),
        ({"tools": [{"type": "web_search"}]}, (400, "tools", "unsupported_by_simulator")),
        ({"tools": [{"type": "function"}]}, (400, "tools[0].name", "missing_required_parameter")),
        ({"tool_choice": "required"}, (400, "tool_choice", "invalid_value")),
        ({"tool_choice": 5}, (400, "tool_choice", "invalid_value")),
        ({"tool_choice": ["a"]}, (400, "tool_choice", "invalid_value")),
        ({"tool_choice": {"type": "function", "name": "g"}, "tools": [TOOL]}, (400, "tool_choice", "invalid_value")),
        ({"tool_choice": {"type": "function", "name": {}}, "tools": [TOOL]}, (400, "tool_choice", "invalid_value")),
        ({"tool_choice": {"type": "mcp"}}, (400, "tool_choice", "unsupported_by_simulator")),
        ({"text": {"format": {"type": "json_schema"}}}, (400, "text.format", "invalid_value")),
        ({"text": {"format": {"type": "xml"}}}, (400, "text.format.type", "invalid_value")),
        ({"background": True, "store": False}, (400, "store", None)),
        ({"background": 1}, (400, "background", "invalid_type")),
        ({"conversation": "conv_1"}, (400, "conversation", "unsupported_by_simulator")),
        ({"previous_response_id": 1}, (400, "previous_response_id", "invalid_type")),
        ({"best_of": 2}, (400, "best_of", "unknown_parameter")),
    ],
    ids=str,
)
def test_refused(change: dict[str, Any], expected: tuple[int, str | None, str | None]) -> None:
    """Each wrong parameter is refused with OpenAI's status, its own name, and a code."""
    assert refusal(orjson.dumps(GOOD | change)) == expected


@pytest.mark.parametrize("name", ["model", "input"])
def test_missing(name: str) -> None:
    """A required parameter that is missing is named."""
    body = orjson.dumps({key: value for key, value in GOOD.items() if key != name})
    assert refusal(body) == (400, name, "missing_required_parameter")


def test_accepted() -> None:
    """The parameters that SDK users commonly send are accepted, unset ones as null too."""
    body = GOOD | {"background": False, "store": True, "truncation": None, "include": [], "tools": [TOOL]}
    request = parse_request(orjson.dumps(body | {"tool_choice": {"type": "function", "name": "f"}, "top_p": 1}))
    assert (request.function, request.top_p, request.stream) == ("f", 1, None)


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)
_NAMES = st.sampled_from(["input", "tools", "tool_choice", "text", "metadata", "stream", "instructions", "reasoning"])


@given(st.dictionaries(_NAMES, _JSON | st.lists(st.dictionaries(st.sampled_from(["type", "role", "content"]), _JSON))))
def test_any_json(change: dict[str, Any]) -> None:
    """Whatever JSON comes, it is understood or refused, never an error of the simulator's own."""
    try:
        status = 200 if parse_request(orjson.dumps(GOOD | change)).model == "sim-1" else None
    except ApiError as error:
        status = error.status
    assert status in {200, 400}
