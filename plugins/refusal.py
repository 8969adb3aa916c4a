"""A refusal: the model says that it will not answer, by events of their own that a text-only reader never shows.

The prompts are harmless. The simulator refuses them; a real model answers, and the answer counts as well.

Useful: the first piece of the refusal, or of the answer, with a character that is not a space.
Blocking: whether it was refused, and the text of the refusal or of the answer. Both deliveries give the same, and it is
valid only if the text is not blank.
Expect: a small gain, because refusals are short.

Records: `refused`, 1 for a refusal, else 0.

The traps: `response.output_text.delta` never comes, and `output_text` is empty, so an app that knows only text shows
nothing at all; and the response is `completed`, as if all were well.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import Response

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "Suggest a name for a kitten.",
    "Recommend a book for a rainy afternoon.",
)
SIM = ({"items": [{"type": "refusal", "text": "I am sorry, but I cannot help with that request."}]},)


class Refusal(str):
    """A piece of a refusal."""

    __slots__ = ()


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each delta of a refusal or of an answer."""
    refused = False
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.refusal.delta" and event.delta:
                refused = True
                yield Refusal(event.delta)
            elif event.type == "response.output_text.delta" and event.delta:
                yield event.delta
    ask.record("refused", refused, "0 or 1")


async def blocking(client: AsyncOpenAI, ask: Ask) -> dict[str, Any]:
    """Return whether it was refused, and the text."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    result = assemble(pieces_of(response.output))
    ask.record("refused", result["refused"], "0 or 1")
    return result


def pieces_of(items: Any) -> list[str]:
    """Return the texts and refusals in an answer's output."""
    parts = [part for item in items or () if item and item.type == "message" for part in item.content or ()]
    return [Refusal(part.refusal) if part.type == "refusal" else part.text or "" for part in parts]


def assemble(pieces: Sequence[str]) -> dict[str, Any]:
    """Return whether there is a refusal among the pieces, and all of their text."""
    return {"refused": any(isinstance(piece, Refusal) for piece in pieces), "text": "".join(pieces)}


def check(result: dict[str, Any]) -> None:
    """Raise `ValueError` where there is nothing to read."""
    if not result["text"].strip():
        raise ValueError("there is neither an answer nor a refusal")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `refusal`."""
    yield Scenario(
        "refusal",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("refusal",),
        assemble=assemble,
        check=check,
        sim=SIM,
        memory=False,
    )
