"""Output items of the Responses API: their objects, and the events around their deltas."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import orjson

from bench.core.script import ItemType
from bench.simulator.answers import AnswerPart

Event = tuple[str, dict[str, Any]]
"""Type and fields of an event, without its sequence number."""


class OutputItem:
    """One item: a message, unless a subclass says otherwise. `status` is the one that it ends with."""

    prefix: ClassVar[str] = "msg"
    event: ClassVar[str] = "response.output_text"
    """Stem of the types of the events `.delta` and `.done`."""
    part_event: ClassVar[str] = "response.content_part"
    """Stem of the events `.added` and `.done` around them."""
    place_name: ClassVar[str] = "content_index"
    logprobs: ClassVar[dict[str, Any]] = {"logprobs": []}

    def __init__(self, part: AnswerPart, index: int, status: str) -> None:
        self.id = new_id(self.prefix)
        self.text, self.status, self._index = part.text, status, index
        self.delta_type = f"{self.event}.delta"
        self.place = {"item_id": self.id, "output_index": index, self.place_name: 0}
        self.frame_start = f'{{"type":"{self.delta_type}","sequence_number":'.encode()
        self.frame_middle = b"," + _inside(self.place) + b',"delta":'
        self.frame_end = (b"," + _inside(self.logprobs) if self.logprobs else b"") + b"}"

    def finished_item(self) -> dict[str, Any]:
        """Return the finished item."""
        return self.item(self.status, [self.part(self.text)])

    def opening(self) -> Iterator[Event]:
        """Yield the events that announce the deltas."""
        yield "response.output_item.added", {"output_index": self._index, "item": self.item("in_progress", [])}
        yield f"{self.part_event}.added", {**self.place, "part": self.part("")}

    def closing(self) -> Iterator[Event]:
        """Yield the events that follow the deltas; each repeats the whole text, as at OpenAI."""
        yield f"{self.event}.done", {**self.place, **self.text_fields(self.text), **self.logprobs}
        yield f"{self.part_event}.done", {**self.place, "part": self.part(self.text)}
        yield "response.output_item.done", {"output_index": self._index, "item": self.finished_item()}

    def item(self, status: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
        """Return the item with these parts."""
        return {"id": self.id, "type": "message", "status": status, "content": parts, "role": "assistant"}

    def part(self, text: str) -> dict[str, Any]:
        """Return the item's part with this text."""
        return {"type": "output_text", "annotations": [], "logprobs": [], "text": text}

    def text_fields(self, text: str) -> dict[str, Any]:
        """Return the fields with the text in the event that ends it."""
        return {"text": text}


class _Refusal(OutputItem):
    event = "response.refusal"
    logprobs: ClassVar[dict[str, Any]] = {}

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "refusal", "refusal": text}

    def text_fields(self, text: str) -> dict[str, Any]:
        return {"refusal": text}


class _Reasoning(OutputItem):
    prefix = "rs"
    event = "response.reasoning_text"
    logprobs: ClassVar[dict[str, Any]] = {}

    def item(self, status: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "type": "reasoning", "status": status, "summary": [], "content": parts}

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "reasoning_text", "text": text}


class _ReasoningSummary(OutputItem):
    prefix = "rs"
    event = "response.reasoning_summary_text"
    part_event = "response.reasoning_summary_part"
    place_name = "summary_index"
    logprobs: ClassVar[dict[str, Any]] = {}

    def item(self, status: str, parts: list[dict[str, Any]]) -> dict[str, Any]:
        return {"id": self.id, "type": "reasoning", "status": status, "summary": parts}

    def part(self, text: str) -> dict[str, Any]:
        return {"type": "summary_text", "text": text}


class _FunctionCall(OutputItem):
    """A function call has no parts: there are no events of parts, and its deltas have no place among them."""

    prefix = "fc"
    event = "response.function_call_arguments"
    logprobs: ClassVar[dict[str, Any]] = {}

    def __init__(self, part: AnswerPart, index: int, status: str) -> None:
        super().__init__(part, index, status)
        self.name, self.call_id = part.name, new_id("call")
        del self.place[self.place_name]
        self.frame_middle = b"," + _inside(self.place) + b',"delta":'

    def finished_item(self) -> dict[str, Any]:
        return self._call(self.status, self.text)

    def opening(self) -> Iterator[Event]:
        yield "response.output_item.added", {"output_index": self._index, "item": self._call("in_progress", "")}

    def closing(self) -> Iterator[Event]:
        yield f"{self.event}.done", {**self.place, "arguments": self.text}
        yield "response.output_item.done", {"output_index": self._index, "item": self.finished_item()}

    def _call(self, status: str, arguments: str) -> dict[str, Any]:
        return {
            "id": self.id,
            "type": "function_call",
            "status": status,
            "arguments": arguments,
            "call_id": self.call_id,
            "name": self.name,
        }


_CLASSES: Mapping[ItemType, type[OutputItem]] = {
    "message": OutputItem,
    "refusal": _Refusal,
    "reasoning": _Reasoning,
    "reasoning_summary": _ReasoningSummary,
    "function_call": _FunctionCall,
}


def output_item(part: AnswerPart, index: int, status: str) -> OutputItem:
    """Return the item for a part of an answer, at its place in the output."""
    return _CLASSES[part.kind](part, index, status)


def new_id(prefix: str) -> str:
    """Return a fresh id of OpenAI's looks."""
    return f"{prefix}_{secrets.token_hex(24)}"


def _inside(fields: Mapping[str, Any]) -> bytes:
    """Return a JSON object's text without its braces."""
    return orjson.dumps(fields)[1:-1]
