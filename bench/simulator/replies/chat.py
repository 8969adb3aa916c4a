"""Chat Completions on the wire: the completion object, and the exact sequence of its chunks."""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from bench.core.script import ItemType
from bench.simulator.answers import SimulatedAnswer, input_tokens
from bench.simulator.delivery import Frame
from bench.simulator.errors import error_body
from bench.simulator.replies.output_items import new_id
from bench.simulator.requests.chat import ChatRequest
from bench.simulator.requests.responses import ResponsesRequest

_FIELDS: Mapping[ItemType, tuple[str, str]] = {
    "message": ("content", "content"),
    "refusal": ("refusal", "refusal"),
    "reasoning": ("reasoning", "reasoning_content"),
    "reasoning_summary": ("reasoning", "reasoning_content"),
}
"""For each type of item but a call: the kind of its chunks, and its field in a delta and in a message."""
_DELTAS = {"chat.content", "chat.refusal", "chat.reasoning", "chat.tool_args"}
_FINISH = {"incomplete:max_output_tokens": "length", "incomplete:content_filter": "content_filter"}
_DONE: tuple[str, bytes] = ("[DONE]", b"data: [DONE]\n\n")
_NO_AUDIO = {"audio_tokens": 0}


@dataclass
class ChatReply:
    """One completion for one request: ids and time are its own, the answer is not."""

    asked: ChatRequest
    question: ResponsesRequest
    """The same request, as all APIs share it."""
    answer: SimulatedAnswer
    id: str = field(default_factory=lambda: f"chatcmpl-{secrets.token_hex(15)}")
    created: int = field(default_factory=lambda: int(time.time()))

    def __post_init__(self) -> None:
        calls = [place for place, part in enumerate(self.answer.parts) if part.kind == "function_call"]
        self._calls = {place: (number, new_id("call")) for number, place in enumerate(calls)}
        """By place of the part in the answer: place among the calls, and id."""

    def body(self) -> dict[str, Any]:
        """Return the whole completion."""
        choice = {"index": 0, "message": self._message(), "logprobs": None, "finish_reason": self._finish_reason()}
        return {**self._head("chat.completion"), "choices": [choice], "usage": self._usage()}

    def frames(self, schedule: Iterable[tuple[int, int]]) -> Iterator[Frame]:
        """Yield the stream, chunk by chunk, each with its time: `schedule` gives (tokens, ns) of every delta.

        The role comes at once, alone. The type of a chunk, of which the wire says nothing, is `chat.` and its kind.
        """
        due, content = 0, None if self._text("content") is None else ""
        yield due, *self._chunk("lifecycle", {"role": "assistant", "content": content, "refusal": None})
        opened: set[int] = set()
        for due, place, text in self.answer.deltas(schedule):
            if place in self._calls and place not in opened:
                opened.add(place)
                call = {"index": self._calls[place][0], **self._whole_call(place, "")}
                yield due, *self._chunk("other", {"tool_calls": [call]})
            yield due, *self._delta(place, text)
        yield due, *self._chunk("terminal", {}, finish=self._finish_reason())
        if self._with_usage:
            yield due, *_frame("other", {**self._head(), "choices": [], "usage": self._usage()})
        yield due, *_DONE

    def is_delta(self, frame: Frame) -> bool:
        """Return True if this frame of the stream brings a piece of the answer."""
        return frame[1] in _DELTAS

    def failure(self, kind: str, number: int) -> tuple[str, bytes]:  # noqa: ARG002
        """Return the frame that ends a stream as `error`, `error_nested` or `failed`: this API has one for all."""
        return _frame("error", self.failed_body())

    def failed_body(self) -> dict[str, Any]:
        """Return the blocking counterpart, with HTTP status 200."""
        return error_body(500, "The simulator was asked to fail.", code="server_error")

    def _head(self, object_: str = "chat.completion.chunk") -> dict[str, Any]:
        return {
            "id": self.id,
            "object": object_,
            "created": self.created,
            "model": self.question.model,
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        }

    def _chunk(self, kind: str, delta: dict[str, Any], finish: str | None = None) -> tuple[str, bytes]:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish}
        usage = {"usage": None} if self._with_usage else {}
        return _frame(kind, {**self._head(), "choices": [choice], **usage})

    def _delta(self, place: int, text: str) -> tuple[str, bytes]:
        if place in self._calls:
            call = {"index": self._calls[place][0], "function": {"arguments": text}}
            return self._chunk("tool_args", {"tool_calls": [call]})
        kind, name = _FIELDS[self.answer.parts[place].kind]
        return self._chunk(kind, {name: text})

    def _whole_call(self, place: int, arguments: str) -> dict[str, Any]:
        function = {"name": self.answer.parts[place].name, "arguments": arguments}
        return {"id": self._calls[place][1], "type": "function", "function": function}

    def _message(self) -> dict[str, Any]:
        calls = [self._whole_call(place, self.answer.parts[place].text) for place in self._calls]
        reasoning = self._text("reasoning_content")
        return {
            "role": "assistant",
            "content": self._text("content"),
            "refusal": self._text("refusal"),
            **({"reasoning_content": reasoning} if reasoning is not None else {}),
            **({"tool_calls": calls} if calls else {}),
            "annotations": [],
        }

    def _text(self, name: str) -> str | None:
        """Return all text of the answer that goes into this field of the message; None if there is no such part."""
        texts = [part.text for part in self.answer.parts if part.kind in _FIELDS and _FIELDS[part.kind][1] == name]
        return "".join(texts) if texts else None

    def _finish_reason(self) -> str:
        return _FINISH.get(self.answer.end, "tool_calls" if self._calls else "stop")

    @property
    def _with_usage(self) -> bool:
        options = self.asked.stream_options
        return options is not None and bool(options.include_usage)

    def _usage(self) -> dict[str, Any]:
        given, made = input_tokens(self.question), self.answer.tokens
        predicted = {"accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}
        return {
            "prompt_tokens": given,
            "completion_tokens": made,
            "total_tokens": given + made,
            "prompt_tokens_details": {"cached_tokens": 0, **_NO_AUDIO},
            "completion_tokens_details": {"reasoning_tokens": self.answer.reasoning_tokens, **_NO_AUDIO, **predicted},
        }


def _frame(kind: str, value: dict[str, Any]) -> tuple[str, bytes]:
    """Type for the log, and the bytes: chunks of this API have no `event:` line."""
    return f"chat.{kind}", b"data: %b\n\n" % orjson.dumps(value)
