"""Read text, function calls and fields out of an answer, whatever the server's way of sending them: for plugins.

    from bench.core.streams import text_deltas

    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for text in text_deltas(stream):
            yield text

Servers differ: some send no deltas, repeat them, start over, or send null where a text should be. Each such quirk is
handled here once. `…_deltas` take the stream of either client, synchronous or not; a `…Reader` is for a loop of your
own that looks at other events too. What begins with `chat` is for Chat Completions, all else for the Responses API.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from jiter import from_json

from bench.core.scenario import Ask

_ENDS = {"response.completed", "response.incomplete"}
_ITEMS = {"response.output_item.added", "response.output_item.done"}
_PLACEHOLDERS = {"", "{}"}
"""What an added item has for arguments that are still to come."""


class Deltas:
    """The texts that `feed` finds in the events of a stream, for `async for` or `for`, whichever the stream takes.

    No generators: one that is left early would be closed some time later, by the garbage collector.
    """

    def __init__(self, stream: Any, feed: Callable[[Any], str]) -> None:
        self._stream, self._feed = stream, feed

    def __aiter__(self) -> Deltas:
        return self

    async def __anext__(self) -> str:
        while True:
            if text := self._feed(await anext(self._stream)):
                return text

    def __iter__(self) -> Deltas:
        return self

    def __next__(self) -> str:
        while True:
            if text := self._feed(next(self._stream)):
                return text


def text_deltas(stream: Any) -> Deltas:
    """Iterate over the text of an answer, piece by piece."""
    return Deltas(stream, TextReader().feed)


def argument_deltas(stream: Any) -> Deltas:
    """Iterate over the arguments of an answer's first function call. Join the pieces with `join_pieces`."""
    return Deltas(stream, CallReader().feed)


def chat_text_deltas(stream: Any) -> Deltas:
    """Iterate over the text of the first choice, piece by piece."""
    return Deltas(stream, chat_text_in)


def chat_argument_deltas(stream: Any) -> Deltas:
    """Iterate over the arguments of the first tool call of the first choice."""
    return Deltas(stream, ChatCallReader().feed)


class TextReader:
    """Reads the text of an answer from its events: deltas, or what repeats them where a server sends none."""

    def __init__(self) -> None:
        self._source: str | None = None
        """The type of event that the text comes from."""

    def feed(self, event: Any) -> str:
        """Return the text that an event adds, empty for most events."""
        if event.type == "response.output_text.delta":
            text = _string(event.delta)
        else:
            text = _repeated_text(event) if self._source in {None, event.type} else ""
        if text:
            self._source = event.type
        return text


def _repeated_text(event: Any) -> str:
    if event.type == "response.output_text.done":
        return _string(event.text)
    if event.type == "response.output_item.done":
        return text_of_items([event.item])
    return text_of(event.response) if event.type in _ENDS else ""


def text_of(response: Any) -> str:
    """Return all text of a whole answer: the SDK's `output_text`, but empty where a server sent null."""
    return text_of_items(response.output if response else ())


def text_of_items(items: Any) -> str:
    """Return all text of an answer's output items."""
    messages = [item for item in items or () if item and item.type == "message"]
    parts = [part for message in messages for part in message.content or ()]
    return "".join(_string(part.text) for part in parts if part.type == "output_text")


def whole_answer(response: Any) -> Any:
    """Return a response that a conversation can go on from: complete, or cut only by the asked length.

    Raises `RuntimeError` for any other, and for None.
    """
    reason = response and response.incomplete_details and response.incomplete_details.reason
    if response is None or (response.status not in {None, "completed"} and reason != "max_output_tokens"):
        raise RuntimeError("there is no whole answer, so the conversation cannot go on")
    return response


async def blocking_text(client: Any, ask: Ask) -> str:
    """Return the whole text of one blocking call: the `blocking` of a scenario whose result is a text."""
    return text_of(await client.responses.create(**ask.request, stream=False))


def check_text(text: str) -> None:
    """Raise `ValueError` for a text with nothing to read: the `check` of a scenario whose result is a text."""
    if not text.strip():
        raise ValueError("the answer has no text")


class Replacement(str):
    """A piece that takes the place of all pieces before it."""

    __slots__ = ()


def join_pieces(pieces: Sequence[str]) -> str:
    """Join the pieces from the last `Replacement` on, or all of them."""
    start = max((number for number, piece in enumerate(pieces) if isinstance(piece, Replacement)), default=0)
    return "".join(pieces[start:])


