"""What an event means for the clock."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import ResponseStreamEvent

from bench.clients.decode.decode import Event
from bench.clients.decode.responses_events import Usage, read_response, read_responses_event
from bench.records.schema import TOKEN_KINDS
from bench.run.trial.rows import tokens_of
from tests.support import events as e

json_value: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
names = st.sampled_from(
    ["type", "delta", "text", "arguments", "item", "response", "error", "status", "usage", "sequence_number", "code"]
)
types = st.sampled_from(
    [
        "response.completed",
        "response.failed",
        "response.incomplete",
        "error",
        "response.output_text.delta",
        "response.output_item.added",
        "response.function_call_arguments.done",
        "x",
    ]
)


@given(st.dictionaries(names, json_value), types | json_value)
def test_nonsense_is_survived(data: dict[str, Any], type_: object) -> None:
    """Whatever a server puts into an event, reading it gives a meaning that fits into the records."""
    meaning = read_responses_event({**data, "type": type_})
    assert meaning.chars >= 0
    assert meaning.sequence_number is None or abs(meaning.sequence_number) < 2**63


@pytest.mark.parametrize(
    ("event", "kind", "chars"),
    [
        (e.delta("ab"), "content", 2),
        (e.delta(""), "content", 0),
        (e.reasoning("hm"), "reasoning", 2),
        (e.arguments("{"), "tool_args", 1),
        ({"type": "response.refusal.delta", "delta": "no"}, "refusal", 2),
        ({"type": "response.reasoning_summary_text.delta", "delta": "hm"}, "reasoning", 2),
        (e.call_item("added", ""), "other", 0),
        (e.call_item("added", '{"a":1}'), "item", 7),
        (e.call_item("added", "{}"), "other", 0),
        ({"type": "response.output_item.done", "item": e.message("abc")}, "content", 3),
        ({"type": "response.output_item.done", "item": {"type": "message", "content": None}}, "other", 0),
        (e.text_done("abc"), "content", 3),
        (e.CREATED, "lifecycle", 0),
        (e.COMPLETED, "terminal", 0),
        ({"type": "response.completed", "response": {"output": [e.message("abc"), None]}}, "terminal", 3),
        ({"type": "response.incomplete", "response": {"output": "odd"}}, "terminal", 0),
        ({"type": "error", "message": "x"}, "error", 0),
        ({"type": "response.something_new", "delta": "?"}, "other", 0),
        ({}, "other", 0),
    ],
)
def test_kinds(event: dict[str, Any], kind: str, chars: int) -> None:
    """Each event has its kind and the length of what it brought."""
    meaning = read_responses_event(event)
    assert (meaning.kind, meaning.chars) == (kind, chars)


def test_every_delta_of_the_sdk_is_known() -> None:
    """Every text-carrying delta that the SDK knows is a token; what is left out is named here."""
    members = get_args(get_args(ResponseStreamEvent)[0])
    known = [get_args(member.model_fields["type"].annotation)[0] for member in members]
    deltas = {name for name in known if name.endswith(".delta")}
    assert len(deltas) > 10
    unread = {name for name in deltas if read_responses_event({"type": name, "delta": "x"}).kind not in TOKEN_KINDS}
    assert unread == {"response.shell_call_command.delta", "response.shell_call_output_content.delta"}


@pytest.mark.parametrize(
    ("event", "status", "message"),
    [
        (e.COMPLETED, "completed", None),
        (e.INCOMPLETE, "incomplete:max_output_tokens", None),
        (e.FAILED, "failed", "server_error: out of memory"),
        ({"type": "error", "code": "c", "message": "m", "param": None}, "error", "c: m"),
        ({"error": {"message": "nested", "code": None}}, "error", "nested"),
        ({"type": "error", "error": {"message": "nested"}}, "error", "nested"),
        ({"type": "error"}, "error", "the server gave no reason"),
        ({"type": "response.completed"}, "completed", None),
        ({**e.COMPLETED, "response": e.response("incomplete")}, "incomplete", None),
        ({**e.INCOMPLETE, "response": e.response("completed")}, "incomplete", None),
        ({**e.COMPLETED, "response": e.response("in_progress")}, "completed", None),
    ],
)
def test_endings(event: dict[str, Any], status: str, message: str | None) -> None:
    """A terminal event says how it ended, by the worse of its type and its response's status."""
    meaning = read_responses_event(event)
    assert (meaning.status, meaning.message) == (status, message)


def test_usage() -> None:
    """Token counts are taken as sent; all zero, or missing, is missing."""
    assert read_response(e.response(usage=e.USAGE))[2] == Usage(input=5, cached=2, output=3, reasoning=1)
    assert read_response(e.response(usage={"input_tokens": 0, "output_tokens": 0}))[2] is None
    assert read_response(e.response(usage=None))[2] is None
    assert read_response(e.response(usage={"input_tokens": True, "output_tokens": 4}))[2] == Usage(output=4)


def test_a_whole_answer_at_the_end_is_a_token_only_if_nothing_visible_came() -> None:
    """From a server that sends no deltas the answer is there with the terminal event, which else only repeats it."""
    whole = {"type": "response.completed", "response": e.response(output=[e.message("abc")])}
    came = [[whole], [e.reasoning("hm"), whole], [e.delta("abc"), whole], [e.text_done("abc"), whole]]
    counted = [
        [event.read for event in tokens_of(Event(0, n, 0, read_responses_event(data)) for n, data in enumerate(events))]
        for events in came
    ]
    assert counted == [[0], [0, 1], [0], [0]]
