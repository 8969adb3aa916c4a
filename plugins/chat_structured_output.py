"""Structured output over Chat Completions: a product analysis that fills in field by field.

Useful: the first complete field or list item, because a form can then show it. A string is complete at its closing
quote; half a sentence is not shown. Each piece is a snapshot: everything that is complete so far.
Blocking: the whole object. Both deliveries give the same object, valid only if it is a `ProductAnalysis`.
Expect: what `structured_output` shows; on sim both APIs answer at the same times.

The trap: the schema stands in `response_format`, one level deeper than in the Responses API. The SDK's helper
`client.chat.completions.stream(response_format=Model)` parses too, but it reads all of the text again with every chunk
and makes a new message of it, which costs more the longer the answer gets; here the text is read again only when a
chunk holds a quote, and nothing else is built.
"""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel, ConfigDict

from bench import Ask, Scenario, hookimpl
from bench.core.streams import FieldReader, chat_text_in, chat_text_of, last_piece

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


SCHEMA = {"name": "product_analysis", "schema": ProductAnalysis.model_json_schema(), "strict": True}
FORMAT: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}
WITH_USAGE: Any = {"include_usage": True}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[Fields]:
    """Yield a snapshot each time a further field or list item is complete, the last one equal to the whole.

    An answer that ends complete but is not JSON raises, as it does in `blocking`. A stream that breaks off has given
    what was complete.
    """
    partial = FieldReader()
    request = {**ask.request, **FORMAT, "stream_options": WITH_USAGE}
    async with await client.chat.completions.create(**request, stream=True) as stream:
        async for chunk in stream:
            if partial.feed(chat_text_in(chunk)):
                yield partial.fields
            if chunk.choices and chunk.choices[0].finish_reason == "stop":
                whole = json.loads(partial.text)
                if whole != partial.fields:  # lists that stayed empty
                    yield whole


async def blocking(client: AsyncOpenAI, ask: Ask) -> Fields:
    """Return the whole object."""
    completion = await client.chat.completions.create(**ask.request, **FORMAT, stream=False)
    fields: Fields = json.loads(chat_text_of(completion))
    return fields


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `chat_structured_output`."""
    yield Scenario(
        "chat_structured_output",
        streamed,
        blocking,
        prompts=PROMPTS,
        api="chat",
        tags=("core",),
        needs=("json_schema",),
        assemble=last_piece,
        check=ProductAnalysis.model_validate,
    )
