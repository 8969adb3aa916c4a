"""When the events of an answer leave."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator

from bench.simulator.profiles import Profile

_NS_PER_MS = 1_000_000


def schedule(tokens: int, profile: Profile, factor: float, rng: random.Random) -> Iterator[tuple[int, int]]:
    """(tokens in the event, ns after the request was received) for each event of an answer.

    Absolute times, so lateness of one event never moves the next. `factor` (of the model) and the jitter, log-normal
    with mean 1, multiply every waiting time.
    """
    wait = profile.ttft_ms * factor * _jitter(profile.jitter, rng)
    due, left = wait * _NS_PER_MS, tokens
    while left:
        size = min(left, _event_size(profile.tokens_per_event, rng))
        if left < tokens:
            due += size * profile.token_ms * factor * _jitter(profile.jitter, rng) * _NS_PER_MS
        left -= size
        yield size, int(due)


def _event_size(limits: tuple[int, int], rng: random.Random) -> int:
    least, most = limits
    return least if least == most else rng.randint(least, most)


def _jitter(sigma: float, rng: random.Random) -> float:
    return rng.lognormvariate(-sigma * sigma / 2, sigma) if sigma else 1.0


async def sleep_until(due: int) -> None:
    """Wait until `time.perf_counter_ns()` has reached `due`."""
    left = due - time.perf_counter_ns()
    if left > 0:
        await asyncio.sleep(left / 1e9)
