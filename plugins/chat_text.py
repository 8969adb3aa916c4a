"""Plain text over Chat Completions, shown as it arrives.

Useful: the first text that is not a space, because a user can start to read it.
Blocking: the whole text. It is valid only if it is not blank: a refusal or reasoning alone is no text.
Expect: what `text` shows; on sim both APIs answer at the same times.

The trap: a stream of this API says what it cost only if asked to, with `stream_options={"include_usage": True}`, and
then in a chunk of its own that has no choice, so `chunk.choices[0]` fails there. The first chunk usually brings a role
and no text. And an app that uses the synchronous client pays for a new connection after every stream, because that
client leaves the end of the body unread.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "Explain to a new colleague what a streaming API is and when to use one.",
    "Describe a walk through a harbour town early in the morning.",
    "Summarise how the water cycle works, for a curious twelve-year-old.",
)
WITH_USAGE: Any = {"include_usage": True}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield the text of each chunk, the moment it comes."""
    async with await client.chat.completions.create(**ask.request, stream=True, stream_options=WITH_USAGE) as stream:
        async for chunk in stream:
            if text := text_of(first(chunk.choices), "delta"):
                yield text


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole text."""
    completion: ChatCompletion = await client.chat.completions.create(**ask.request, stream=False)
    return text_of(first(completion.choices), "message")


def first(choices: Any) -> Any:
    """Return the first choice, or None where there is none."""
    return choices[0] if choices else None


def text_of(choice: Any, part: str) -> str:
    """Return the text in a choice's delta or message; none where a server sent null or something else."""
    text = getattr(getattr(choice, part, None), "content", None)
    return text if isinstance(text, str) else ""


def check(text: str) -> None:
    """Raise `ValueError` where there is nothing to read."""
    if not text.strip():
        raise ValueError("the answer has no text")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `chat_text`."""
    yield Scenario("chat_text", streamed, blocking, prompts=PROMPTS, api="chat", tags=("core",), check=check)
