"""Plain text, shown as it arrives.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text.
"""

from collections.abc import AsyncIterator, Iterable

from openai import AsyncOpenAI
from openai.types.responses import Response

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "Explain to a new colleague what a streaming API is and when to use one.",
    "Describe a walk through a harbour town early in the morning.",
    "Summarise how the water cycle works, for a curious twelve-year-old.",
)


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Each text delta, the moment it comes."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """The whole text."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return response.output_text


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `text`."""
    yield Scenario("text", streamed, blocking, prompts=PROMPTS, tags=("core",))
