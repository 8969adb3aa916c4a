"""What the simulator answers: the same for the same question, whatever stands in front of it as a nonce."""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

import orjson

from bench.asks import NONCE_PATTERN
from bench.simulator.errors import ApiError
from bench.simulator.requests import FunctionTool, ResponsesRequest
from bench.simulator.samples import natural_json, padded_json
from bench.simulator.schemas import SchemaError
from bench.simulator.words import text_tokens

_CHARS_PER_TOKEN = 4
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
class Answer:
    """One output item, token by token."""

    tokens: Sequence[str]
    function: str | None = None
    """Name of the function called with these tokens as arguments; None: a text."""
    cut: bool = False
    """Ended by `max_output_tokens`."""

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.tokens)


def answer_to(request: ResponsesRequest, *, seed: int, tokens: int | None, default_tokens: int) -> Answer:
    """The answer to a request: `tokens` long if given, else of its natural length, at most `max_output_tokens`.

    The natural length of a text is `default_tokens`, of structured output the same or what the schema needs at least,
    of a function call what its arguments take. Raises `ApiError` for a schema that cannot be answered.
    """
    rng = random_source("answer", request, seed)
    if request.tools and request.tool_choice != "none":
        answer = _call(request, tokens, rng)
    elif request.text.format.type == "text":
        answer = Answer(tokens=text_tokens(tokens or default_tokens, rng))
    else:
        answer = _structured(request, tokens or default_tokens, rng)
    limit = request.max_output_tokens or math.inf
    return answer if len(answer.tokens) <= limit else replace(answer, tokens=answer.tokens[: int(limit)], cut=True)


def random_source(use: str, request: ResponsesRequest, seed: int) -> random.Random:
    """A random source that depends on the question, the model and the seed, and not on a nonce or the delivery."""
    question = [
        use,
        request.model,
        seed,
        request.instructions,
        [[message.role, NONCE_PATTERN.sub("", message.text)] for message in request.input],
        [tool.model_dump() for tool in request.tools],
        request.tool_choice,
        request.text.format.model_dump(),
    ]
    digest = hashlib.sha256(orjson.dumps(question, option=orjson.OPT_SORT_KEYS)).digest()
    return random.Random(digest)  # noqa: S311  (made-up words, no secrets)


def input_tokens(request: ResponsesRequest) -> int:
    """A quarter of the characters of instructions and messages, rounded up; nonces count."""
    chars = len(request.instructions or "") + sum(len(message.text) for message in request.input)
    return math.ceil(chars / _CHARS_PER_TOKEN)


def _call(request: ResponsesRequest, tokens: int | None, rng: random.Random) -> Answer:
    forced = request.function
    tool = rng.choice([tool for tool in request.tools if forced in {None, tool.name}])
    return Answer(tokens=_slices(_arguments(tool, tokens, rng)), function=tool.name)


def _arguments(tool: FunctionTool, tokens: int | None, rng: random.Random) -> str:
    schema = tool.parameters or {"type": "object"}
    try:
        return padded_json(schema, tokens * _CHARS_PER_TOKEN, rng) if tokens else natural_json(schema, rng)
    except SchemaError as error:
        raise _bad_schema(f"function '{tool.name}'", error, "tools") from error


def _structured(request: ResponsesRequest, tokens: int, rng: random.Random) -> Answer:
    schema = request.text.format.json_schema or _ANY_OBJECT
    try:
        return Answer(tokens=_slices(padded_json(schema, tokens * _CHARS_PER_TOKEN, rng)))
    except SchemaError as error:
        raise _bad_schema(f"response_format '{request.text.format.name}'", error, "text.format.schema") from error


def _bad_schema(where: str, error: SchemaError, param: str) -> ApiError:
    return ApiError(400, f"Invalid schema for {where}: {error}.", param=param, code="invalid_json_schema")


def _slices(text: str) -> Sequence[str]:
    """JSON has no words: a token is the next four characters."""
    return [text[start : start + _CHARS_PER_TOKEN] for start in range(0, len(text), _CHARS_PER_TOKEN)]
