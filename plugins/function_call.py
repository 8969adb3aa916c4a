"""A function call: the arguments of a tool, as they are written.

Useful: the first argument text, because an app can then show which tool is being called and with what.
Blocking: the arguments of the first function call, as JSON text. Both deliveries give the same text, and it is valid
only if it fits the tool's parameters; an answer without a function call is not valid.

Some servers send no argument deltas: the arguments are complete in the added item, in the done event or in the done
item. Whatever did not come as a delta is yielded from there.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from openai import AsyncOpenAI, pydantic_responses_function_tool
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "What is the weather in Lisbon, in celsius?",
    "Will I need an umbrella in Bergen tomorrow? Use celsius.",
    "How hot does it get in Phoenix this week, in fahrenheit?",
)


class GetWeather(BaseModel):
    """Look up the weather forecast for a place."""

    model_config = ConfigDict(extra="forbid")

    location: str
    unit: Literal["celsius", "fahrenheit"]
    days: int


TOOL: dict[str, Any] = {
    "tools": [pydantic_responses_function_tool(GetWeather, name="get_weather")],
    "tool_choice": "required",
}

Calls = dict[int, list[str]]
"""Argument text of each function call so far, by its output_index, in order of appearance."""


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """The argument text of the first function call, piece by piece."""
    calls: Calls = {}
    async with await client.responses.create(**ask.request, **TOOL, stream=True) as stream:
        async for event in stream:
            text = new_text(event, calls)
            if text and event.output_index == next(iter(calls)):
                yield text


def new_text(event: ResponseStreamEvent, calls: Calls) -> str:
    """The argument text that this event adds to its function call, empty for most events; it is noted in `calls`."""
    if event.type == "response.function_call_arguments.delta":
        return _noted(calls.setdefault(event.output_index, []), event.delta)
    if event.type == "response.function_call_arguments.done":
        return _rest(calls.setdefault(event.output_index, []), event.arguments)
    if event.type in {"response.output_item.added", "response.output_item.done"} and event.item.type == "function_call":
        return _rest(calls.setdefault(event.output_index, []), event.item.arguments)
    return ""


def _rest(parts: list[str], whole: str | None) -> str:
    """What `whole` has beyond the parts that came before it."""
    text, before = whole or "", "".join(parts)
    return _noted(parts, text[len(before) :]) if text.startswith(before) else ""


def _noted(parts: list[str], text: str) -> str:
    parts.append(text)
    return text


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """The arguments of the first function call, or nothing if there is none."""
    response: Response = await client.responses.create(**ask.request, **TOOL, stream=False)
    return next((item.arguments for item in response.output if item.type == "function_call"), "")


def check(arguments: str) -> GetWeather:
    """The arguments are what the tool takes."""
    if not arguments:
        raise ValueError("the answer has no function call, or one without arguments")
    return GetWeather.model_validate_json(arguments)


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `function_call`."""
    yield Scenario("function_call", streamed, blocking, prompts=PROMPTS, tags=("core",), needs=("tools",), check=check)
