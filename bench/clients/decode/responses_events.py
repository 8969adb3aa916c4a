"""Read events of the Responses API: kind, length of the delta, status and usage.

TTFT depends on `kind`: `content`, `reasoning`, `refusal` and `tool_args` carry a part of the answer if `chars` is above
0; `item` is an item that arrived complete without deltas and counts as its first token; no other kind is a token.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

Kind = Literal[
    "content", "reasoning", "refusal", "tool_args", "item", "lifecycle", "terminal", "error", "done", "other"
]
_DELTAS: Mapping[str, Kind] = {
    "response.output_text.delta": "content",
    "response.refusal.delta": "refusal",
    "response.function_call_arguments.delta": "tool_args",
    "response.custom_tool_call_input.delta": "tool_args",
    "response.mcp_call_arguments.delta": "tool_args",
    "response.code_interpreter_call_code.delta": "tool_args",
    "response.reasoning_text.delta": "reasoning",
    "response.reasoning_summary_text.delta": "reasoning",
    "response.audio.delta": "content",
    "response.audio.transcript.delta": "content",
}
_WHOLES: Mapping[str, tuple[Kind, str]] = {
    "response.output_text.done": ("content", "text"),
    "response.refusal.done": ("refusal", "refusal"),
    "response.function_call_arguments.done": ("tool_args", "arguments"),
    "response.custom_tool_call_input.done": ("tool_args", "input"),
    "response.reasoning_text.done": ("reasoning", "text"),
    "response.reasoning_summary_text.done": ("reasoning", "text"),
}
"""Events that repeat the deltas. If there were no deltas, they are what the user gets."""
_INT64 = 2**63
_LIFECYCLE = frozenset({"response.created", "response.queued", "response.in_progress"})
_TERMINAL = frozenset({"response.completed", "response.failed", "response.incomplete", "error"})
_made = tuple.__new__


class Usage(NamedTuple):
    """Token counts as the server sent them; None if it sent none."""

    input: int | None = None
    cached: int | None = None
    output: int | None = None
    reasoning: int | None = None


class Meaning(NamedTuple):
    """The meaning of one event."""

    kind: Kind
    type: str
    chars: int = 0
    sequence_number: int | None = None
    whole: bool = False
    """True for a complete text instead of a delta: a first token only if no delta of its kind came before; for a
    terminal event, only if nothing visible came before."""
    status: str | None = None
    """Of a terminal event: `completed`, `failed`, `incomplete:REASON` or `error`."""
    message: str | None = None
    """Message of a failed or error event."""
    usage: Usage | None = None


def read_responses_event(data: Mapping[str, Any]) -> Meaning:
    """Read an event of the Responses API. Never raises, whatever is in the mapping."""
    type_, number = data.get("type"), data.get("sequence_number")
    if type(number) is not int or not -_INT64 < number < _INT64:
        number = None
    kind = _DELTAS.get(type_) if type(type_) is str else None
    if kind:  # nearly all events of a stream: no call that can be saved
        delta = data.get("delta")
        return _made(Meaning, (kind, type_, len(delta) if type(delta) is str else 0, number, False, None, None, None))
    type_ = str(type_ or "")
    if type_ in _WHOLES:
        kind, key = _WHOLES[type_]
        return Meaning(kind, type_, length(data.get(key)), number, whole=True)
    if type_ in _TERMINAL or data.get("error"):
        return _terminal(data, type_ or "error", number)
    if type_ in {"response.output_item.added", "response.output_item.done"}:
        kind, chars = _item(data.get("item"))
        return Meaning(kind if chars else "other", type_, chars, number, whole=True)
    return Meaning("lifecycle" if type_ in _LIFECYCLE else "other", type_, 0, number)


def length(value: object) -> int:
    """Return the characters of a text; 0 for anything else."""
    return len(value) if isinstance(value, str) else 0


def _item(item: object) -> tuple[Kind, int]:
    """Return kind and length of what is already complete in an item: a message's text, or a call's arguments.

    `{}` stands for arguments that are still to come.
    """
    if not isinstance(item, Mapping):
        return "other", 0
    if item.get("type") == "message":
        content = item.get("content")
        parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, list) else []
        return "content", sum(length(part.get("text")) + length(part.get("refusal")) for part in parts)
    arguments = item.get("arguments")
    return "item", (0 if arguments == "{}" else length(arguments)) + length(item.get("input"))


def _terminal(data: Mapping[str, Any], type_: str, number: int | None) -> Meaning:
    response = data.get("response")
    if not isinstance(response, Mapping):
        if type_ in {"response.completed", "response.incomplete", "response.failed"} and not data.get("error"):
            return Meaning("terminal", type_, 0, number, status=type_.removeprefix("response."))
        return Meaning("error", type_, 0, number, status="error", message=error_message(data))
    status, message, usage = read_response(response)
    fallback = type_.removeprefix("response.")
    if status in {None, "in_progress", "queued"} or (fallback in {"failed", "incomplete"} and status == "completed"):
        status = fallback
    output = response.get("output")
    chars = sum(_item(item)[1] for item in output) if isinstance(output, list) else 0
    return Meaning("terminal", type_, chars, number, whole=True, status=status, message=message, usage=usage)


def read_response(response: Mapping[str, Any]) -> tuple[str | None, str | None, Usage | None]:
    """Return status (`incomplete:REASON` if there is a reason), error message and usage of a Response object."""
    status = response.get("status")
    details, error = response.get("incomplete_details"), response.get("error")
    if status == "incomplete" and isinstance(details, Mapping) and details.get("reason"):
        status = f"incomplete:{details['reason']}"
    message = _message(error) if isinstance(error, Mapping) else None
    usage = read_usage(response.get("usage"), "input_tokens", "output_tokens")
    return (status if isinstance(status, str) else None), message, usage


def error_message(data: Mapping[str, Any]) -> str:
    """Return the message of an error: `{"error": {…}}`, `{"error": "…"}`, or flat."""
    error = data.get("error")
    if isinstance(error, str) and error:
        return error
    return _message(error if isinstance(error, Mapping) else data)


def _message(error: Mapping[str, Any]) -> str:
    parts = [str(error[key]) for key in ("code", "message") if error.get(key)]
    return ": ".join(parts) or "the server gave no reason"


def read_usage(usage: object, given: str, made: str) -> Usage | None:
    """Return the token counts, by their names in the API; None if all are zero, as some servers send unknown counts."""
    if not isinstance(usage, Mapping):
        return None
    found = Usage(
        input=_count(usage, given),
        cached=_count(usage.get(f"{given}_details"), "cached_tokens"),
        output=_count(usage, made),
        reasoning=_count(usage.get(f"{made}_details"), "reasoning_tokens"),
    )
    return found if found.input or found.output else None


def _count(mapping: object, key: str) -> int | None:
    value = mapping.get(key) if isinstance(mapping, Mapping) else None
    return value if isinstance(value, int) and not isinstance(value, bool) and abs(value) < _INT64 else None
