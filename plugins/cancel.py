"""A user who stops the answer after its first characters: when it ends, and what is still billed.

`cancel` closes the stream, which is all that an ordinary response knows: the server sees the connection go.
`cancel_background` asks for a background response, which goes on when its client leaves, and cancels it by its id. Its
stream is read on until the server ends it, for 5 s at most. `-P cancel.chars=80,500` sets where the user stops.

Useful: the first piece with a character that is not a space.
Blocking: there is no counterpart: a blocking call shows nothing that a user could stop. The answer is valid only if it
is not blank.
Expect: `cancel` over at once for the app; `cancel_background` a round trip later, with little text still to come.

Records: `stopped`, 1 if the answer was stopped, 0 if it was shorter than that; `shown_chars`, what the user had seen
then. Of a stopped answer `mark.stop`, when the user decided; `stop.time`, ms from there to the end: of `cancel` until
the connection is closed (when the server notices is its own affair; the simulator's log has it as `gone`), of
`cancel_background` until the server ended the stream; `late_chars`, the text that still came (neither of them if the
stream went on for those 5 s); and `billed_tokens`, output tokens, where the server tells.

The traps: leaving the loop does not close the stream, only `async with` or `close()` does. A response that was stopped
mostly tells no usage, so what it cost is seen on the bill only. A cancelled background stream just ends, without a
terminal event: what became of it the response itself says.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from typing import Any, cast

from openai import AsyncOpenAI, AsyncStream
from openai.types.responses import ResponseStreamEvent
from pydantic import BaseModel, Field

from bench import Ask, Scenario, hookimpl
from bench.core.streams import TextReader, check_text

PROMPTS = (
    "Write a long letter from a lighthouse keeper to a friend in the city.",
    "Explain at length how a steam engine works.",
)
PATIENCE_S = 5.0


class Params(BaseModel):
    """What `-P cancel.…` may set."""

    chars: int = Field(default=80, ge=1, description="Characters after which the user stops")


class Reader:
    """A user who reads a stream until there was enough."""

    def __init__(self, ask: Ask) -> None:
        self.ask = ask
        self.limit: int = ask.params.chars
        self.texts = TextReader()
        self.id: str | None = None
        """Of the response."""
        self.seen = 0
        self.ended = False
        """The terminal event was among what was read."""

    @property
    def has_enough(self) -> bool:
        """The user stops an answer that is not over."""
        return self.seen >= self.limit and not self.ended

    def text_in(self, event: Any) -> str:
        """Return the text in an event, empty for most events."""
        if event.type == "response.created" and event.response:
            self.id = event.response.id
        self.ended = self.ended or event.type in {"response.completed", "response.incomplete"}
        text = self.texts.feed(event)
        self.seen += len(text)
        return text

    def tell(self, decided: int, shown: int, over: int) -> None:
        """Record an answer that was stopped and has ended; the times in ns."""
        self.ask.record("stop.time", (over - decided) / 1e6, "ms")
        self.ask.record("late_chars", self.seen - shown, "chars")


async def stop_by_closing(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield the text up to the stop, which closes the stream."""
    reader, decided = Reader(ask), None
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if text := reader.text_in(event):
                yield text
            if reader.has_enough:
                decided = stop(ask)
                break
    if decided is not None:
        reader.tell(decided, reader.seen, ask.now())
    ask.record("shown_chars", reader.seen, "chars")
    ask.record("stopped", decided is not None, "0 or 1")


async def stop_by_cancelling(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Yield the text up to the stop, which cancels the response."""
    reader, decided, over = Reader(ask), None, None
    async with await client.responses.create(**ask.request, background=True, stream=True) as stream:
        async for event in stream:
            if text := reader.text_in(event):
                yield text
            if reader.has_enough and reader.id:
                decided = stop(ask)
                break
        shown = reader.seen
        if decided is not None:
            await client.responses.cancel(cast("str", reader.id))
            over = await read_out(stream, reader)
    stopped = False
    if decided is not None and not reader.ended:  # else it had ended before it could be cancelled
        stopped = await was_cancelled(client, ask, reader)
        if stopped and over is not None:
            reader.tell(decided, shown, over)
    ask.record("shown_chars", shown, "chars")
    ask.record("stopped", stopped, "0 or 1")


def stop(ask: Ask) -> int:
    """Mark the moment at which the user has had enough. Return the time, ns."""
    ask.mark("stop")
    return ask.now()


async def read_out(stream: AsyncStream[ResponseStreamEvent], reader: Reader) -> int | None:
    """Read until the server ends the stream. Return the time, ns; None if that takes longer than 5 s."""
    with suppress(TimeoutError):
        async with asyncio.timeout(PATIENCE_S):
            async for event in stream:
                reader.text_in(event)
            return reader.ask.now()
    return None


async def was_cancelled(client: AsyncOpenAI, ask: Ask, reader: Reader) -> bool:
    """Ask whether the response was cancelled, and record what is billed."""
    response = await client.responses.retrieve(cast("str", reader.id))
    cancelled = response.status == "cancelled"
    if cancelled and response.usage:
        ask.record("billed_tokens", response.usage.output_tokens, "tokens")
    return cancelled


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Two scenarios: `cancel` and `cancel_background`."""
    ways = (
        ("cancel", stop_by_closing, (), "The user stops the answer: the stream is closed."),
        (
            "cancel_background",
            stop_by_cancelling,
            ("background",),
            "The user stops the answer: the server is told to cancel it.",
        ),
    )
    for name, streamed, needs, about in ways:
        yield Scenario(
            name,
            streamed,
            about=about,
            prompts=PROMPTS,
            tags=("cancel",),
            needs=needs,
            params=Params,
            check=check_text,
            live=True,  # the client wire reads while it runs, not before
            recovers=True,  # a cancelled stream just ends
            memory=False,
        )
