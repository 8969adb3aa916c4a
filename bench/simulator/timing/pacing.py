"""When the events of an answer leave."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Iterator
from contextlib import suppress

from bench.simulator.timing.profiles import Profile

_NS_PER_MS = 1_000_000


def schedule(tokens: int, profile: Profile, factor: float, rng: random.Random) -> Iterator[tuple[int, int]]:
    """(tokens in the event, ns after the request was received) for each event of an answer.

    Absolute times, so lateness of one event never moves the next. `factor` (of the model) and the jitter, log-normal
    with mean 1, multiply every waiting time.
    """
    wait = profile.ttft_ms * factor * _jitter(profile.jitter, rng)
    due, left = wait * _NS_PER_MS, tokens
    least, most = profile.tokens_per_event
    while left:
        size = min(left, least if least == most else rng.randint(least, most))
        if left < tokens:
            due += size * profile.token_ms * factor * _jitter(profile.jitter, rng) * _NS_PER_MS
        left -= size
        yield size, int(due)


def _jitter(sigma: float, rng: random.Random) -> float:
    return rng.lognormvariate(-sigma * sigma / 2, sigma) if sigma else 1.0


class Stop:
    """The end of an answer that is cancelled."""

    def __init__(self) -> None:
        self.at: int | None = None
        """`time.perf_counter_ns()` of the cancelling; None: it was not cancelled."""
        self._now = asyncio.Event()

    def now(self) -> None:
        """Cancel the answer now."""
        self.at = time.perf_counter_ns()
        self._now.set()

    def comes_before(self, due: int) -> bool:
        """Return True if the answer was cancelled before `due` (ns), so that what was due then is not made."""
        return self.at is not None and self.at < due

    async def wait(self, seconds: float) -> None:
        """Wait for the cancellation, at most `seconds`."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._now.wait()


async def sleep_until(due: int, stop: Stop | None = None) -> bool:
    """Wait until `time.perf_counter_ns()` has reached `due`, or until `stop` comes before: then it is False."""
    if stop and stop.comes_before(due):
        return False
    left = (due - time.perf_counter_ns()) / 1e9
    if left > 0:
        await (stop.wait(left) if stop else asyncio.sleep(left))
    return not (stop and stop.comes_before(due))
