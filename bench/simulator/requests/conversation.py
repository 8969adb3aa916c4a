"""What the conversation of a request is made of, whichever API it came by."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Annotated, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Tag

from bench.simulator.errors import not_supported


class StrictModel(BaseModel):
    """A part of a request: no type is converted."""

    model_config = ConfigDict(strict=True, frozen=True)


class TextPart(StrictModel):
    """A piece of text in a message or in what a function gave."""

    type: Literal["input_text", "output_text", "refusal"]
    text: str


_PART_TYPES = {"input_text", "output_text", "refusal"}


def _as_part(part: object) -> object:
    kind = part.get("type") if isinstance(part, dict) else None
    if isinstance(kind, str) and kind not in _PART_TYPES:
        raise not_supported(f"content of type {kind!r}", "input")
    if isinstance(part, dict) and kind == "refusal" and "refusal" in part:
        return {"type": kind, "text": part["refusal"]}
    return part


def _as_parts(content: object) -> object:
    """Make a string one part, and a refusal that comes back in an assistant message its text."""
    if isinstance(content, str):
        return [{"type": "input_text", "text": content}]
    return [_as_part(part) for part in content] if isinstance(content, list) else content


_Parts = Annotated[list[TextPart], BeforeValidator(_as_parts)]


def _join_parts(parts: Sequence[TextPart]) -> str:
    return "".join(part.text for part in parts)


class InputMessage(StrictModel):
    """One message of the input."""

    role: Literal["user", "assistant", "system", "developer"]
    content: _Parts

    @property
    def text(self) -> str:
        """All text of the message."""
        return _join_parts(self.content)

    @property
    def by_model(self) -> bool:
        """True for a message that is part of an answer."""
        return self.role == "assistant"


class FunctionCall(StrictModel):
    """A call that an earlier answer made."""

    by_model: ClassVar[bool] = True

    call_id: str
    name: str
    arguments: str

    @property
    def text(self) -> str:
        """The text that counts as input."""
        return self.name + self.arguments


class FunctionCallOutput(StrictModel):
    """What the caller says that a function gave."""

    by_model: ClassVar[bool] = False

    call_id: str
    output: _Parts

    @property
    def text(self) -> str:
        """The result of the function."""
        return _join_parts(self.output)


class Reasoning(StrictModel):
    """Reasoning of an earlier answer: accepted, and passed over."""

    by_model: ClassVar[bool] = True
    text: ClassVar[str] = ""


TYPES = ("message", "function_call", "function_call_output", "reasoning")
"""The types of input items; one without a type is a message."""


def _type_of(item: object) -> str | None:
    if isinstance(item, BaseModel):
        names = {InputMessage: "message", FunctionCall: "function_call", FunctionCallOutput: "function_call_output"}
        return names.get(type(item), "reasoning")
    kind = item.get("type", "message") if isinstance(item, dict) else "message"
    if kind not in TYPES:
        raise not_supported(f"input items of type {kind!r}", "input")
    return str(kind)


InputItem = Annotated[
    Annotated[InputMessage, Tag("message")]
    | Annotated[FunctionCall, Tag("function_call")]
    | Annotated[FunctionCallOutput, Tag("function_call_output")]
    | Annotated[Reasoning, Tag("reasoning")],
    Discriminator(_type_of),
]
"""One item of a conversation."""


def turn_of(items: Sequence[InputItem]) -> int:
    """Return the number of the answer that is asked for, from 0: how many answers of the model are already there.

    Messages of the assistant, calls and reasoning that follow on each other are one answer.
    """
    return sum(by_model for by_model, _ in groupby(items, lambda item: item.by_model))


def waits_for_text(items: Sequence[InputItem]) -> bool:
    """Return True if a function's result comes last, so that the model would now talk."""
    said = [item for item in items if not isinstance(item, Reasoning)]
    return bool(said) and isinstance(said[-1], FunctionCallOutput)


def without_ids(item: InputItem) -> list[str]:
    """Return what was said, without what differs from run to run."""
    match item:
        case InputMessage():
            return [item.role, item.text]
        case FunctionCall():
            return ["call", item.name, item.arguments]
        case FunctionCallOutput():
            return ["result", item.text]
        case _:
            return []
