"""Make a ready-made `Ask` from a scenario's prompt, the same in every measuring process."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from bench.core.scenario import Api, Ask, Prompt, Recorder
from bench.core.target import Target

if TYPE_CHECKING:
    from pydantic import BaseModel

SHARED_END = "\n---\n"
"""Between a shared prefix and the nonce behind it."""
NONCE_PATTERN = re.compile(rf"\[(?:(?<=^\[)|(?<={SHARED_END}\[))[0-9a-f]{{16}}\] ")
"""What the simulator takes out of a prompt before it derives the answer: at its front, or behind a shared prefix.

It begins with a literal, so that a search in a long text is fast.
"""
NOT_OF_THE_ROW = {"prompt", "messages", "shared_prefix", "output_tokens", "id", "sim"}
"""Keys of a prompt that mean something to bench; the others are the scenario's own, in `ask.row`."""


def nonce_text(bits: int) -> str:
    """Write 64 random bits as the text that goes in front of a prompt's own text: always 18 characters."""
    return f"[{bits & (2**64 - 1):016x}]"


@dataclass(frozen=True, kw_only=True)
class Options:
    """What the user asked of every request."""

    output_tokens: int | None = None
    temperature: float | None = None
    """None: the model does not take it."""
    control: Mapping[str, Any] = field(default_factory=dict)
    """For the simulator only: `profile` and what else its control field knows."""


def make_ask(
    prompt: Prompt,
    *,
    target: Target,
    model: str,
    nonce: str,
    seed: int,
    recorder: Recorder,
    options: Options,
    api: Api = "responses",
    params: BaseModel | None = None,
    sim: Sequence[Mapping[str, Any]] = (),
) -> Ask:
    """Make one input, ready to be sent. `sim`: what the simulator shall answer, unless the prompt says it itself."""
    row: dict[str, Any] = {"prompt": prompt} if isinstance(prompt, str) else dict(prompt)
    messages = row["messages"] if "messages" in row else [{"role": "user", "content": row["prompt"]}]
    messages = with_nonce(messages, nonce, part=_TEXT_PART[api], shared=row.get("shared_prefix", ""))
    tokens: int | None = row.get("output_tokens") or options.output_tokens
    extras = _extras(target, tokens, options, seed, row.get("sim", sim), length=_LENGTH[api])
    request = {"model": model, _INPUT[api]: messages, **extras}
    return Ask(
        request=request,
        prompt=text_of(messages[-1]),
        messages=messages,
        nonce=nonce,
        model=model,
        output_tokens=tokens,
        row={key: value for key, value in row.items() if key not in NOT_OF_THE_ROW},
        seed=seed,
        recorder=recorder,
        params=params,
    )


_INPUT: Mapping[Api, str] = {"responses": "input", "chat": "messages"}
_LENGTH: Mapping[Api, str] = {"responses": "max_output_tokens", "chat": "max_completion_tokens"}
_TEXT_PART: Mapping[Api, str] = {"responses": "input_text", "chat": "text"}


def with_nonce(
    messages: Sequence[Mapping[str, Any]], nonce: str, *, part: str = "input_text", shared: str = ""
) -> list[dict[str, Any]]:
    """Put the nonce in front of the first message: no prefix cache can know any of them.

    `part` is the API's type for a part of text, for content that comes in parts. `shared`: text that other prompts have
    in front too; the nonce stands behind it, so that a cache can know this much and no more.
    """
    front = f"{shared}{SHARED_END}{nonce}" if shared else nonce
    first, *rest = messages
    content = first["content"]
    text = isinstance(content, str)
    marked = f"{front} {content}" if text else [{"type": part, "text": f"{front} "}, *content]
    return [{**first, "content": marked}, *map(dict, rest)]


def text_of(message: Mapping[str, Any]) -> str:
    """Return the text of a message, even if its content is a list of parts."""
    content = message["content"]
    return content if isinstance(content, str) else "".join(str(part.get("text", "")) for part in content)


def _extras(
    target: Target,
    tokens: int | None,
    options: Options,
    seed: int,
    sim: Sequence[Mapping[str, Any]],
    *,
    length: str,
) -> dict[str, Any]:
    """Return length, temperature and body extras; for the simulator its control field instead of a length."""
    extras: dict[str, Any] = {} if options.temperature is None else {"temperature": options.temperature}
    if target.extra_body:
        extras["extra_body"] = dict(target.extra_body)
    if target.simulated:
        control = {"seed": seed, **options.control, **({"tokens": tokens} if tokens else {})}
        control |= {"answers": list(map(dict, sim))} if sim else {}
        extras["metadata"] = {"bench": json.dumps(control, separators=(",", ":"))}
    elif tokens:
        extras[length] = tokens
    return extras
