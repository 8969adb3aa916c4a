"""What the simulator answers: the same for the same question, whatever stands in front of it as a nonce."""

from __future__ import annotations

import hashlib
import math
import random
import re
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import orjson

from bench.core.ask import NONCE_PATTERN
from bench.core.script import End, Item, ItemType, Turn
from bench.simulator.control import Control
from bench.simulator.errors import ApiError, invalid_schema
from bench.simulator.json_schema.samples import natural_json, padded_json
from bench.simulator.json_schema.strict_mode import SchemaError
from bench.simulator.requests.conversation import waits_for_text, without_ids
from bench.simulator.requests.responses import FunctionTool, ResponsesRequest
from bench.simulator.text import text_tokens

_CHARS_PER_TOKEN = 4
_WORD = re.compile(r"\s*\S{1,12}|\s+")
"""A token of a given text: a word with the space before it; long ones, as in languages without spaces, in pieces."""
_ANY_OBJECT = {
    "type": "object",
    "properties": {
        "title": {"type": "string", "maxLength": 40},
        "summary": {"type": "string"},
        "points": {"type": "array", "items": {"type": "string"}},
    },
}
"""What `json_object`, which has no schema, is answered with."""


@dataclass(frozen=True, kw_only=True)
class AnswerPart:
    """One output item, token by token."""

    kind: ItemType
    tokens: Sequence[str]
    """At least one; that of an empty text is empty."""
    name: str | None = None
    """The function that is called with these tokens as arguments."""

    @property
    def text(self) -> str:
        """The whole text of the item."""
        return "".join(self.tokens)


@dataclass(frozen=True, kw_only=True)
class SimulatedAnswer:
    """All output items, and how they end."""

    parts: Sequence[AnswerPart]
    end: End = "completed"
    interleaved: bool = False
    """The items' deltas take turns."""

    @property
    def tokens(self) -> int:
        """Length of all items in tokens, reasoning included."""
        return sum(len(part.tokens) for part in self.parts)

    @property
    def reasoning_tokens(self) -> int:
        """Length of the reasoning items in tokens."""
        return sum(len(part.tokens) for part in self.parts if part.kind in {"reasoning", "reasoning_summary"})

    @property
    def reason(self) -> str | None:
        """Why it is incomplete; None if it is not."""
        return self.end.partition(":")[2] or None

    def deltas(self, schedule: Iterable[tuple[int, int]]) -> Iterator[tuple[int, int, str]]:
        """(ns, index of the part, text) of every delta in the order they leave; `schedule` gives (tokens, ns).

        An event's tokens are of one part: where a part ends, the rest makes a second delta at the same time.
        """
        places = [0] * len(self.parts)
        open_ = deque(range(len(self.parts)))
        for size, due in schedule:
            left = size
            while left and open_:
                index = open_[0]
                tokens = self.parts[index].tokens
                piece = tokens[places[index] : places[index] + left]
                places[index] += len(piece)
                left -= len(piece)
                if places[index] == len(tokens):
                    open_.popleft()
                elif self.interleaved:
                    open_.rotate(-1)
                yield due, index, "".join(piece)


def answer_to(
    request: ResponsesRequest, *, control: Control, turn: Turn | None, seed: int, default_tokens: int
) -> SimulatedAnswer:
    """Return the answer to a request: what the script's turn says, else made up; at most `max_output_tokens`.

    `control.tokens` is the exact length of a made-up text; its natural length is `default_tokens`, that of structured
    output the same or what the schema needs at least, that of a function call what its arguments take. Raises
    `ApiError` for a schema that cannot be answered and for a script that does not fit the request.
    """
    maker = _Maker(request, control.tokens, default_tokens, random_source("answer", request, seed))
    turn = turn or Turn()
    parts = [maker.part_for(item) for item in turn.items] or maker.natural()
    answer = SimulatedAnswer(parts=parts, end=turn.end, interleaved=turn.interleaved)
    limit = request.max_output_tokens or math.inf
    return answer if answer.tokens <= limit else cut_short(answer, int(limit), "incomplete:max_output_tokens")


def cut_short(answer: SimulatedAnswer, tokens: int, end: End) -> SimulatedAnswer:
    """Cut an answer to its first tokens, at least one; `end` says why there are no more."""
    left, parts = tokens, []
    for part in answer.parts:
        if left:
            parts.append(replace(part, tokens=part.tokens[:left]))
            left -= len(parts[-1].tokens)
    return replace(answer, parts=parts, end=end)


