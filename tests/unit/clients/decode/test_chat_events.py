"""What a chunk of Chat Completions means for the clock, and how a stream of them ends."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.clients.decode.chat_events import read_chat_chunk, read_chat_completion
from bench.clients.decode.decode import Answer, decode
from bench.clients.decode.responses_events import Usage
from bench.run.trial.rows import tokens_of
from tests.support import chat as c
from tests.support.scripted import frame, head

SSE = {"content-type": "text/event-stream"}
JSON = {"content-type": "application/json"}

json_value: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
fields = st.sampled_from(["role", "content", "refusal", "tool_calls", "function_call", "reasoning", "audio"])
call_fields = st.dictionaries(st.sampled_from(["index", "id", "function", "custom", "arguments"]), json_value)
deltas = st.dictionaries(fields, json_value | st.lists(call_fields | json_value, max_size=2), max_size=3) | json_value
choices = st.fixed_dictionaries({}, optional={"index": json_value, "delta": deltas, "finish_reason": json_value})


@given(
    st.dictionaries(st.sampled_from(["usage", "error", "object", "id"]), json_value),
    st.lists(choices | json_value, max_size=2) | json_value,
)
def test_nonsense_is_survived(data: dict[str, Any], some: object) -> None:
    """Whatever a server puts into a chunk or a body, reading it gives a meaning and never an exception."""
    meaning = read_chat_chunk({**data, "choices": some})
    assert meaning.chars >= 0
    assert meaning.status is None or meaning.status
    read_chat_completion({**data, "choices": some})


@pytest.mark.parametrize(
    ("chunk", "kind", "chars"),
    [
        (c.content("ab"), "content", 2),
        (c.ROLE, "lifecycle", 0),
        (c.content(""), "other", 0),
        (c.chunk({"content": None}), "other", 0),
        (c.chunk({"reasoning_content": "hm", "content": None}), "reasoning", 2),
        (c.chunk({"reasoning": "hm"}), "reasoning", 2),
        (c.chunk({"reasoning": "hm", "reasoning_content": "hm"}), "reasoning", 2),
        (c.chunk({"reasoning": "hm", "content": "a"}), "content", 1),
        (c.chunk({"refusal": "no"}), "refusal", 2),
        (c.call("", name="f"), "other", 0),
        (c.call('{"a":'), "tool_args", 5),
        (c.call('{"a":1}', name="f"), "tool_args", 7),
        (c.chunk({"function_call": {"name": "f", "arguments": "{"}}), "tool_args", 1),
        (c.chunk({"tool_calls": [{"index": 0, "custom": {"input": "ls"}}]}), "tool_args", 2),
        (c.STOP, "terminal", 0),
        (c.content("ab", finish="stop"), "content", 2),
        (c.USAGE_ONLY, "other", 0),
        ({"error": {"message": "x"}}, "error", 0),
        ({**c.content("other"), "choices": [{"index": 1, "delta": {"content": "b"}}]}, "other", 0),
        ({}, "other", 0),
    ],
)
def test_kinds(chunk: dict[str, Any], kind: str, chars: int) -> None:
    """Each chunk has its kind and the length of what it brought; a role or a tool's name alone brings nothing."""
    meaning = read_chat_chunk(chunk)
    assert (meaning.kind, meaning.chars) == (kind, chars)


@pytest.mark.parametrize(
    ("chunk", "status", "message"),
    [
        (c.STOP, "completed", None),
        (c.chunk(finish="tool_calls"), "completed", None),
        (c.chunk(finish="function_call"), "completed", None),
        (c.chunk(finish="length"), "incomplete:max_output_tokens", None),
        (c.chunk(finish="content_filter"), "incomplete:content_filter", None),
        (c.chunk(finish="abort"), "incomplete:abort", None),
        (c.chunk(finish="error"), "error", "finish_reason is error"),
        (c.chunk(finish=""), None, None),
        (c.content("a", finish="stop"), "completed", None),
        ({"error": {"code": "c", "message": "m"}}, "error", "c: m"),
        ({"error": "plain"}, "error", "plain"),
        ({**c.chunk(), "error": {"message": "m"}}, "error", "m"),
        ({"object": "error", "message": "m", "code": 400}, "error", "400: m"),
        ({**c.chunk(), "choices": [{"index": 1, "delta": {}, "finish_reason": "stop"}]}, None, None),
    ],
)
def test_endings(chunk: dict[str, Any], status: str | None, message: str | None) -> None:
    """A finish reason is told in the words of the Responses API; one that nobody knows is no success."""
    meaning = read_chat_chunk(chunk)
    assert (meaning.status, meaning.message) == (status, message)


