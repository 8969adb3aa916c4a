"""Ways of consuming an answer: the memory pass measures them, to put what is said about memory to the test.

They are scenarios, but no plugin's: nobody chooses them, they send nothing to a target, and no row of the report is
theirs. The memory pass drops the pieces that it is given, so what is kept is kept here, until the end of the stream.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from openai import AsyncOpenAI
from openai.types.responses import Response

from bench.core.scenario import Ask, Scenario
from bench.plan.consumers import CHAT, DISCARD, HELPER, JOIN, KEEP, LARGEST_READ, LENGTHS, NOTHING, TOKENS_PER_EVENT
from bench.run.memory.measure import Job


def consumer_jobs() -> list[Job]:
    """The ways of consuming an answer: by tracemalloc only, which sees every object that they keep."""
    asked = {
        "--lengths": ",".join(map(str, LENGTHS)),
        "--meters": "tracemalloc",
        "--tokens-per-event": str(TOKENS_PER_EVENT),
        "--read-at-most": str(LARGEST_READ),
    }
    arguments = tuple(text for pair in asked.items() for text in pair)
    together = ((DISCARD, JOIN), (HELPER, NOTHING), (KEEP, CHAT))  # about as long each
    return [Job(",".join(names), "bench.run.memory.consumers", arguments=arguments, seconds=5) for names in together]


DELTA: Literal["response.output_text.delta"] = "response.output_text.delta"


async def discard(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Pass each delta on and keep none."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == DELTA:
                yield event.delta


async def join(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Keep the text of every delta, and join it in the end."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        pieces = [event.delta async for event in stream if event.type == DELTA]
    yield "".join(pieces)


async def keep(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Any]:
    """Keep every event."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        yield [event async for event in stream]


async def helper(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """The SDK's own helper, which builds up the response; of its events none is kept here."""
    async with client.responses.stream(**ask.request) as stream:
        async for event in stream:
            if event.type == DELTA:
                yield event.delta
        await stream.get_final_response()


async def chat(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """As `discard`, by an API whose stream does not repeat the whole answer in its last events."""
    stream = await client.chat.completions.create(**ask.request, stream=True, stream_options={"include_usage": True})
    async with stream:
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text


async def read_bytes(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[int]:
    """The bytes of that stream, neither decoded nor kept: what the meter shows where nothing grows."""
    create = client.chat.completions.with_streaming_response.create
    async with create(**ask.request, stream=True, stream_options={"include_usage": True}) as response:
        async for chunk in response.iter_bytes():
            yield len(chunk)


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """The whole answer, parsed by the SDK."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return response.output_text


def register_scenarios() -> Iterable[Scenario]:
    """For the measuring process, which asks a module for its scenarios as it does a plugin."""
    yield Scenario(DISCARD, discard, blocking)
    yield Scenario(JOIN, join)
    yield Scenario(KEEP, keep)
    yield Scenario(HELPER, helper)
    yield Scenario(CHAT, chat, api="chat")
    yield Scenario(NOTHING, read_bytes, api="chat")
