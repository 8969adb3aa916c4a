"""Streams of known send times, read in between by the client that measures: what the instrument itself adds.

The embedded simulator sends them, also beside a run on another target, over connections of their own. All of a run's
calibration streams have the same tokens, made at the same times. Cells differ in how many of them travel in an event,
which leaves when its last token is made.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel

from bench.core.load import Load
from bench.core.params import cell_text
from bench.core.results.summary import CALIBRATION
from bench.core.scenario import Ask, Scenario
from bench.plan.plan import BOTH, PlannedCell

if TYPE_CHECKING:
    from openai import AsyncOpenAI

TARGET = "(calibration)"
"""Its link has connections of its own, to the simulator."""
MODEL = "sim-1"
PROMPT = "Tell me about clocks."
FIRST_TOKEN_MS = 10
TOKEN_MS = 5
TOKENS = 12
"""Token i is made `FIRST_TOKEN_MS + i * TOKEN_MS` after the request was received: 65 ms in all, 200 tokens/s."""
PACKETS = (1, 4, 12)
"""Tokens an event. The first is the instrument's calibration, the others put the claim on packets to the test."""


class Packets(BaseModel):
    """The parameters of a calibration cell."""

    tokens_per_event: int = PACKETS[0]


def control(tokens_per_event: int) -> dict[str, Any]:
    """Return the control field of a request, which overrides the simulator's profile, script and faults.

    The first event leaves when its last token is made, so the tokens of every size are made at one time.
    """
    return {
        "tokens": TOKENS,
        "tokens_per_event": tokens_per_event,
        "ttft_ms": FIRST_TOKEN_MS + (tokens_per_event - 1) * TOKEN_MS,
        "token_ms": TOKEN_MS,
        "jitter": 0,
        "seed": 0,
        "faults": [],
        "answers": [{}],
    }


async def stream_text(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, as any app reads them."""
    async with await client.responses.create(**_request(ask), stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


async def fetch_text(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole text."""
    response = await client.responses.create(**_request(ask), stream=False)
    return str(response.output_text)


def _request(ask: Ask) -> Mapping[str, Any]:
    asked = json.dumps(control(ask.params.tokens_per_event), separators=(",", ":"))
    return {**ask.request, "metadata": {"bench": asked}}


def calibration_scenarios() -> list[Scenario]:
    """Return the scenarios of the calibration cells."""
    return [Scenario(CALIBRATION, stream_text, fetch_text, prompts=(PROMPT,), params=Packets, memory=False)]


def calibration_cells(first: int, loads: Sequence[Load], clients: Sequence[str] = ("sdk",)) -> list[PlannedCell]:
    """Return the calibration cells of a run, numbered from `first`.

    Each client and load has one with a token an event, in both deliveries. The first client and load also have the
    other sizes of packets.
    """
    kinds = [(client, load, size) for client in clients for load in loads for size in PACKETS]
    kinds = [kind for kind in kinds if kind[2] == PACKETS[0] or kind[:2] == (clients[0], loads[0])]
    cell = partial(
        PlannedCell,
        scenario=CALIBRATION,
        api="responses",
        target=TARGET,
        host="embedded simulator",
        simulated=True,
        model=MODEL,
        description="Streams of known send times",
        useful="The first piece of text",
        asks=1,
        role="calibration",
    )
    return [
        cell(
            cell=first + number,
            client=client,
            load=load.label,
            params=cell_text(Packets(tokens_per_event=size)),
            deliveries=BOTH if size == PACKETS[0] else ("streamed",),
        )
        for number, (client, load, size) in enumerate(kinds)
    ]
