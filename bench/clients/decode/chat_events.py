"""Read chunks of Chat Completions: kind and length of their delta, finish reason and usage.

One chunk may bring a delta, finish the answer and carry usage. If a chunk has deltas of several kinds, the visible one
counts, because the user sees it. With `n` above 1 only the choice of index 0 is read.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench.clients.decode.responses_events import Kind, Meaning, Usage, error_message, length, read_usage

TYPE = "chat."
"""Prefix of a chunk's type in the records, before its kind: chunks of this API have no type of their own."""
_USAGE = ("prompt_tokens", "completion_tokens")
_COMPLETED = frozenset({"stop", "tool_calls", "function_call", "eos", "eos_token", "end_turn", "stop_sequence"})
_INCOMPLETE: Mapping[str, str] = {"length": "max_output_tokens", "max_tokens": "max_output_tokens"}
_NOT_YET = frozenset({"", "null"})
"""Values that some servers send as `finish_reason` until there is one."""
_made = tuple.__new__


def read_chat_chunk(data: Mapping[str, Any]) -> Meaning:
    """Read a chunk of a stream. Never raises, whatever is in the mapping."""
    if data.get("error") or data.get("object") == "error":
        return Meaning("error", f"{TYPE}error", status="error", message=error_message(data))
    usage = data.get("usage")
    choice, usage = _first_choice(data), read_usage(usage, *_USAGE) if usage else None
    kind, chars = _delta(choice.get("delta"))
    status = _status(choice)
    if not chars:
        kind = "terminal" if status else kind
    return _made(Meaning, (kind, TYPE + kind, chars, None, False, status, _reason(status), usage))


def read_chat_completion(body: Mapping[str, Any]) -> tuple[str | None, str | None, Usage | None]:
    """Return status (as of a Response: `incomplete:REASON`), error message and usage of a blocking answer."""
    if body.get("error") or body.get("object") == "error":
        return None, error_message(body), None
    status = _status(_first_choice(body))
    return status, _reason(status), read_usage(body.get("usage"), *_USAGE)


def _first_choice(data: Mapping[str, Any]) -> Mapping[str, Any]:
    choices = data.get("choices")
    for choice in choices if isinstance(choices, list) else ():
        if isinstance(choice, dict) and choice.get("index") in (0, None):
            return choice
    return {}


def _delta(delta: object) -> tuple[Kind, int]:
    """Return kind and length of a delta; a role or a tool's name alone has length 0."""
    if not isinstance(delta, dict):
        return "other", 0
    content, audio = length(delta.get("content")), delta.get("audio")
    if audio:
        content += _lengths(audio, "data", "transcript")
    if content:
        return "content", content
    if refusal := length(delta.get("refusal")):
        return "refusal", refusal
    if arguments := _arguments(delta):
        return "tool_args", arguments
    if reasoning := length(delta.get("reasoning_content")) or length(delta.get("reasoning")):
        return "reasoning", reasoning
    return ("lifecycle" if delta.get("role") else "other"), 0


def _arguments(delta: Mapping[str, Any]) -> int:
    """Return the length of the arguments in a delta: of all tool calls, and of the old `function_call`."""
    calls = delta.get("tool_calls")
    parts = [call for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    bodies = [part.get(form) for part in parts for form in ("function", "custom")]
    return sum(_lengths(body, "arguments", "input") for body in [*bodies, delta.get("function_call")])


def _lengths(mapping: object, *keys: str) -> int:
    return sum(length(mapping.get(key)) for key in keys) if isinstance(mapping, Mapping) else 0


def _status(choice: Mapping[str, Any]) -> str | None:
    """Return the Responses API's status for a finish reason. An unknown reason is `incomplete`."""
    reason = choice.get("finish_reason")
    if not isinstance(reason, str) or reason in _NOT_YET:
        return None
    if reason == "error":
        return "error"
    return "completed" if reason in _COMPLETED else f"incomplete:{_INCOMPLETE.get(reason, reason)}"


def _reason(status: str | None) -> str | None:
    return "finish_reason is error" if status == "error" else None
