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
from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl
from bench.core.streams import FieldReader, TextReader, last_piece, text_of

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


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Fields]:
    """Yield a snapshot each time a further field or list item is complete, the last one equal to the whole.

    An answer that ends complete but is not JSON raises, as it does in `blocking`. A stream that breaks off has given
    what was complete. From a server that sends no deltas, all is complete as soon as the text stands anywhere.
    """
    texts, partial = TextReader(), FieldReader()
    async with await client.responses.create(**ask.request, **FORMAT, stream=True) as stream:
        async for event in stream:
            if partial.feed(texts.feed(event)):
                yield partial.fields
            if event.type == "response.completed":
                whole = json.loads(partial.text)
                if whole != partial.fields:  # lists that stayed empty
                    yield whole


async def blocking(client: AsyncOpenAI, ask: Ask) -> Fields:
    """Return the whole object."""
    fields: Fields = json.loads(text_of(await client.responses.create(**ask.request, **FORMAT, stream=False)))
    return fields


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
        assemble=last_piece,
        check=ProductAnalysis.model_validate,
    )
