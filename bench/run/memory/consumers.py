"""Define the ways of consuming an answer whose memory the memory pass measures, to test claims about memory.

They are scenarios of no plugin: users cannot choose them, targets never see them, and they have no row in the report.
The memory pass drops the pieces it is given, so only what these functions keep stays until the end of the stream.
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
    """Return the jobs that measure the ways of consuming by tracemalloc, which sees every object that they keep."""
    asked = {
        "--lengths": ",".join(map(str, LENGTHS)),
        "--meters": "tracemalloc",
        "--tokens-per-event": str(TOKENS_PER_EVENT),
        "--read-at-most": str(LARGEST_READ),
    }
    arguments = tuple(text for pair in asked.items() for text in pair)
    together = ((DISCARD, JOIN), (HELPER, NOTHING), (KEEP, CHAT))  # each group takes about as long
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
    """Use the SDK's stream helper, which builds up the response, and keep none of its events."""
    async with client.responses.stream(**ask.request) as stream:
        async for event in stream:
            if event.type == DELTA:
                yield event.delta
        await stream.get_final_response()


async def chat(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Discard as `discard` does, with an API whose stream does not repeat the whole answer at its end."""
    stream = await client.chat.completions.create(**ask.request, stream=True, stream_options={"include_usage": True})
    async with stream:
        async for chunk in stream:
            if chunk.choices and (text := chunk.choices[0].delta.content):
                yield text


async def read_bytes(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[int]:
    """Pass on the undecoded bytes and keep none: what the meter shows where nothing grows."""
    create = client.chat.completions.with_streaming_response.create
    async with create(**ask.request, stream=True, stream_options={"include_usage": True}) as response:
        async for chunk in response.iter_bytes():
            yield len(chunk)


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole answer, parsed by the SDK."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return response.output_text


def register_scenarios() -> Iterable[Scenario]:
    """Yield the scenarios to the measuring process, which loads this module like a plugin."""
    yield Scenario(DISCARD, discard, blocking)
    yield Scenario(JOIN, join)
    yield Scenario(KEEP, keep)
    yield Scenario(HELPER, helper)
    yield Scenario(CHAT, chat, api="chat")
    yield Scenario(NOTHING, read_bytes, api="chat")
