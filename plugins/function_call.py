"""A function call: the arguments of a tool, as they are written.

Useful: the first argument text, because an app can then show which tool is being called and with what.
Blocking: the arguments of the first function call, as JSON text. Both deliveries give the same text, and it is valid
only if it fits the tool's parameters; an answer without a function call is not valid.
Expect: a gain as long as the arguments take to write, so less than that of a text; nothing can be run before they are
complete, and that is when blocking ends too.

Some servers send no argument deltas: the arguments are complete in the added item, in the done event, in the done item
or in the answer at the end. Whatever did not come as a delta is yielded from there. Where an event contradicts the
pieces before it (deltas start over after an added item with text; a done event says otherwise), the next piece is a
`Whole`, and the result begins with the last of those.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any, Literal

from openai import AsyncOpenAI, pydantic_responses_function_tool
from openai.types.responses import Response, ResponseFunctionToolCall
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

ITEMS = {"response.output_item.added", "response.output_item.done"}
PLACEHOLDERS = {"", "{}"}
"""What an added item has for arguments that are still to come."""


class Whole(str):
    """A piece that takes the place of all pieces before it."""

    __slots__ = ()


def assemble(pieces: Sequence[str]) -> str:
    """The pieces from the last `Whole` on, or all of them."""
    start = max((number for number, piece in enumerate(pieces) if isinstance(piece, Whole)), default=0)
    return "".join(pieces[start:])


class FirstCall:
    """The arguments of an answer's first function call, while they are being written.

    A call is known by its `output_index`: item ids may differ from event to event. But some servers give every call the
    same index, so a further added item with another id ends this one, if it has any text.
    """

    def __init__(self) -> None:
        self.parts: list[str] = []
        self.index: int | None = None
        self.id: str | None = None
        self.draft = False
        """The text is from the added item: deltas may continue it, or start over."""
        self.ended = False

    def feed(self, event: Any) -> str:
        """The text that an event adds to these arguments, empty for most events."""
        if event.type in {"response.completed", "response.incomplete"} and event.response and not self.parts:
            return self._done(first_arguments(event.response.output))
        if event.type == "response.function_call_arguments.delta" and self._own(event.output_index):
            return self._delta(as_text(event.delta))
        if event.type == "response.function_call_arguments.done" and self._own(event.output_index):
            return self._done(as_text(event.arguments))
        if event.type in ITEMS and event.item and event.item.type == "function_call" and self._own(event.output_index):
            text = as_text(event.item.arguments)
            return self._added(event.item, text) if event.type.endswith("added") else self._done(text)
        return ""

    def _own(self, index: int) -> bool:
        if self.index is None:
            self.index = index
        return index == self.index and not self.ended

    def _added(self, item: ResponseFunctionToolCall, text: str) -> str:
        name = item.id or item.call_id
        self.ended = bool(self.parts) and self.id not in {None, name}
        self.id = name
        if self.parts or text in PLACEHOLDERS:
            return ""
        self.draft = True
        return self._more(text)

    def _delta(self, text: str) -> str:
        restarts = self.draft and text.lstrip().startswith("{")
        self.draft = self.draft and not text.strip()
        return self._replace(text) if restarts else self._more(text)

    def _done(self, whole: str) -> str:
        """What is missing from the whole; all of it if what came before was something else."""
        before, self.ended = "".join(self.parts), bool(whole)
        if whole.startswith(before):
            return self._more(whole[len(before) :])
        return self._replace(whole) if whole else ""

    def _more(self, text: str) -> str:
        if text:
            self.parts.append(text)
        return text

    def _replace(self, text: str) -> Whole:
        self.parts = [text]
        return Whole(text)


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """The argument text of the first function call, piece by piece."""
    call = FirstCall()
    async with await client.responses.create(**ask.request, **TOOL, stream=True) as stream:
        async for event in stream:
            if text := call.feed(event):
                yield text


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """The arguments of the first function call, or nothing if there is none."""
    response: Response = await client.responses.create(**ask.request, **TOOL, stream=False)
    return first_arguments(response.output)


def first_arguments(items: Any) -> str:
    """The arguments of the first function call of an answer's output, or nothing if there is none."""
    calls = (item for item in items or () if item and item.type == "function_call")
    return next((as_text(call.arguments) for call in calls), "")


def as_text(value: Any) -> str:
    """Text, or none where a server sent something else."""
    return value if isinstance(value, str) else ""


def check(arguments: str) -> GetWeather:
    """The arguments are what the tool takes."""
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
        assemble=assemble,
        check=check,
    )