def stream(*events: dict[str, Any] | str) -> Answer:
    """Chunks as one attempt brought them, each in a read of its own."""
    reads = [(number, frame(event)) for number, event in enumerate(events, 1)]
    return decode([(0, head(200, SSE)), *reads], SSE, asked_stream=True, path="/v1/chat/completions")


def test_a_whole_stream() -> None:
    """Role, deltas, finish, usage, `[DONE]`: two tokens, completed, with the usage of its own chunk."""
    answer = stream(c.ROLE, c.content("Hel"), c.content("lo"), c.STOP, c.USAGE_ONLY, c.DONE)
    assert [event.t_read for event in tokens_of(answer.events)] == [2, 3]
    assert (answer.terminal, answer.done) == ("completed", True)
    assert answer.usage == Usage(input=5, cached=2, output=3, reasoning=1)


@pytest.mark.parametrize(
    ("events", "terminal", "output"),
    [
        ([c.content("a"), c.chunk(finish="stop", usage=c.USAGE)], "completed", 3),
        (
            [c.content("a", usage={"prompt_tokens": 5, "completion_tokens": 1}), {**c.STOP, "usage": c.USAGE}],
            "completed",
            3,
        ),
        ([c.content("a", finish="stop"), c.DONE], "completed", None),
        (
            [c.content("a"), c.STOP, {**c.USAGE_ONLY, "usage": {"prompt_tokens": 0, "completion_tokens": 0}}],
            "completed",
            None,
        ),
        ([c.content("a"), c.DONE], None, None),
        ([c.content("a", finish="stop", usage=None)], "completed", None),
    ],
)
def test_where_usage_and_the_end_stand(events: list[Any], terminal: str | None, output: int | None) -> None:
    """Usage may come anywhere, the last counts, zero is missing; `[DONE]` needs no sending and is no finish reason."""
    answer = stream(*events)
    assert answer.terminal == terminal
    assert (answer.usage.output if answer.usage else None) == output


def test_a_call_in_one_chunk_is_its_own_first_token() -> None:
    """A tool call that comes complete starts the clock when it comes; a name alone does not."""
    answer = stream(c.ROLE, c.call("", name="f"), c.call('{"a":1}'), c.chunk(finish="tool_calls"))
    assert [event.t_read for event in tokens_of(answer.events)] == [3]
    answer = stream(c.ROLE, c.call('{"a":1}', name="f"), c.call('{"b":2}', name="f", index=1), c.STOP)
    assert [event.t_read for event in tokens_of(answer.events)] == [2, 3]


@pytest.mark.parametrize(
    ("body", "terminal", "whole"),
    [
        (c.completion("hi"), "completed", True),
        (c.completion("hi", finish="length"), "incomplete:max_output_tokens", True),
        ({"id": "x", "output": []}, None, False),
        ({"error": {"message": "m"}}, "error", False),
        ({"object": "error", "message": "m"}, "error", False),
    ],
)
def test_a_blocking_body(body: dict[str, Any], terminal: str | None, whole: bool) -> None:
    """A body is a chat completion when it has `choices`; its finish reason says how it ended."""
    data = json.dumps(body).encode()
    reads = [(1, head(200, {**JSON, "content-length": str(len(data))}) + data)]
    answer = decode(reads, JSON, asked_stream=False, path="/v1/chat/completions")
    assert (answer.terminal, answer.is_response) == (terminal, whole)
