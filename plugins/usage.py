"""Usage: what the same request counts and costs, streamed and blocking.

The result is the usage that the server tells: equal results mean that streaming costs no token more. A streamed answer
is one request, however many events it has.

Useful: the first piece with a character that is not a space, because a user can start to read it.
Blocking: the usage. It is valid only if there is one, with output tokens, and the total is the sum.
Expect: equal usage and one request in both deliveries, and the gain of `text`: streaming is more events, not more
tokens or requests.

Records: `usage.input_tokens`, `usage.output_tokens`; `output_events`, the text deltas of the streamed answer;
`requests`; and where the server sends them, `ratelimit.remaining_requests` and `ratelimit.remaining_tokens`. The HTTP
attempts are the metric `attempts`.

The traps: deltas are not tokens (a delta may hold several tokens, or part of a character), so counting them says
nothing about cost; and the SDK retries unseen, so one call may be up to three HTTP attempts, each counted by a rate
limit.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

from openai import AsyncOpenAI
from openai.types.responses import ResponseUsage

from bench import Ask, Scenario, Trial, hookimpl

PROMPTS = (
    "Name three ways to save water at home, each with a sentence of its own.",
    "Explain how a bicycle stays upright.",
    "Describe a good cup of tea.",
)
NAME = "usage"

Usage = dict[str, int]


async def streamed(client: AsyncOpenAI, ask: Ask) -> AsyncIterator[str | Usage]:
    """Yield each text delta, and at last the usage."""
    deltas, found = 0, None
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                deltas += 1
                yield event.delta
            elif event.type in {"response.completed", "response.incomplete"}:
                found = event.response and event.response.usage
    ask.record("output_events", deltas, "events")
    yield record_usage(ask, found)


async def blocking(client: AsyncOpenAI, ask: Ask) -> Usage:
    """Return the usage."""
    response = await client.responses.create(**ask.request, stream=False)
    return record_usage(ask, response.usage)


def record_usage(ask: Ask, found: ResponseUsage | None) -> Usage:
    """Record the counts and return them as a plain value; empty if the server does not tell all of them."""
    told = {kind: getattr(found, f"{kind}_tokens", None) for kind in ("input", "output", "total")}
    counts = {kind: count for kind, count in told.items() if isinstance(count, int)}
    if len(counts) < len(told):
        return {}
    ask.record("usage.input_tokens", counts["input"], "tokens")
    ask.record("usage.output_tokens", counts["output"], "tokens")
    return counts


def last(pieces: Sequence[Any]) -> Any:
    """Return the last piece, which is the usage."""
    return pieces[-1]


def check(usage: Usage) -> None:
    """Raise `ValueError` unless the counts are there, and add up."""
    if not usage or not usage["output"]:
        raise ValueError("the answer tells no usage" if not usage else "the usage says 0 output tokens")
    if usage["input"] + usage["output"] != usage["total"]:
        raise ValueError(f"the usage does not add up: {usage}")


@asynccontextmanager
async def count_requests(trial: Trial) -> AsyncIterator[None]:
    """Record after the trial how many requests it was, and what is left of the rate limit."""
    yield
    trial.record("requests", len({attempt.request for attempt in trial.attempts}), "requests")
    headers = trial.attempts[-1].headers if trial.attempts else {}
    for kind in ("requests", "tokens"):
        left = headers.get(f"x-ratelimit-remaining-{kind}", "")
        if left.isdecimal():
            trial.record(f"ratelimit.remaining_{kind}", int(left), kind)


@hookimpl
def observe(trial: Trial) -> AbstractAsyncContextManager[None] | None:
    """Count the requests of this scenario's trials."""
    return count_requests(trial) if trial.scenario == NAME else None


@hookimpl
def register_scenarios() -> Iterable[Scenario]:
    """One scenario: `usage`."""
    yield Scenario(
        NAME,
        streamed,
        blocking,
        prompts=PROMPTS,
        tags=("guide",),
        useful=lambda piece: isinstance(piece, str) and bool(piece.strip()),
        assemble=last,
        check=check,
        memory=False,
    )
