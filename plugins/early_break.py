"""An answer abandoned after its first text, then another one read to its end: whether the connection is used again.

`early_break` leaves the stream's context manager, which closes the response: over HTTP/1.1 the rest of the answer would
be in the way, so the connection is closed with it and the next request opens a new one. `early_break_bare` only breaks
out of the loop, as pasted snippets do. The abandoned answer then goes on: its connection stays open, the server writes
on into buffers that nobody reads, until the garbage collector finds the stream. Here it is closed at the end of the
trial, so that nothing is left over for the next one.

Useful: the first text of the second answer, the one that is kept.
Blocking: there is no counterpart: a blocking call cannot be left in the middle of its answer. The answer is valid only
if it is not blank.
Expect: `reused` 0 in both: a connection with half an answer in it cannot carry the next request. `early_break` has
closed its first connection when the second request begins; `early_break_bare` holds it open to the end of the trial,
and the answer that nobody reads goes on arriving.

Records: `reused`, 1 when the second request went over the connection of the first, else 0; `connections`, how many
the two needed; `second.first_text`, ms from sending the second request to its first text; `abandoned.open`, ms that the
abandoned answer stayed open after the second request began; `abandoned.bytes`, what was read of it in that time.

The trap: `break` does not close an async generator, nor does leaving the loop close the stream. Only `async with`,
or `await stream.close()`, does.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Iterable
from contextlib import AbstractAsyncContextManager, aclosing, asynccontextmanager

from openai import AsyncOpenAI, AsyncStream
from openai.types.responses import ResponseStreamEvent

from bench import Ask, Scenario, Trial, hookimpl
from bench.core.streams import text_deltas

PROMPTS = (
    "Describe a harbour in winter.",
    "Explain how a cheese is made.",
    "Tell the story of a lost umbrella.",
)
NAMES = ("early_break", "early_break_bare")


async def until_text(stream: AsyncStream[ResponseStreamEvent]) -> bool:
    """Read no further than the first text; false if none came."""
    return bool(await anext(text_deltas(stream), ""))


async def leave_by_context(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Leave the first stream by its context manager, and give the text of the second."""
    async with await client.responses.create(**ask.request, stream=True) as abandoned:
        if not await until_text(abandoned):
            return
    async with aclosing(second(client, ask)) as pieces:
        async for piece in pieces:
            yield piece


async def leave_bare(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
    """Only break out of the first stream, and give the text of the second."""
    abandoned = await client.responses.create(**ask.request, stream=True)
    try:
        if not await until_text(abandoned):
            return
        async with aclosing(second(client, ask)) as pieces:
            async for piece in pieces:
                yield piece
    finally:
        await abandoned.close()


async def second(client: AsyncOpenAI, ask: Ask) -> AsyncGenerator[str]:
    """Yield each text delta of the answer that is kept."""
    sent, waiting = ask.now(), True
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for text in text_deltas(stream):
            if waiting:
                ask.record("second.first_text", (ask.now() - sent) / 1e6, "ms")
            waiting = False
            yield text


def check(text: str) -> None:
    """Raise `ValueError` where there is nothing to read."""
    if not text.strip():
        raise ValueError("one of the two answers has no text")


@asynccontextmanager
async def watch_connections(trial: Trial) -> AsyncIterator[None]:
    """Record after the trial which connections it took, and what became of the abandoned answer."""
    yield
    requests = {attempt.request: attempt for attempt in trial.attempts}  # of each, the last attempt
    if len(requests) != 2 or any(attempt.connection is None for attempt in requests.values()):
        return
    abandoned, kept = requests.values()
    trial.record("reused", kept.connection == abandoned.connection, "0 or 1")
    trial.record("connections", len({abandoned.connection, kept.connection}), "connections")
    trial.record("abandoned.open", max(0, (abandoned.t_end or trial.t_end) - kept.t_start) / 1e6, "ms")
    later = sum(len(data) for time, data in abandoned.reads if time >= kept.t_start)
    trial.record("abandoned.bytes", later, "bytes")


@hookimpl
def observe(trial: Trial) -> AbstractAsyncContextManager[None] | None:
    """Watch the connections of these scenarios' trials."""
    return watch_connections(trial) if trial.scenario in NAMES else None


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """Two scenarios: `early_break` and `early_break_bare`."""
    for name, streamed, how in zip(
        NAMES, (leave_by_context, leave_bare), ("by `async with`", "by a bare `break`"), strict=True
    ):
        yield Scenario(
            name,
            streamed,
            about=f"An answer abandoned after its first text, {how}, then another one read to its end.",
            prompts=PROMPTS,
            tags=("guide", "connection"),
            check=check,
            requests=2,
            memory=False,
        )
