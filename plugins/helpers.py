"""What the SDK's own helpers cost: `responses.stream()` and `responses.parse()` in place of `create()`.

`text_helper` is `text`, and `structured_helper` is `structured_output`, written with `client.responses.stream(…)`. Set
beside those rows they show what the convenience costs, in time, CPU per event and client memory.

Useful: of `text_helper` the first text, because a user can start to read it; of `structured_helper` the parsed object,
because the helper gives nothing before it but JSON text.
Blocking: `create()` and `parse()`. Both deliveries give the same text, valid only if it is not blank, and the same
`ProductAnalysis`. What the helper itself cannot read is not valid either.
Expect: `text_helper` takes the times of `text` and more CPU for each event, because it builds an event of its own with
a snapshot. `structured_helper` gains nothing by streaming, because it parses only at the end.

The traps: every delta event has a `snapshot` of all text so far, so the helper copies quadratically with length, and
whoever keeps the events keeps it all. `text_format` is parsed once, at the end: it streams no field. After an answer
that failed or was cut at its length, `get_final_response()` raises a `RuntimeError`, which is no `OpenAIError`; so does
the helper where a server leaves out an event. Here a length cap is handled (`response.incomplete`). And without the
`async with`, `responses.stream()` sends nothing at all.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import ParsedResponse, Response
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl

TEXT_PROMPTS = (
    "Explain to a new colleague what a message queue is and when to use one.",
    "Describe a walk through a vineyard in autumn.",
    "Summarise how tides come about, for a curious twelve-year-old.",
)
OBJECT_PROMPTS = (
    "Analyse this product: a folding bicycle for commuters who take the train.",
    "Analyse this product: a notebook whose pages can be wiped clean.",
    "Analyse this product: a lamp that wakes its owner with slowly growing light.",
)
COMPLAINTS = (RuntimeError, AssertionError, AttributeError, LookupError, TypeError)
"""What the helper raises on a stream that is not as OpenAI's."""


class ProductAnalysis(BaseModel):
    """What the model is asked to fill in."""

    model_config = ConfigDict(extra="forbid")

    product_name: str
    features: list[str]
    pros: list[str]
    cons: list[str]
    price_range: str
    target_audience: str


class Final(str):
    """The last piece: the whole text, as the helper put it together."""

    __slots__ = ()


class Complaint(str):
    """The last piece where the helper could not read the stream: what it said."""

    __slots__ = ()


async def text_streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, and at last the whole text."""
    cut = None
    try:
        async with client.responses.stream(**ask.request) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta" and event.delta:
                    yield event.delta
                elif event.type == "response.incomplete":
                    cut = event.response
            yield Final((cut or await stream.get_final_response()).output_text)
    except COMPLAINTS as error:
        yield Complaint(f"{type(error).__name__}: {error}")


async def text_blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole text."""
    response: Response = await client.responses.create(**ask.request, stream=False)
    return response.output_text


def check_text(text: str) -> None:
    """Raise `ValueError` where the helper could not read the stream, or there is nothing to read."""
    if isinstance(text, Complaint):
        raise ValueError(f"responses.stream() could not read the answer: {text}")  # noqa: TRY004
    if not text.strip():
        raise ValueError("the answer has no text")


async def object_streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str | ProductAnalysis | None]:
    """Yield the JSON text as it comes, and the object once it is parsed, None if there is none."""
    found, cut = None, False
    try:
        async with client.responses.stream(**ask.request, text_format=ProductAnalysis) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    yield event.delta
                elif event.type == "response.output_text.done":
                    found = event.parsed
                    yield found
                cut = cut or event.type == "response.incomplete"
            final = None if cut else await stream.get_final_response()
        if final and not found:  # a server that does not say when the text is done
            yield final.output_parsed
    except COMPLAINTS as error:
        yield Complaint(f"{type(error).__name__}: {error}")


async def object_blocking(client: AsyncOpenAI, ask: Ask) -> ProductAnalysis | None:
    """Return the parsed object, None if there is none."""
    response: ParsedResponse[ProductAnalysis] = await client.responses.parse(**ask.request, text_format=ProductAnalysis)
    return response.output_parsed


def check_object(result: Any) -> None:
    """Raise `ValueError` where there is no object; the SDK has validated it."""
    if isinstance(result, Complaint):
        raise ValueError(f"responses.stream() could not read the answer: {result}")  # noqa: TRY004
    if not isinstance(result, ProductAnalysis):
        raise ValueError("the answer has no object")  # noqa: TRY004


def is_object(piece: Any) -> bool:
    """Return True for the parsed object."""
    return isinstance(piece, ProductAnalysis)


def last(pieces: Sequence[Any]) -> Any:
    """Return the last piece, which is the result of a stream."""
    return pieces[-1] if pieces else ""


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Two scenarios: `text_helper` and `structured_helper`."""
    yield Scenario(
        "text_helper",
        text_streamed,
        text_blocking,
        about="Plain text by the SDK's helper `responses.stream()` in place of `create()`.",
        prompts=TEXT_PROMPTS,
        tags=("sdk",),
        assemble=last,
        check=check_text,
    )
    yield Scenario(
        "structured_helper",
        object_streamed,
        object_blocking,
        about="Structured output by the SDK's helpers `responses.stream()` and `responses.parse()`.",
        prompts=OBJECT_PROMPTS,
        tags=("sdk",),
        needs=("json_schema",),
        useful=is_object,
        assemble=last,
        check=check_object,
    )
