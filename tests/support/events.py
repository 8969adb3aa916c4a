"""Events of the Responses API as short as a test wants them."""

from __future__ import annotations

from typing import Any

Event = dict[str, Any]


def response(status: str = "completed", **more: Any) -> Event:
    """A Response object."""
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": "m",
        "status": status,
        "output": [],
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        **more,
    }


def message(text: str) -> Event:
    """An output item with text."""
    content = [{"type": "output_text", "text": text, "annotations": []}]
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": content}


USAGE = {
    "input_tokens": 5,
    "output_tokens": 3,
    "total_tokens": 8,
    "input_tokens_details": {"cached_tokens": 2},
    "output_tokens_details": {"reasoning_tokens": 1},
}
CREATED: Event = {"type": "response.created", "sequence_number": 0, "response": response("in_progress")}
COMPLETED: Event = {"type": "response.completed", "sequence_number": 9, "response": response(usage=USAGE)}
INCOMPLETE: Event = {
    "type": "response.incomplete",
    "sequence_number": 9,
    "response": response("incomplete", incomplete_details={"reason": "max_output_tokens"}),
}
FILTERED: Event = {
    "type": "response.incomplete",
    "sequence_number": 9,
    "response": response("incomplete", incomplete_details={"reason": "content_filter"}),
}
FAILED: Event = {
    "type": "response.failed",
    "sequence_number": 9,
    "response": response("failed", error={"code": "server_error", "message": "out of memory"}),
}


def delta(text: str, number: int = 1) -> Event:
    """A text delta."""
    return {
        "type": "response.output_text.delta",
        "sequence_number": number,
        "item_id": "msg_1",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
        "logprobs": [],
    }


def text_done(text: str) -> Event:
    """The whole text, after the deltas."""
    return {**delta("", 8), "type": "response.output_text.done", "text": text}


def reasoning(text: str) -> Event:
    """A reasoning delta."""
    return {
        "type": "response.reasoning_text.delta",
        "sequence_number": 1,
        "item_id": "rs_1",
        "output_index": 0,
        "content_index": 0,
        "delta": text,
    }


def arguments(text: str) -> Event:
    """A tool-argument delta."""
    return {
        "type": "response.function_call_arguments.delta",
        "sequence_number": 1,
        "item_id": "fc_1",
        "output_index": 0,
        "delta": text,
    }


def call_item(type_: str, text: str) -> Event:
    """A function-call item: `added` or `done`."""
    item = {"type": "function_call", "id": "fc_1", "call_id": "c", "name": "f", "arguments": text}
    return {"type": f"response.output_item.{type_}", "sequence_number": 1, "output_index": 0, "item": item}
