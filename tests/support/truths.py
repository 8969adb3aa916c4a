"""Scenarios of known truth: a stall, an overhead, a drift, failures, a leak; and the same without.

Times are asked of the simulator request by request. Their noise is drawn from the seed of the pair, so a run with the
same `--seed` has the same noise; what the machine adds is small beside it.
"""

import asyncio
import json
import math
import random
import sys
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import Any

from openai import AsyncOpenAI, OpenAI

from bench import Ask, Scenario, hookimpl
from bench.run.memory.call import TOKENS_PER_EVENT

TTFT_MS, TOKEN_MS, TOKENS = 50.0, 4.0, 20
NOISE = 0.03
"""Standard deviation of the logarithm of all times of a request, drawn for each delivery on its own."""
STALL_MS = 50.0
OVERHEAD = 0.3
DRIFT = 0.1
FAILURES = 0.02
LEAK = 100
"""Bytes per token."""
PLACES = 36
"""Prompts of the drifting scenario; a run of as many pairs uses each once, in this order."""

Control = Mapping[str, Any]
Inject = Callable[[Ask, str], Control]
"""From the ask and the delivery to what the request asks of the simulator."""


def asking(ask: Ask, inject: Inject, delivery: str) -> dict[str, Any]:
    """The request, its control field with what is injected."""
    control = json.loads(ask.request["metadata"]["bench"]) | dict(inject(ask, delivery))
    return {**ask.request, "metadata": {"bench": json.dumps(control)}}


def times(ask: Ask, delivery: str, factor: float = 1.0) -> Control:
    """The waiting times, all by one factor and by noise of median 1."""
    noise = math.exp(random.Random(f"{ask.seed} {delivery}").gauss(0, NOISE))  # noqa: S311  (noise, not a secret)
    scale = factor * noise
    return {"ttft_ms": TTFT_MS * scale, "token_ms": TOKEN_MS * scale, "tokens": TOKENS, "jitter": 0.0}


def alike(ask: Ask, delivery: str) -> Control:
    """The same waiting times streamed and blocking, noise and all: nothing is injected."""
    return times(ask, "both")


def stalled(ask: Ask, delivery: str) -> Control:
    """A pause in the middle of each answer."""
    stall = {"kind": "stall", "after": 0.5, "ms": STALL_MS}
    return {**times(ask, delivery), "answers": [{"faults": [stall]}]}


def failing(ask: Ask, delivery: str) -> Control:
    """A few requests meet a server error; all are short, as it takes many to see a few."""
    return {**times(ask, delivery, 0.2), "faults": [f"500={FAILURES}"]}


def drifting(ask: Ask, delivery: str) -> Control:
    """Everything takes longer from prompt to prompt."""
    return times(ask, delivery, (1 + DRIFT) ** (ask.row["place"] / (PLACES - 1)))


async def streamed(client: AsyncOpenAI, ask: Ask, *, inject: Inject) -> AsyncIterator[str]:
    async with await client.responses.create(**asking(ask, inject, "streamed"), stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


async def blocking(client: AsyncOpenAI, ask: Ask, *, inject: Inject) -> str:
    response = await client.responses.create(**asking(ask, inject, "blocking"), stream=False)
    return str(response.output_text)


async def slower(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Takes so much longer than it would: of all the time, whatever client and machine need of it."""
    began = ask.now()
    async for piece in streamed(client, ask, inject=times):
        yield piece
    end = began + (1 + OVERHEAD) * (ask.now() - began)
    await asyncio.sleep((end - ask.now()) / 1e9 - 0.002)
    while ask.now() < end:  # timers are late by up to a millisecond
        pass


class Kept:
    """A link of a chain: what is leaked hangs on it, and no list has to grow by steps."""

    __slots__ = ("before", "bytes")

    def __init__(self, before: "Kept | None", size: int) -> None:
        self.before, self.bytes = before, bytes(size)


OF_A_LINK = sys.getsizeof(Kept(None, 0)) + sys.getsizeof(b"")
kept: list[Kept | None] = [None]
"""The last link."""


def tight(client: OpenAI, ask: Ask) -> Iterator[str]:
    """Keeps nothing. Synchronous: asyncio's buffer of 256 KiB for each read would hide short answers."""
    with client.responses.create(**ask.request, stream=True) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


def leaking(client: OpenAI, ask: Ask) -> Iterator[str]:
    """Keeps 100 bytes for each token, the objects' own size counted in; the memory pass has several tokens an event."""
    for piece in tight(client, ask):
        kept[0] = Kept(kept[0], LEAK * TOKENS_PER_EVENT - OF_A_LINK)
        yield piece


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    places = [{"prompt": f"Place {place}.", "place": place} for place in range(PLACES)]
    for name, inject in (
        ("plain", alike),
        ("stalled", stalled),
        ("failing", failing),
        ("drifting", drifting),
    ):
        functions = partial(streamed, inject=inject), partial(blocking, inject=inject)
        yield Scenario(name, *functions, prompts=places, memory=False, about=inject.__doc__ or name)
    yield Scenario("slower", slower, partial(blocking, inject=times), prompts=places, memory=False)
    yield Scenario("leaking", leaking)
    yield Scenario("tight", tight)
