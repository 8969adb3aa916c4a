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
from collections.abc import AsyncIterator, Iterable, Sequence
from typing import Any

from jiter import from_json
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletion
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


SCHEMA = {"name": "product_analysis", "schema": ProductAnalysis.model_json_schema(), "strict": True}
FORMAT: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": SCHEMA}}
WITH_USAGE: Any = {"include_usage": True}


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
    what was complete.
    """
    partial = Partial()
    request = {**ask.request, **FORMAT, "stream_options": WITH_USAGE}
    async with await client.chat.completions.create(**request, stream=True) as stream:
        async for chunk in stream:
            choice = first(chunk.choices)
            if partial.feed(text_of(choice, "delta")):
                yield partial.fields
            if choice and choice.finish_reason == "stop":
                whole = json.loads(partial.text)
                if whole != partial.fields:  # lists that stayed empty
                    yield whole


async def blocking(client: AsyncOpenAI, ask: Ask) -> Fields:
    """The whole object."""
    completion: ChatCompletion = await client.chat.completions.create(**ask.request, **FORMAT, stream=False)
    fields: Fields = json.loads(text_of(first(completion.choices), "message"))
    return fields


def first(choices: Any) -> Any:
    """The first choice, or None where there is none."""
    return choices[0] if choices else None


def text_of(choice: Any, part: str) -> str:
    """The text in a choice's delta or message; none where a server sent null or something else."""
    text = getattr(getattr(choice, part, None), "content", None)
    return text if isinstance(text, str) else ""


def last(snapshots: Sequence[Fields]) -> Fields:
    """The result of a stream: its last snapshot."""
    return snapshots[-1] if snapshots else {}


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
        assemble=last,
        check=ProductAnalysis.model_validate,
    )
