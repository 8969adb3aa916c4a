"""Only the text deltas of a stream; every other event is dropped, and counted.

Beside `text` it shows that a filter in the app saves nothing: what is dropped was sent, received and parsed before the
app could look at it.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the whole text. Both deliveries give the same text, and it is valid only if it is not blank.
Expect: the times of `text`. Few events are dropped, because nearly all of a text stream is text.

Records: `events_dropped`, the events that were no text.

The trap: a filter for text deltas also drops `error`, `response.failed` and `response.incomplete`, and the SDK raises
for none of them: half an answer looks like a whole one. Here bench itself looks at how the stream ended; an app must
let these events through. Filter by `event.type`, never by class: the SDK builds events that it does not know as one of
the classes that it does.
"""

from collections.abc import AsyncIterator, Iterable

from openai import AsyncOpenAI

from bench import Ask, Scenario, hookimpl
from bench.core.streams import blocking_text, check_text

PROMPTS = (
    "Describe how bread is baked, from the grain to the table.",
    "Explain what a compiler does, to somebody who never wrote a program.",
    "Describe a market square on a rainy Saturday.",
)
WANTED = "response.output_text.delta"


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield each text delta, the moment it comes."""
    dropped = 0
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type != WANTED:
                dropped += 1
            elif event.delta:
                yield event.delta
    ask.record("events_dropped", dropped, "events")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `event_filter`."""
    yield Scenario(
        "event_filter", streamed, blocking_text, prompts=PROMPTS, tags=("guide",), check=check_text, memory=False
    )
