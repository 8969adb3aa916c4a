"""What the doctor asks: the same few questions for every endpoint, of several lengths and modes."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from bench.core.ask import nonce_text
from bench.core.scenario import Api
from bench.doctor.diagnosis import Mode

APIS: tuple[Api, ...] = ("responses", "chat")
MODES: tuple[Mode, ...] = ("text", "tools", "structured")
PATHS: Mapping[Api, str] = {"responses": "/responses", "chat": "/chat/completions"}
ROUNDS = 2
"""How often each request is made: once would leave it to chance."""
LONGEST = 256
"""Output tokens of the longest answer: some 60 KB of Responses, 50 KB of Chat, so several of the usual buffers."""
FEWEST = 16
"""The least cap that OpenAI takes."""
PROMPT = "Count upwards from one, in words with commas between them. Do not stop, and say nothing else."
TOOL = "save_text"
SCHEMA = {
    "type": "object",
    "properties": {"text": {"type": "string", "description": "The whole text"}},
    "required": ["text"],
    "additionalProperties": False,
}
"""The schema of the tool's arguments and of the structured output: one long text."""
_WHERE: Mapping[Mode, str] = {
    "text": "",
    "tools": f" Give what you count to the function {TOOL}.",
    "structured": " Put what you count into the field text.",
}


@dataclass(frozen=True)
class Question:
    """One streamed request, the same for each hop but for the nonce in front of its prompt."""

    api: Api
    mode: Mode
    tokens: int
    """The cap on its answer."""
    round: int


def make_questions(apis: Sequence[Api], modes: Sequence[Mode], longest: int = LONGEST) -> list[Question]:
    """List the questions to one hop, round by round: a text in three lengths, the other modes at half the longest."""
    lengths = sorted({max(FEWEST, longest // part) for part in (16, 4, 1)})
    of_mode = {mode: lengths if mode == "text" else [max(FEWEST, longest // 2)] for mode in modes}
    return [
        Question(api, mode, tokens, number)
        for number in range(ROUNDS)
        for api in apis
        for mode in modes
        for tokens in of_mode[mode]
    ]


def in_turns(questions: Sequence[Question], hops: int, seed: int) -> Iterator[tuple[int, Question]]:
    """Yield (hop, question): each question to every hop in random order, in turns, so that drift hits all."""
    rng = random.Random(seed)  # noqa: S311  (an order, no secret)
    for question in questions:
        for hop in rng.sample(range(hops), hops):
            yield hop, question


def new_nonce() -> str:
    """Return a random text to put before a prompt: no cache has its answer, and the simulator's log finds it."""
    return nonce_text(random.getrandbits(64))


@dataclass(frozen=True, kw_only=True)
class Manner:
    """How an endpoint wants to be asked, as preflight found out."""

    model: str
    temperature: float | None = 0.0
    length: bool = True
    """True where the endpoint takes a cap on the length."""
    extra: Mapping[str, Any] | None = None
    simulated: bool = False
    """True where the endpoint leads to the simulator, which is told the length in its control field too."""
    usage: bool = True
    """True where Chat takes `stream_options`."""


def body_of(question: Question, manner: Manner, nonce: str) -> dict[str, Any]:
    """Return the body of a request, with the model and parameters that this endpoint takes."""
    responses = question.api == "responses"
    messages = [{"role": "user", "content": f"{nonce} {PROMPT}{_WHERE[question.mode]}"}]
    body: dict[str, Any] = {"model": manner.model, "input" if responses else "messages": messages}
    body |= (_RESPONSES_MODES if responses else _CHAT_MODES)[question.mode]
    body["stream"] = True
    if manner.temperature is not None:
        body["temperature"] = manner.temperature
    if manner.length:
        body["max_output_tokens" if responses else "max_completion_tokens"] = question.tokens
    if not responses and manner.usage:
        body["stream_options"] = {"include_usage": True}
    if manner.simulated:
        body["metadata"] = {"bench": json.dumps({"tokens": question.tokens})}
    return {**body, **(manner.extra or {})}


_FUNCTION = {"name": TOOL, "description": "Saves a text.", "parameters": SCHEMA}
_FORMAT = {"name": "counted", "schema": SCHEMA, "strict": True}
_RESPONSES_MODES: Mapping[Mode, Mapping[str, Any]] = {
    "text": {},
    "tools": {
        "tools": [{"type": "function", **_FUNCTION, "strict": True}],
        "tool_choice": {"type": "function", "name": TOOL},
    },
    "structured": {"text": {"format": {"type": "json_schema", **_FORMAT}}},
}
_CHAT_MODES: Mapping[Mode, Mapping[str, Any]] = {
    "text": {},
    "tools": {
        "tools": [{"type": "function", "function": _FUNCTION}],
        "tool_choice": {"type": "function", "function": {"name": TOOL}},
    },
    "structured": {"response_format": {"type": "json_schema", "json_schema": _FORMAT}},
}
