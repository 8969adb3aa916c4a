"""Progress updates: the text as it grows, shown at most every 100 ms.

A screen that redraws with every delta spends more on drawing than on reading. So the text is held back until
`interval_ms` have passed since the last update (`-P progress.interval_ms=50,250`). Each piece is what is new since the
update before; the first one comes at once, the last one with the end of the stream, so nothing is lost. There is no
timer: text that is held while the server pauses waits for the next delta.

Useful: the first update with a character that is not a space, because from then on the user sees that it works.
Blocking: the whole text. Both deliveries give the same text, and it is valid only if it is not blank.
Expect: first useful as early as in `text` and the whole when blocking ends, with far fewer redraws: one for each
interval in place of one for each delta.

Records: `updates`. The time between updates is the metric `piece_gap`.

The trap: to update "when `len(buffer) % 50 == 0`". Deltas have several characters and jump over the multiples of 50, so
updates come seldom, at random, or never, and what follows the last one is never shown.
"""

from collections.abc import AsyncIterator, Iterable

from openai import AsyncOpenAI
from pydantic import BaseModel, Field

from bench import Ask, Scenario, hookimpl
from bench.core.streams import blocking_text, check_text, text_deltas

PROMPTS = (
    "Write a short report on the state of a community garden in spring.",
    "Explain step by step how a letter travels from one country to another.",
    "Tell the story of a lighthouse keeper's ordinary day.",
)


class Params(BaseModel):
    """What `-P progress.…` may set."""

    interval_ms: float = Field(default=100, ge=0, description="Least time between two updates, in ms")


class Throttle:
    """Text that is let through at most once in an interval."""

    def __init__(self, interval_ns: float) -> None:
        self.interval_ns = interval_ns
        self.held = ""
        self.last: int | None = None
        """Time of the last update in ns; None: there was none."""

    def feed(self, text: str, now: int) -> str:
        """Take in more text; return what is to be shown now, nothing while it is too early."""
        self.held += text
        early = self.last is not None and now - self.last < self.interval_ns
        if early or not self.held.strip():
            return ""
        self.last = now
        return self.flush()

    def flush(self) -> str:
        """Return all that is held, whatever the time."""
        held, self.held = self.held, ""
        return held


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield the new text of each update."""
    throttle = Throttle(ask.params.interval_ms * 1e6)
    updates = 0
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for text in text_deltas(stream):
            if update := throttle.feed(text, ask.now()):
                updates += 1
                yield update
    if rest := throttle.flush():
        updates += 1
        yield rest
    ask.record("updates", updates, "updates")


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `progress`."""
    yield Scenario(
        "progress",
        streamed,
        blocking_text,
        prompts=PROMPTS,
        tags=("guide",),
        params=Params,
        check=check_text,
        memory=False,
    )
