"""The built-in scenarios against the simulator: both deliveries of the same ask do the same work."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from time import perf_counter_ns
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from bench import Ask, Scenario, Target
from bench.asks import Options, make_ask, nonce_text
from bench.manager import load
from bench.simulator.process import running
from tests.scripted import CLOSE, scripted, sse

NAMES = ("text", "function_call", "structured_output")


class Forgetful:
    """A recorder for scenarios that record nothing."""

    def now(self) -> int:
        return perf_counter_ns()

    def mark(self, name: str) -> None: ...
    def record(self, name: str, value: float, unit: str) -> None: ...


@pytest.fixture(scope="module")
def base_url() -> Iterator[str]:
    """A simulator without pacing."""
    with running(profile="flood") as simulator:
        yield simulator.base_url


@pytest.fixture(params=NAMES)
def scenario(request: pytest.FixtureRequest) -> Scenario:
    """Each built-in scenario, as the manager finds it."""
    return load().scenarios[request.param][0]


def ask_of(scenario: Scenario, prompt: int, tokens: int | None, nonce: int) -> Ask:
    """A ready ask for the simulator."""
    return make_ask(
        scenario.prompts[prompt],
        target=Target(name="sim", base_url=None),
        model="sim-1",
        nonce=nonce_text(nonce),
        seed=0,
        recorder=Forgetful(),
        options=Options(output_tokens=tokens, control={"profile": "flood"}),
    )


async def streamed(scenario: Scenario, base_url: str, ask: Ask) -> list[Any]:
    """All pieces; what was yielded before an API error, if there is one."""
    pieces = []
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        try:
            async for piece in scenario.streamed(client, ask):
                pieces.append(piece)  # noqa: PERF401  (they shall survive the error)
        except openai.APIError:
            pass
    return pieces


async def blocking(scenario: Scenario, base_url: str, ask: Ask) -> Any:
    """The whole result."""
    assert scenario.blocking is not None
    async with AsyncOpenAI(base_url=base_url, api_key="none", max_retries=0) as client:
        return await scenario.blocking(client, ask)


@pytest.mark.parametrize("tokens", [None, 700])
def test_both_deliveries_give_one_valid_result(scenario: Scenario, base_url: str, tokens: int | None) -> None:
    """Streamed and blocking give equal results that pass the check, for every prompt and length, whatever the nonce."""
    for prompt in range(len(scenario.prompts)):
        pieces = asyncio.run(streamed(scenario, base_url, ask_of(scenario, prompt, tokens, 1)))
        whole = asyncio.run(blocking(scenario, base_url, ask_of(scenario, prompt, tokens, 2)))
        assert len(pieces) > 1
        assert scenario.useful(pieces[0])
        assert scenario.assemble(pieces) == whole
        if scenario.check is not None:
            scenario.check(whole)


def test_names_of_the_built_in_scenarios_are_documented() -> None:
    """Each is described by the first line of its file, and says what it needs of a target."""
    found = load().scenarios
    assert [found[name][0].description for name in NAMES] == [
        "Plain text, shown as it arrives.",
        "A function call: the arguments of a tool, as they are written.",
        "Structured output: a product analysis that fills in field by field.",
    ]
    assert [tuple(found[name][0].needs) for name in NAMES] == [(), ("tools",), ("json_schema",)]


def delta(text: str) -> dict[str, Any]:
    """A text delta."""
    place = {"item_id": "m", "output_index": 0, "content_index": 0, "logprobs": []}
    return {"type": "response.output_text.delta", "sequence_number": 1, "delta": text, **place}


def test_a_cut_stream_gives_what_was_complete() -> None:
    """A structured stream that breaks off has yielded its complete fields, and its result is not valid."""
    scenario = load().scenarios["structured_output"][0]
    with scripted(sse(delta('{"product_name": "Sun'), delta('pack", "features": ["so'), CLOSE)) as server:
        pieces = asyncio.run(streamed(scenario, server.base_url, ask_of(scenario, 0, None, 1)))
    assert pieces == [{"product_name": "Sunpack", "features": []}]
    assert scenario.check is not None
    with pytest.raises(ValueError, match="target_audience"):
        scenario.check(scenario.assemble(pieces))


def test_a_completed_answer_that_is_no_json_raises() -> None:
    """A structured answer that ends well but is not JSON raises as the blocking one does."""
    scenario = load().scenarios["structured_output"][0]
    done = {"type": "response.completed", "sequence_number": 2, "response": {"id": "r", "object": "response"}}
    with scripted(sse(delta("Sorry, no."), done)) as server, pytest.raises(json.JSONDecodeError):
        asyncio.run(streamed(scenario, server.base_url, ask_of(scenario, 0, None, 1)))
