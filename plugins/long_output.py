"""A long answer: text of a set length, 1,000 tokens unless told otherwise.

`-P long_output.tokens=1000,8000,32000` makes a row of each length: the first text of a stream should come as soon in
each, while a blocking call is longer with every token, and the SDK's work on each event adds up. This length is what is
asked for, whatever `--output-tokens` says. The simulator answers with exactly that many tokens, one each millisecond
whatever the profile, so that a run does not take long; elsewhere it is a cap (`max_output_tokens`): a model that
reaches it is truncated and counts as ok, one that ends before has its real length in `output_tokens`.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text. Both deliveries give the same text, and it is valid only if it is not blank.
Expect: a gain of nearly the whole time: the first text comes as soon as in a short answer, while blocking waits for
every token.

The trap: a blocking call sends no byte until the last token is there. Proxies and load balancers with an idle time-out
(often 60 s) cut it, and the SDK then silently asks again, twice, for the whole answer.
"""

import json
from collections.abc import AsyncIterator, Iterable
from typing import Any

from openai import AsyncOpenAI
from pydantic import BaseModel, Field

from bench import Ask, Scenario, hookimpl
from bench.core.streams import check_text, text_deltas, text_of

PROMPTS = (
    "Write a very long and detailed history of an imaginary island, chapter after chapter. Do not stop early.",
    "Write a complete handbook for new gardeners, chapter after chapter. Do not stop early.",
)
SIM_TOKEN_MS = 1
"""With the profile's 5 ms a trial of 1,000 tokens would take as long as twelve of any other scenario."""


class Params(BaseModel):
    """What `-P long_output.…` may set."""

    tokens: int = Field(default=1000, ge=1, le=200_000, description="Length of the answer, in tokens")


def with_length(ask: Ask) -> dict[str, Any]:
    """Return the request with the length, as its target understands it (`metadata.bench`: the simulator)."""
    tokens = ask.params.tokens
    metadata = ask.request.get("metadata", {})
    if "bench" not in metadata:
        return {**ask.request, "max_output_tokens": tokens}
    control = {**json.loads(metadata["bench"]), "tokens": tokens, "token_ms": SIM_TOKEN_MS}
    return {**ask.request, "metadata": {**metadata, "bench": json.dumps(control)}}


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, the moment it comes."""
    async with await client.responses.create(**with_length(ask), stream=True) as stream:
        async for text in text_deltas(stream):
            yield text


async def blocking(client: AsyncOpenAI, ask: Ask) -> str:
    """Return the whole text."""
    return text_of(await client.responses.create(**with_length(ask), stream=False))


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `long_output`."""
    yield Scenario(
        "long_output",
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("sdk",),
        params=Params,
        output_tokens=lambda params: params.tokens,
        check=check_text,
        memory=False,
    )
