"""Scripted answers, as the official SDK's strict helper reads them from a real simulator."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from openai import BadRequestError, OpenAI

from bench.simulator.process import running

QUERY = {
    "type": "object",
    "properties": {"q": {"type": "string"}},
    "required": ["q"],
    "additionalProperties": False,
}
TOOLS: list[Any] = [{"type": "function", "name": name, "strict": True, "parameters": QUERY} for name in ("find", "buy")]
FIRST: dict[str, Any] = {
    "items": [
        {"type": "reasoning", "tokens": 4},
        {"type": "reasoning_summary", "text": "Two things to do."},
        {"type": "message", "text": "One moment."},
        {"type": "function_call", "name": "find", "arguments": {"q": "tea"}},
        {"type": "function_call", "name": "buy", "arguments": '{"q": 2}'},
    ]
}
SECOND: dict[str, Any] = {"items": [{"type": "refusal", "text": "I cannot say that."}]}


@pytest.fixture(scope="module")
def client() -> Iterator[OpenAI]:
    """A client of a simulator of its own, which answers without waiting."""
    with running(profile="flood") as simulator, OpenAI(base_url=simulator.base_url, api_key="none") as made:
        yield made


def metadata(*answers: dict[str, Any]) -> dict[str, str]:
    """The control field with a script."""
    return {"bench": json.dumps({"answers": answers})}


def outputs(response: Any) -> list[dict[str, Any]]:
    """What it says, without ids and what only the SDK adds."""
    dropped = {"id", "call_id", "parsed", "parsed_arguments"}
    return [item.model_dump(exclude_none=True, exclude=dropped) for item in response.output]


def texts(response: Any) -> list[str]:
    """The text of each item, whatever its type."""
    found = []
    for item in outputs(response):
        (part,) = item.get("content") or item.get("summary") or [{"text": item.get("arguments")}]
        found.append(part.get("text") or part.get("refusal"))
    return found


@pytest.mark.parametrize("interleaved", [False, True], ids=["in order", "interleaved"])
def test_strict_helper(client: OpenAI, interleaved: bool) -> None:
    """The SDK's `responses.stream()` takes every type of item, and ends with what a blocking call gives."""
    asked: dict[str, Any] = {"model": "sim-1", "input": "Hi", "tools": TOOLS}
    asked["metadata"] = metadata(FIRST | {"interleaved": interleaved})
    with client.responses.stream(**asked) as stream:
        types = [event.type for event in stream]
        final = stream.get_final_response()
    assert types[-1] == "response.completed"
    whole = client.responses.create(**asked)
    assert texts(final) == texts(whole)
    assert texts(whole)[1:] == ["Two things to do.", "One moment.", '{"q":"tea"}', '{"q": 2}']
    assert final.usage == whole.usage


def test_turns(client: OpenAI) -> None:
    """A conversation of resent items goes through the turns of the script; the last one repeats."""
    script = metadata(FIRST, SECOND)
    conversation: list[Any] = [{"role": "user", "content": "Hi"}]
    lengths = []
    for _ in range(3):
        made = client.responses.create(model="sim-1", input=conversation, tools=TOOLS, metadata=script)
        lengths.append(made.usage.input_tokens if made.usage else 0)
        conversation += [item.model_dump(exclude_none=True) for item in made.output]
        calls = [item for item in made.output if item.type == "function_call"]
        conversation += [{"type": "function_call_output", "call_id": call.call_id, "output": "ok"} for call in calls]
        conversation += [] if calls else [{"role": "user", "content": "Why?"}]
    assert len(calls) == 0
    assert texts(made) == ["I cannot say that."]
    assert 0 < lengths[0] < lengths[1] < lengths[2]


@pytest.mark.parametrize("reason", ["max_output_tokens", "content_filter"])
def test_incomplete(client: OpenAI, reason: str) -> None:
    """An end that the script names is the same for both deliveries."""
    script = metadata({"items": [{"text": "Half a"}], "end": f"incomplete:{reason}"})
    with client.responses.stream(model="sim-1", input="Hi", metadata=script) as stream:
        *_, last = stream
    whole = client.responses.create(model="sim-1", input="Hi", metadata=script)
    assert last.type == "response.incomplete"
    for response in (last.response, whole):
        assert response.incomplete_details is not None
        assert (response.status, response.incomplete_details.reason) == ("incomplete", reason)
        assert response.output_text == "Half a"


def test_script_that_does_not_fit(client: OpenAI) -> None:
    """A script that calls an unknown function is a 400 that names it, before any stream begins."""
    script = metadata({"items": [{"type": "function_call", "name": "sell"}]})
    with pytest.raises(BadRequestError, match="sell"):
        client.responses.create(model="sim-1", input="Hi", tools=TOOLS, metadata=script, stream=True)