def random_source(use: str, request: ResponsesRequest, seed: int) -> random.Random:
    """Return a random source that depends on question, model and seed, and not on ids, nonce or delivery."""
    question = [
        use,
        request.model,
        seed,
        request.instructions,
        [[NONCE_PATTERN.sub("", text, count=1) for text in said] for said in map(without_ids, request.input) if said],
        [tool.model_dump() for tool in request.tools],
        request.tool_choice,
        request.text.format.model_dump(),
    ]
    digest = hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).digest()
    return random.Random(digest)  # noqa: S311  (made-up words, no secrets)


def input_tokens(request: ResponsesRequest) -> int:
    """Count input tokens: a quarter of the characters of instructions and conversation, rounded up; nonces count."""
    chars = len(request.instructions or "") + sum(len(item.text) for item in request.input)
    return math.ceil(chars / _CHARS_PER_TOKEN)


@dataclass(frozen=True)
class _Maker:
    """Makes the parts of one answer."""

    request: ResponsesRequest
    tokens: int | None
    default_tokens: int
    rng: random.Random

    def natural(self) -> list[AnswerPart]:
        """Make what a model might say: a call where there are tools, else a text; before it the summary asked for."""
        request = self.request
        reasoning = (
            [self._text("reasoning_summary", self._side_length)] if (request.reasoning or {}).get("summary") else []
        )
        may_talk = request.tool_choice == "auto" and waits_for_text(request.input)
        if request.tools and request.tool_choice != "none" and not may_talk:
            forced = request.function
            tool = self.rng.choice([tool for tool in request.tools if forced in {None, tool.name}])
            return [*reasoning, self._call(tool, self.tokens)]
        return [*reasoning, self._message(None)]

    def part_for(self, item: Item) -> AnswerPart:
        """Make the part that an item of a script describes."""
        if item.type == "function_call":
            tool = _tool_named(self.request.tools, item.name)
            if item.arguments is None:
                return self._call(tool, item.tokens)
            given = item.arguments if isinstance(item.arguments, str) else orjson.dumps(item.arguments).decode()
            return AnswerPart(kind="function_call", tokens=_slices(given), name=tool.name)
        if item.text is not None:
            return AnswerPart(kind=item.type, tokens=_WORD.findall(item.text) or [""])
        if item.type == "message":
            return self._message(item.tokens)
        return self._text(item.type, item.tokens or self._side_length)

    @property
    def _side_length(self) -> int:
        """Length of reasoning, which stands beside the answer proper, in tokens."""
        return max(1, self.default_tokens // 2)

    def _text(self, kind: ItemType, tokens: int) -> AnswerPart:
        return AnswerPart(kind=kind, tokens=text_tokens(tokens, self.rng))

    def _message(self, tokens: int | None) -> AnswerPart:
        length = tokens or self.tokens or self.default_tokens
        return self._text("message", length) if self.request.text.format.type == "text" else self._make_json(length)

    def _make_json(self, tokens: int) -> AnswerPart:
        asked = self.request.text.format
        try:
            text = padded_json(asked.json_schema or _ANY_OBJECT, tokens * _CHARS_PER_TOKEN, self.rng)
        except SchemaError as error:
            raise invalid_schema(f"response_format '{asked.name}'", error, "text.format.schema") from error
        return AnswerPart(kind="message", tokens=_slices(text))

    def _call(self, tool: FunctionTool, tokens: int | None) -> AnswerPart:
        schema = tool.parameters or {"type": "object"}
        try:
            chars = tokens and tokens * _CHARS_PER_TOKEN
            text = padded_json(schema, chars, self.rng) if chars else natural_json(schema, self.rng)
        except SchemaError as error:
            raise invalid_schema(f"function '{tool.name}'", error, "tools") from error
        return AnswerPart(kind="function_call", tokens=_slices(text), name=tool.name)


def _tool_named(tools: Sequence[FunctionTool], name: str | None) -> FunctionTool:
    """Return the tool that a script calls; the first one if it names none."""
    found = next((tool for tool in tools if name in {None, tool.name}), None)
    if found is None:
        wanted = f"the function '{name}'" if name else "a function"
        raise ApiError(
            400, f"The script calls {wanted}, which is not in 'tools' of the request.", param="tools", code="bad_script"
        )
    return found


def _slices(text: str) -> Sequence[str]:
    """JSON has no words: a token is the next four characters."""
    return [text[start : start + _CHARS_PER_TOKEN] for start in range(0, len(text), _CHARS_PER_TOKEN)] or [""]
