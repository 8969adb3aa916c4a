"""Text in chunks of at least 100 characters, as for a template or a network hop that dislikes small pieces.

A chunk is made of whole deltas and passed on as soon as it has `chars` characters (`-P buffered.chars=50,400`); the
rest comes with the end of the stream.

Useful: the first chunk with a character that is not a space, because nothing can be read before it.
Blocking: the whole text. Both deliveries give the same text, and it is valid only if it is not blank.
Expect: first useful later than first token, by the time in which the first chunk fills; the whole ends when blocking
does. So a buffer costs every character some delay and saves no time.

Records: `buffer_delay`, the time in ms that a character waited in the buffer, as the mean over all characters.

The trap: what is left in the buffer at the end of the stream must be passed on too, or the last words are lost.
"""

from collections.abc import AsyncIterator, Iterable

from openai import AsyncOpenAI
from pydantic import BaseModel, Field

from bench import Ask, Scenario, hookimpl
from bench.core.streams import blocking_text, check_text, text_deltas

PROMPTS = (
    "Write a letter that invites the neighbours to a summer party.",
    "Explain why the sea is salty, with an example from the kitchen.",
    "Describe the rooms of an old railway station.",
)


class Params(BaseModel):
    """What `-P buffered.…` may set."""

    chars: int = Field(default=100, ge=1, description="Least number of characters in a chunk, but for the last")


class Buffer:
    """Text that waits until there is enough of it. Times are in ns."""

    def __init__(self, chars: int) -> None:
        self.chars = chars
        self.held: list[tuple[int, str]] = []
        """Each delta and when it came."""
        self.size = 0
        self.passed = 0
        """Characters that were passed on."""
        self.waited_ns = 0
        """Summed over those characters."""

    def feed(self, text: str, now: int) -> str:
        """Take in a delta; return a chunk once there is enough for one."""
        self.held.append((now, text))
        self.size += len(text)
        return self.flush(now) if self.size >= self.chars else ""

    def flush(self, now: int) -> str:
        """Return all that waits, however little."""
        chunk = "".join(text for _, text in self.held)
        self.waited_ns += sum((now - came) * len(text) for came, text in self.held)
        self.passed += len(chunk)
        self.held, self.size = [], 0
        return chunk


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield chunk after chunk."""
    buffer = Buffer(ask.params.chars)
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for text in text_deltas(stream):
            if chunk := buffer.feed(text, ask.now()):
                yield chunk
    if rest := buffer.flush(ask.now()):
        yield rest
    if buffer.passed:
        ask.record("buffer_delay", buffer.waited_ns / buffer.passed / 1e6, "ms")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `buffered`."""
    yield Scenario(
        "buffered",
        streamed,
        blocking_text,
        prompts=PROMPTS,
        tags=("guide",),
        params=Params,
        check=check_text,
        memory=False,
    )
