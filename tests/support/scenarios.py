"""Scenarios for tests of the runner."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from bench import Ask, Scenario


async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Every text delta."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


async def blocking(client: Any, ask: Ask) -> str:
    """The whole text."""
    response = await client.responses.create(**ask.request, stream=False)
    text: str = response.output_text
    return text


TEXT = Scenario("text", streamed, blocking)