class CallReader:
    """Reads the arguments of an answer's first function call while they are being written.

    A call is known by its `output_index`: item ids may differ from event to event. But some servers give every call the
    same index, so a further added item with another id ends this one, if it has any text.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._index: int | None = None
        self._id: str | None = None
        self._is_draft = False
        """The text is from the added item: deltas may continue it, or start over."""
        self._has_ended = False

    def feed(self, event: Any) -> str:
        """Return the text that an event adds; a `Replacement` where it contradicts what came before."""
        if event.type in _ENDS and not self._parts:
            return self._end(arguments_of(event.response))
        if event.type == "response.function_call_arguments.delta" and self._is_first(event.output_index):
            return self._continue(_string(event.delta))
        if event.type == "response.function_call_arguments.done" and self._is_first(event.output_index):
            return self._end(_string(event.arguments))
        if event.type in _ITEMS and _is_call(event.item) and self._is_first(event.output_index):
            text = _string(event.item.arguments)
            return self._begin(event.item, text) if event.type.endswith("added") else self._end(text)
        return ""

    def _is_first(self, index: int) -> bool:
        if self._index is None:
            self._index = index
        return index == self._index and not self._has_ended

    def _begin(self, item: Any, text: str) -> str:
        name = item.id or item.call_id
        self._has_ended = bool(self._parts) and self._id not in {None, name}
        self._id = name
        if self._parts or text in _PLACEHOLDERS:
            return ""
        self._is_draft = True
        return self._add(text)

    def _continue(self, text: str) -> str:
        starts_over = self._is_draft and text.lstrip().startswith("{")
        self._is_draft = self._is_draft and not text.strip()
        return self._replace(text) if starts_over else self._add(text)

    def _end(self, arguments: str) -> str:
        """Return the part of the whole arguments that did not come yet; all of them if other text came before."""
        before, self._has_ended = "".join(self._parts), bool(arguments)
        if arguments.startswith(before):
            return self._add(arguments[len(before) :])
        return self._replace(arguments) if arguments else ""

    def _add(self, text: str) -> str:
        if text:
            self._parts.append(text)
        return text

    def _replace(self, text: str) -> Replacement:
        self._parts = [text]
        return Replacement(text)


def arguments_of(response: Any) -> str:
    """Return the arguments of the first function call of a whole answer, empty if there is none."""
    calls = filter(_is_call, (response.output if response else None) or ())
    return next((_string(call.arguments) for call in calls), "")


def _is_call(item: Any) -> bool:
    return bool(item) and item.type == "function_call"


def chat_text_in(chunk: Any) -> str:
    """Return the text that a chunk adds, empty for one without choices."""
    return _string(_first_choice(chunk, "delta", "content"))


def chat_text_of(completion: Any) -> str:
    """Return the text of a whole completion."""
    return _string(_first_choice(completion, "message", "content"))


def chat_arguments_of(completion: Any) -> str:
    """Return the arguments of the first tool call of a whole completion, empty if there is none."""
    return next((_chat_arguments(call) for call in _chat_calls(completion, "message")), "")


class ChatCallReader:
    """Reads the arguments of the first tool call while they are being written.

    At OpenAI only the first chunk of a call has its id, the others nothing but its `index`. Other servers send a fresh
    id with each chunk, or give all calls the index 0, so another id at the same index is another call only once the
    first one is complete.
    """

    def __init__(self) -> None:
        self._parts: list[str] = []
        self._index: int | None = None
        self._id: str | None = None
        self._has_ended = False

    def feed(self, chunk: Any) -> str:
        """Return the text that a chunk adds to these arguments, empty if it is of another call."""
        return "".join(map(self._feed_call, _chat_calls(chunk, "delta")))

    def _feed_call(self, call: Any) -> str:
        if not self._parts:
            self._index, self._id = call.index, call.id
        elif call.index != self._index or self._has_ended:
            return ""
        elif call.id and call.id != self._id and _is_json("".join(self._parts)):
            self._has_ended = True
            return ""
        text = _chat_arguments(call)
        if text:
            self._parts.append(text)
        return text


def _first_choice(answer: Any, part: str, name: str) -> Any:
    choice = answer.choices[0] if answer.choices else None
    return getattr(getattr(choice, part, None), name, None)


def _chat_calls(answer: Any, part: str) -> list[Any]:
    calls = _first_choice(answer, part, "tool_calls")
    return [call for call in calls if call] if isinstance(calls, list) else []


def _chat_arguments(call: Any) -> str:
    return _string(getattr(getattr(call, "function", None), "arguments", None))


def _is_json(text: str) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


def _string(value: Any) -> str:
    """Return a text, or an empty one where a server sent null or something else."""
    return value if isinstance(value, str) else ""


class FieldReader:
    """Reads an object whose JSON text is still being written, and whose values are texts and lists of texts.

    The text so far is read again, from its start, whenever a delta holds a quote: only that can complete a text.
    """

    def __init__(self) -> None:
        self.text = bytearray()
        self.fields: dict[str, Any] = {}
        """The fields and list items that are complete so far."""

    def feed(self, delta: str) -> bool:
        """Take in more text. Return True if this text completed a field or a list item, which is then in `fields`."""
        self.text += delta.encode("utf-8", "surrogatepass")
        if '"' not in delta:
            return False
        try:
            fields = from_json(bytes(self.text), partial_mode=True)
        except ValueError:
            return False
        if not isinstance(fields, dict) or count_complete(fields) <= count_complete(self.fields):
            return False
        self.fields = fields
        return True


def count_complete(fields: dict[str, Any]) -> int:
    """Count fields and list items. A list counts by its items: it is there from its opening bracket on."""
    return sum(len(value) if isinstance(value, list) else 1 for value in fields.values())


def last_piece(pieces: Sequence[Any]) -> Any:
    """Return the last piece, which is the result of a stream of snapshots; an empty mapping where none came."""
    return pieces[-1] if pieces else {}
