"""The Responses API on the wire: the Response object, and the exact sequence of its stream events."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import orjson

from bench.simulator.answers import SimulatedAnswer, input_tokens
from bench.simulator.delivery import Frame
from bench.simulator.errors import error_body
from bench.simulator.replies.output_items import Event, OutputItem, new_id, output_item
from bench.simulator.requests.responses import ResponsesRequest

MESSAGE = "The simulator was asked to fail."
_FAILURE = {"code": "server_error", "message": MESSAGE}
_NS_PER_S = 1_000_000_000
_BEGINS = (("created", "in_progress"), ("in_progress", "in_progress"))
_BACKGROUND_BEGINS = (("created", "queued"), ("queued", "queued"), ("in_progress", "in_progress"))
"""The first events of a stream, and the status of the response in each."""


@dataclass
class Reply:
    """One response to one request: ids and time are its own, the answer is not."""

    request: ResponsesRequest
    answer: SimulatedAnswer
    id: str = field(default_factory=lambda: new_id("resp"))
    created_at: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        self.status = "incomplete" if self.answer.reason else "completed"
        last = len(self.answer.parts) - 1
        self.items = [
            output_item(part, index, self.status if index == last else "completed")
            for index, part in enumerate(self.answer.parts)
        ]

    def body(self, completed_at: int | None = None) -> dict[str, Any]:
        """Return the finished Response object: the body of a blocking call, and in the last event of a stream.

        It is completed now, unless it says otherwise: the last event of a background stream may be made later.
        """
        reason = self.answer.reason
        return {
            **self.pending(),
            "status": self.status,
            "completed_at": None if reason else completed_at or int(time.time()),
            "incomplete_details": {"reason": reason} if reason else None,
            "output": [item.finished_item() for item in self.items],
            "usage": _usage(input_tokens(self.request), self.answer),
        }

    def frames(self, schedule: Iterable[tuple[int, int]]) -> Iterator[Frame]:
        """Yield the stream, frame by frame, each with its time: `schedule` gives (tokens, ns) of every delta event."""
        number = count()
        for state, status in _BACKGROUND_BEGINS if self.request.background else _BEGINS:
            type_ = f"response.{state}"
            yield 0, type_, frame(type_, next(number), {"response": self.pending(status)})
        due = 0
        said: dict[int, int] = {}
        for due, index, text in self.answer.deltas(schedule):
            item = self.items[index]
            if index not in said:
                yield from _frames(due, item.opening(), number)
            yield due, item.delta_type, delta_frame(item, next(number), text)
            said[index] = said.get(index, 0) + len(text)
            if said[index] == len(item.text):
                yield from _frames(due, item.closing(), number)
        last = self.body(self.created_at + due // _NS_PER_S)
        yield from _frames(due, [(f"response.{self.status}", {"response": last})], number)

    def is_delta(self, sent: Frame) -> bool:
        """Return True if this frame brings a piece of the answer."""
        return sent[1].endswith(".delta")

    def failure(self, kind: str, number: int) -> tuple[str, bytes]:
        """Return the last frame of a stream that ends as `error`, `error_nested` or `failed`."""
        if kind == "failed":
            return "response.failed", frame("response.failed", number, {"response": self.failed_body()})
        if kind == "error":
            return "error", frame("error", number, {"code": _FAILURE["code"], "message": MESSAGE, "param": None})
        return "error", b"data: %b\n\n" % orjson.dumps(error_body(500, MESSAGE, code=_FAILURE["code"]))

    def failed_body(self) -> dict[str, Any]:
        """Return the Response object of an answer that failed."""
        return {**self.pending("failed"), "error": _FAILURE}

    def pending(self, status: str = "in_progress") -> dict[str, Any]:
        """Return the Response object before there is any output."""
        asked = self.request
        return {
            "id": self.id,
            "object": "response",
            "created_at": self.created_at,
            "status": status,
            "background": bool(asked.background),
            "completed_at": None,
            "error": None,
            "incomplete_details": None,
            "instructions": asked.instructions,
            "max_output_tokens": asked.max_output_tokens,
            "max_tool_calls": asked.max_tool_calls,
            "model": asked.model,
            "output": [],
            "parallel_tool_calls": asked.parallel_tool_calls is not False,
            "previous_response_id": asked.previous_response_id,
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
            "metadata": asked.echoed_metadata,
        }


def delta_frame(item: OutputItem, number: int, delta: str) -> bytes:
    """Return the frame of one delta: built from ready-made bytes, because there is one for every token."""
    text = orjson.dumps(delta)
    return b"event: %b\ndata: %b%d%b%b%b\n\n" % (
        item.delta_type.encode(),
        item.frame_start,
        number,
        item.frame_middle,
        text,
        item.frame_end,
    )


def frame(type_: str, number: int, fields: dict[str, Any]) -> bytes:
    """Return the frame of one event."""
    data = orjson.dumps({"type": type_, "sequence_number": number, **fields})
    return b"event: %b\ndata: %b\n\n" % (type_.encode(), data)


def _frames(due: int, events: Iterable[Event], number: Iterator[int]) -> Iterator[Frame]:
    for type_, fields in events:
        yield due, type_, frame(type_, next(number), fields)


def _usage(given: int, answer: SimulatedAnswer) -> dict[str, Any]:
    return {
        "input_tokens": given,
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens": answer.tokens,
        "output_tokens_details": {"reasoning_tokens": answer.reasoning_tokens},
        "total_tokens": given + answer.tokens,
    }
