"""The Responses API on the wire: the Response object, and the exact sequence of its stream events."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Protocol

import orjson

from bench.simulator.answers import Answer, input_tokens
from bench.simulator.delivery import Frame
from bench.simulator.requests import ResponsesRequest

Event = tuple[str, dict[str, Any]]
"""Type and fields of an event, without its sequence number."""


class Item(Protocol):
    """An output item of one type: its object, and the events around its deltas."""

    id: str
    delta_type: str
    delta_fields: tuple[bytes, bytes]
    """JSON before and after the delta."""

    def whole(self, text: str, status: str) -> dict[str, Any]: ...
    def opening(self) -> Iterable[Event]: ...
    def closing(self, text: str, status: str) -> Iterable[Event]: ...


class MessageItem:
    """A text."""

    delta_type = "response.output_text.delta"

    def __init__(self) -> None:
        self.id = _new_id("msg")
        self._place = {"item_id": self.id, "output_index": 0, "content_index": 0}
        self.delta_fields = (_inside(self._place) + b',"delta":', b',"logprobs":[]')

    def whole(self, text: str, status: str) -> dict[str, Any]:
        """The item with its text."""
        return self._message(status, [_part(text)])

    def opening(self) -> Iterable[Event]:
        """What announces the deltas."""
        yield "response.output_item.added", {"output_index": 0, "item": self._message("in_progress", [])}
        yield "response.content_part.added", {**self._place, "part": _part("")}

    def closing(self, text: str, status: str) -> Iterable[Event]:
        """What follows the deltas; each repeats the whole text, as at OpenAI."""
        yield "response.output_text.done", {**self._place, "text": text, "logprobs": []}
        yield "response.content_part.done", {**self._place, "part": _part(text)}
        yield "response.output_item.done", {"output_index": 0, "item": self.whole(text, status)}

    def _message(self, status: str, content: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "type": "message", "status": status, "content": content, "role": "assistant"}


class FunctionCallItem:
    """A call of a function."""

    delta_type = "response.function_call_arguments.delta"

    def __init__(self, name: str) -> None:
        self.id = _new_id("fc")
        self._name, self._call_id = name, _new_id("call")
        self._place = {"item_id": self.id, "output_index": 0}
        self.delta_fields = (_inside(self._place) + b',"delta":', b"")

    def whole(self, text: str, status: str) -> dict[str, Any]:
        """The item with its arguments."""
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "arguments": text,
            "call_id": self._call_id,
            "name": self._name,
        }

    def opening(self) -> Iterable[Event]:
        """What announces the deltas."""
        yield "response.output_item.added", {"output_index": 0, "item": self.whole("", "in_progress")}

    def closing(self, text: str, status: str) -> Iterable[Event]:
        """What follows the deltas; each repeats the arguments."""
        yield "response.function_call_arguments.done", {**self._place, "arguments": text}
        yield "response.output_item.done", {"output_index": 0, "item": self.whole(text, status)}


@dataclass
class Reply:
    """One response to one request: ids and time are its own, the answer is not."""

    request: ResponsesRequest
    answer: Answer
    id: str = field(default_factory=lambda: _new_id("resp"))
    created_at: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        name = self.answer.function
        self.item: Item = FunctionCallItem(name) if name is not None else MessageItem()
        self._status = "incomplete" if self.answer.cut else "completed"

    def body(self) -> dict[str, Any]:
        """The Response object when all is said: the body of a blocking call, and in the last event of a stream."""
        reason = {"reason": "max_output_tokens"} if self.answer.cut else None
        return {
            **self._pending(),
            "status": self._status,
            "completed_at": None if self.answer.cut else int(time.time()),
            "incomplete_details": reason,
            "output": [self.item.whole(self.answer.text, self._status)],
            "usage": _usage(input_tokens(self.request), len(self.answer.tokens)),
        }

    def frames(self, schedule: Iterable[tuple[int, int]]) -> Iterator[Frame]:
        """The stream, frame by frame, each with its time: `schedule` gives (tokens, ns) of every delta event."""
        number = count()
        for type_ in ("response.created", "response.in_progress"):
            yield 0, type_, _frame(type_, next(number), {"response": self._pending()})
        due = place = 0
        for size, due in schedule:
            if not place:
                for type_, fields in self.item.opening():
                    yield due, type_, _frame(type_, next(number), fields)
            delta = "".join(self.answer.tokens[place : place + size])
            yield due, self.item.delta_type, delta_frame(self.item, next(number), delta)
            place += size
        for type_, fields in (*self.item.closing(self.answer.text, self._status), self._terminal()):
            yield due, type_, _frame(type_, next(number), fields)

    def _terminal(self) -> Event:
        return f"response.{self._status}", {"response": self.body()}

    def _pending(self) -> dict[str, Any]:
        """The Response object before there is any output."""
        asked = self.request
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": "in_progress",
            "background": False,
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "max_tool_calls": asked.max_tool_calls,
            "model": asked.model,
            "output": [],
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": None,
            "prompt_cache_key": asked.prompt_cache_key,
            "reasoning": asked.reasoning or {"effort": None, "summary": None},
            "safety_identifier": asked.safety_identifier,
            "service_tier": "default",
            "temperature": 1.0 if asked.temperature is None else asked.temperature,
            "text": asked.text.model_dump(by_alias=True, exclude_none=True),
            "tool_choice": asked.tool_choice,
            "tools": [tool.model_dump() for tool in asked.tools],
            "top_logprobs": 0,
            "top_p": 1.0 if asked.top_p is None else asked.top_p,
            "truncation": asked.truncation or "disabled",
            "usage": None,
            "user": asked.user,
            "metadata": asked.metadata or {},
        }


def delta_frame(item: Item, number: int, delta: str) -> bytes:
    """The frame of one delta: built from ready-made bytes, because there is one for every token."""
    type_ = item.delta_type.encode()
    before, after = item.delta_fields
    return b'event: %b\ndata: {"type":"%b","sequence_number":%d,%b%b%b}\n\n' % (
        type_,
        type_,
        number,
        before,
        orjson.dumps(delta),
        after,
    )


def _frame(type_: str, number: int, fields: dict[str, Any]) -> bytes:
    data = orjson.dumps({"type": type_, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), data)


def _inside(fields: dict[str, Any]) -> bytes:
    """A JSON object's text without its braces."""
    return orjson.dumps(fields)[1:-1]


def _part(text: str) -> dict[str, Any]:
    return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}


def _usage(given: int, made: int) -> dict[str, Any]:
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": made,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": given + made,
    }


def _new_id(prefix: str) -> str:
    return f"{prefix}_{secrets.token_hex(24)}"
