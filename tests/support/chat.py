"""Chunks of Chat Completions as short as a test wants them."""

from __future__ import annotations

from typing import Any

Chunk = dict[str, Any]

USAGE = {
    "prompt_tokens": 5,
    "completion_tokens": 3,
    "total_tokens": 8,
    "prompt_tokens_details": {"cached_tokens": 2},
    "completion_tokens_details": {"reasoning_tokens": 1},
}
DONE = "data: [DONE]\n\n"


def chunk(delta: object = None, finish: str | None = None, **more: Any) -> Chunk:
    """A chunk with one choice."""
    choice = {"index": 0, "delta": {} if delta is None else delta, "logprobs": None, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion.chunk", "created": 0, "model": "m", "choices": [choice], **more}


def content(text: str, finish: str | None = None, **more: Any) -> Chunk:
    """A delta of text."""
    return chunk({"content": text}, finish, **more)


def call(arguments: str | None, name: str | None = None, index: int = 0) -> Chunk:
    """A delta of a tool call; with a name it is the call's first."""
    opening = {"id": f"call_{index}", "type": "function"} if name else {}
    function = {"name": name, "arguments": arguments}
    fields = {key: value for key, value in function.items() if value is not None}
    return chunk({"tool_calls": [{"index": index, **opening, "function": fields}]})


ROLE = chunk({"role": "assistant", "content": ""})
STOP = chunk(finish="stop")
USAGE_ONLY: Chunk = {**chunk(), "choices": [], "usage": USAGE}


def completion(text: str | None, finish: str | None = "stop", **message: Any) -> Chunk:
    """A blocking answer."""
    choice = {"index": 0, "message": {"role": "assistant", "content": text, **message}, "finish_reason": finish}
    return {"id": "c1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice], "usage": USAGE}
