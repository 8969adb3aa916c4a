"""A function call: the arguments of a tool, as they are written.

Useful: the first argument text, because an app can then show which tool is being called and with what.
Blocking: the arguments of the first function call, as JSON text. Both deliveries give the same text, and it is valid
only if it fits the tool's parameters; an answer without a function call is not valid.
Expect: a gain as long as the arguments take to write, so less than that of a text; nothing can be run before they are
complete, and that is when blocking ends too.

Some servers send no argument deltas: the arguments are complete in the added item, in the done event, in the done item
or in the answer at the end. Whatever did not come as a delta is yielded from there. Where an event contradicts the
pieces before it (deltas start over after an added item with text; a done event says otherwise), the next piece is a
`Replacement`, and the result begins with the last of those.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from openai import AsyncOpenAI, pydantic_responses_function_tool
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl
from bench.core.streams import argument_deltas, arguments_of, join_pieces

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


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield the argument text of the first function call, piece by piece."""
    async with await client.responses.create(**ask.request, **TOOL, stream=True) as stream:
        async for text in argument_deltas(stream):
            yield text


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the arguments of the first function call, or nothing if there is none."""
    return arguments_of(await client.responses.create(**ask.request, **TOOL, stream=False))


def check(arguments: str) -> GetWeather:
    """Raise `ValueError` unless the arguments are what the tool takes."""
    if not arguments:
        raise ValueError("the answer has no function call, or one without arguments")
    return GetWeather.model_validate_json(arguments)


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `function_call`."""
    yield Scenario(
        "function_call",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("core",),
        needs=("tools",),
        assemble=join_pieces,
        check=check,
    )
