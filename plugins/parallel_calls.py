"""Several function calls in one answer, each run as soon as its own arguments are complete.

Useful: the first call whose arguments are complete, because it can be run while the others are still written.
Blocking: all calls, in the order of the answer. Both deliveries give the same list, and it is valid only if there are
two calls at least and each fits the tool's parameters.
Expect: a small gain where the arguments come interleaved, as on sim: all calls are complete near the end. A server that
writes one call after the other lets the first one run while the others are written.

Records: `calls`, how many there are; `spread`, ms from the first executable call to the last.

The traps: the arguments of several calls may come interleaved, so they belong to their `output_index` and not to "the"
call; `response.function_call_arguments.done` has no `name`, which only the item has; and items of other kinds, such as
reasoning, stand between the calls.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

from openai import AsyncOpenAI, pydantic_responses_function_tool
from openai.types.responses import Response
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "What is the weather in Lisbon, in Bergen and in Phoenix? Use celsius, and ask for all three at once.",
    "I travel to Rome, Oslo and Cairo. Look up the weather of all three at once, in celsius.",
    "Compare tomorrow's weather in Lima, Quito and Bogota, in celsius. Look all of it up at once.",
)
SIM = ({"items": [{"type": "function_call"}] * 3, "interleaved": True},)


class GetWeather(BaseModel):
    """Look up the weather forecast for a place."""

    model_config = ConfigDict(extra="forbid")

    location: str
    unit: Literal["celsius", "fahrenheit"]
    days: int


TOOLS: dict[str, Any] = {
    "tools": [pydantic_responses_function_tool(GetWeather, name="get_weather")],
    "tool_choice": "required",
    "parallel_tool_calls": True,
}


class Call(NamedTuple):
    """A call that can be run."""

    place: int
    """Its index in the output."""
    name: str
    arguments: str


class Calls:
    """The calls of one answer, each as soon as it is complete."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        """Of the calls that are being written, by place."""
        self._done: list[Call] = []

    def feed(self, event: Any) -> Iterator[Call]:
        """Yield the calls that an event completes: none, one, or all that a server sends only with the whole answer."""
        if event.type == "response.output_item.added" and is_call(event.item):
            self._names[event.output_index] = event.item.name
        elif event.type == "response.function_call_arguments.done" and event.output_index in self._names:
            yield self._complete(event.output_index, event.arguments)
        elif event.type == "response.output_item.done" and is_call(event.item):
            if event.output_index in self._names or not self._has(event.output_index):
                self._names[event.output_index] = event.item.name
                yield self._complete(event.output_index, event.item.arguments)
        elif event.type in {"response.completed", "response.incomplete"} and event.response and not self._done:
            yield from calls_in(event.response.output)

    def _has(self, index: int) -> bool:
        return any(call.place == index for call in self._done)

    def _complete(self, index: int, arguments: str) -> Call:
        call = Call(index, self._names.pop(index), arguments)
        self._done.append(call)
        return call


def is_call(item: Any) -> bool:
    """Return True for a function call."""
    return bool(item) and item.type == "function_call"


def calls_in(items: Any) -> list[Call]:
    """Return the calls in an answer's output."""
    return [Call(index, item.name, item.arguments) for index, item in enumerate(items or ()) if is_call(item)]


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Call]:
    """Yield each call, the moment its arguments are complete."""
    calls, times = Calls(), list[int]()
    async with await client.responses.create(**ask.request, **TOOLS, stream=True) as stream:
        async for event in stream:
            for call in calls.feed(event):
                times.append(ask.now())
                yield call
    ask.record("calls", len(times), "calls")
    if times:
        ask.record("spread", (times[-1] - times[0]) / 1e6, "ms")


async def blocking(client: AsyncOpenAI, ask: Ask) -> list[list[str]]:
    """Return name and arguments of each call."""
    response: Response = await client.responses.create(**ask.request, **TOOLS, stream=False)
    calls = calls_in(response.output)
    ask.record("calls", len(calls), "calls")
    return assemble(calls)


def assemble(calls: Sequence[Call]) -> list[list[str]]:
    """Return name and arguments of each call, in the order of the output."""
    return [[call.name, call.arguments] for call in sorted(calls, key=lambda call: call.place)]


def check(calls: Sequence[Sequence[str]]) -> None:
    """Raise `ValueError` unless there are several calls, and the tool can run each of them."""
    if len(calls) < 2:
        raise ValueError(f"{len(calls)} function calls in the answer, at least 2 were asked for")
    for name, arguments in calls:
        if name != "get_weather":
            raise ValueError(f"a call of {name!r}, which is no tool of the request")
        GetWeather.model_validate_json(arguments)


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `parallel_calls`."""
    yield Scenario(
        "parallel_calls",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("agent",),
        needs=("tools", "parallel_tools"),
        assemble=assemble,
        check=check,
        sim=SIM,
        memory=False,
    )
