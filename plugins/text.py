"""Plain text, shown as it arrives.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text. It is valid only if it is not blank: a refusal or reasoning alone is no text.
Expect: the text can be read while it is written, so the gain grows with the length of the answer; the whole takes as
long as blocking, because the model writes no faster.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import Response

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "Explain to a new colleague what a streaming API is and when to use one.",
    "Describe a walk through a harbour town early in the morning.",
    "Summarise how the water cycle works, for a curious twelve-year-old.",
)


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, the moment it comes; where a server sends none, the text as soon as it stands anywhere."""
    source = None
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta" and event.delta:
                source = event.type
                yield event.delta
            elif source in {None, event.type} and (text := whole_text(event)):
                source = event.type
                yield text


def whole_text(event: Any) -> str:
    """Return the text in an event that repeats what deltas said, or would have said."""
    if event.type == "response.output_text.done":
        return event.text or ""
    if event.type == "response.output_item.done":
        return text_of([event.item])
    if event.type in {"response.completed", "response.incomplete"} and event.response:
        return text_of(event.response.output)
    return ""


def text_of(items: Any) -> str:
    """Return all text of an answer's output: the SDK's `output_text`, but empty where a server sent null."""
    messages = [item for item in items or () if item and item.type == "message"]
    parts = [part for message in messages for part in message.content or ()]
    return "".join(part.text or "" for part in parts if part.type == "output_text")


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole text."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return text_of(response.output)


def check(text: str) -> None:
    """Raise `ValueError` where there is nothing to read."""
    if not text.strip():
        raise ValueError("the answer has no text")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `text`."""
    yield Scenario("text", streamed, blocking, prompts=PROMPTS, tags=("core",), check=check)
