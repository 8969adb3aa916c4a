"""Structured output: a product analysis that fills in field by field.

Useful: the first complete field or list item, because a form can then show it. A string is complete at its closing
quote; half a sentence is not shown. Each piece is a snapshot: everything that is complete so far.
Blocking: the whole object. Both deliveries give the same object, valid only if it is a `ProductAnalysis`.
Expect: the first field comes later than the first token, because it must be complete, and long before the whole object;
the whole takes as long as blocking.

The text so far is read again, from its start, whenever a delta holds a quote: only that can complete a string, and a
`ProductAnalysis` holds nothing but strings. So the cost grows with the square of the length, but slowly: jiter reads
more than 1 GB/s, and an answer of 8,000 tokens with 2,000 list items costs some 50 ms in all, when the SDK spends some
900 ms on its events (`tests/benchmarks/test_bench_structured.py` measures it).
"""

import json
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from jiter import from_json
from openai import AsyncOpenAI
from openai.types.responses import Response
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl

PROMPTS = (
    "Analyse this product: a solar-powered backpack with a built-in battery for hikers.",
    "Analyse this product: a quiet mechanical keyboard for open-plan offices.",
    "Analyse this product: a kettle that holds the temperature to one degree.",
)

Fields = dict[str, Any]


class ProductAnalysis(BaseModel):
    """What the model is asked to fill in."""

    model_config = ConfigDict(extra="forbid")

    product_name: str
    features: list[str]
    pros: list[str]
    cons: list[str]
    price_range: str
    target_audience: str


SCHEMA = {
    "type": "json_schema",
    "name": "product_analysis",
    "schema": ProductAnalysis.model_json_schema(),
    "strict": True,
}
FORMAT: dict[str, Any] = {"text": {"format": SCHEMA}}


class Partial:
    """An object whose JSON text is still being written."""

    def __init__(self) -> None:
        self.text = bytearray()
        self.fields: Fields = {}
        """The latest snapshot."""

    def feed(self, delta: str) -> bool:
        """Take in more text; true when that completed a field or a list item, which is then in `fields`."""
        self.text += delta.encode("utf-8", "surrogatepass")
        if '"' not in delta:
            return False
        fields = read(bytes(self.text))
        if finished(fields) <= finished(self.fields):
            return False
        self.fields = fields
        return True


def read(text: bytes) -> Fields:
    """The complete fields and list items of an object's JSON cut anywhere; nothing if it is not an object's JSON."""
    try:
        value = from_json(text, partial_mode=True)
    except ValueError:
        return {}
    return value if isinstance(value, dict) else {}


def finished(fields: Fields) -> int:
    """How many fields and list items there are. A list counts by its items: it is there from its opening bracket on."""
    return sum(len(value) if isinstance(value, list) else 1 for value in fields.values())


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Fields]:
    """A snapshot each time a further field or list item is complete, the last one equal to the whole.

    An answer that ends complete but is not JSON raises, as it does in `blocking`. A stream that breaks off has given
    what was complete. From a server that sends no deltas, all is complete as soon as the text stands anywhere.
    """
    partial, source = Partial(), None
    async with await client.responses.create(**ask.request, **FORMAT, stream=True) as stream:
        async for event in stream:
            text = text_in(event)
            source = source or (event.type if text else None)
            if event.type == source and partial.feed(text):
                yield partial.fields
            if event.type == "response.completed":
                whole = json.loads(partial.text)
                if whole != partial.fields:  # lists that stayed empty
                    yield whole


def text_in(event: Any) -> str:
    """The text in an event: a delta, or what repeats the deltas."""
    if event.type == "response.output_text.delta":
        return event.delta if isinstance(event.delta, str) else ""
    if event.type == "response.output_text.done":
        return event.text or ""
    if event.type == "response.output_item.done":
        return text_of([event.item])
    if event.type in {"response.completed", "response.incomplete"} and event.response:
        return text_of(event.response.output)
    return ""


def text_of(items: Any) -> str:
    """All text of an answer's output: the SDK's `output_text`, but where a server sent null there is simply no text."""
    messages = [item for item in items or () if item and item.type == "message"]
    parts = [part for message in messages for part in message.content or ()]
    return "".join(part.text or "" for part in parts if part.type == "output_text")


async def blocking(client: AsyncOpenAI, ask: Ask) -> Fields:
    """The whole object."""
    response: Response = await client.responses.create(**ask.request, **FORMAT, stream=False)
    fields: Fields = json.loads(text_of(response.output))
    return fields


def last(snapshots: Sequence[Fields]) -> Fields:
    """The result of a stream: its last snapshot."""
    return snapshots[-1] if snapshots else {}


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `structured_output`."""
    yield Scenario(
        "structured_output",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("core",),
        needs=("json_schema",),
        assemble=last,
        check=ProductAnalysis.model_validate,
    )
