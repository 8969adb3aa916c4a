"""A function call over Chat Completions: the arguments of a tool, as they are written.

Useful: the first argument text, because an app can then show which tool is being called and with what.
Blocking: the arguments of the first tool call, as JSON text. Both deliveries give the same text, and it is valid only
if it fits the tool's parameters; an answer without a tool call is not valid.
Expect: what `function_call` shows; on sim both APIs answer at the same times.

The trap: only the first chunk of a call has its id and name, the others have nothing but its `index`. That is
OpenAI. Other servers repeat the name in every chunk, or send a fresh id with each, or the whole call in one chunk; they
give all calls the index 0, or finish with `stop` instead of `tool_calls`. So names are not added up, the end is not
looked for in the finish reason, and another id at the same index is another call only once the first one is complete.
"""

from collections.abc import AsyncIterator, Iterable
from typing import Any, Literal

from openai import AsyncOpenAI, pydantic_function_tool
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl
from bench.core.streams import chat_argument_deltas, chat_arguments_of

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
    "tools": [pydantic_function_tool(GetWeather, name="get_weather")],
    "tool_choice": "required",
}
WITH_USAGE: Any = {"include_usage": True}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield the argument text of the first tool call, piece by piece."""
    request = {**ask.request, **TOOL, "stream_options": WITH_USAGE}
    async with await client.chat.completions.create(**request, stream=True) as stream:
        async for text in chat_argument_deltas(stream):
            yield text


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the arguments of the first tool call, or nothing if there is none."""
    return chat_arguments_of(await client.chat.completions.create(**ask.request, **TOOL, stream=False))


def check(arguments: str) -> GetWeather:
    """Raise `ValueError` unless the arguments are what the tool takes."""
    if not arguments:
        raise ValueError("the answer has no tool call, or one without arguments")
    return GetWeather.model_validate_json(arguments)


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `chat_function_call`."""
    yield Scenario(
        "chat_function_call",
        streamed,
        blocking,
        prompts=PROMPTS,
        api="chat",
        tags=("core",),
        needs=("tools",),
        check=check,
    )
