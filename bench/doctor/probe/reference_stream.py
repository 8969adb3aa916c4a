"""The reference stream: known send times, read all the while by the same client, show how late this machine is.

The embedded simulator sends an event each 10 ms. Whatever holds up this process, the simulator or the machine makes
some events late, and would make those of any other stream late too. The doctor holds what it says of an endpoint
against this lateness.
"""

from __future__ import annotations

import json
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from statistics import median
from time import perf_counter_ns

from bench.clients.decode.decode import decode
from bench.clients.http.pool import Pool
from bench.clients.wire.request import Address, Call, to_json
from bench.core.target import DUMMY_KEY
from bench.core.trial import Attempt
from bench.doctor.diagnosis import Floor
from bench.doctor.probe.send import new_attempt

BEAT_MS = 10
BEATS = 20_000
"""Beats of one stream, 200 s; then the next stream begins."""
ENOUGH = 36
"""Beats that a p90 takes."""
FIRST = 20
"""Beats that are no measure yet: connection and warm-up."""
_CONTROL = {"tokens": BEATS, "tokens_per_event": 1, "ttft_ms": 0, "token_ms": BEAT_MS, "jitter": 0, "faults": []}
_PATH = "/chat/completions"


@dataclass
class ReferenceStream:
    """The reference streams that were read, one after the other."""

    attempts: list[Attempt] = field(default_factory=list)

    def late_ms(self) -> list[float]:
        """Return by how many ms each beat was late."""
        decoded = [decode(one.reads, one.headers, asked_stream=True, path=_PATH) for one in self.attempts]
        beats = [[event.t_read for event in answer.events if event.meaning.chars][FIRST:] for answer in decoded]
        return [late for stream in beats for late in lateness(stream)]


def floor_of(late_ms: Sequence[float]) -> Floor:
    """Return the quantiles of the lateness in ms; with too few beats for a p90 the longest counts as the p90."""
    # Beats come evenly, so a share of them is a share of the time: one stall of 100 ms makes ten beats late. What lasts
    # for a tenth of the time or less cannot hold half of an answer, which is what a lumpy one takes.
    ordered = sorted(late_ms)
    return Floor(
        n=len(ordered),
        p50_ms=median(ordered) if ordered else None,
        p90_ms=quantile(ordered, 0.9 if len(ordered) >= ENOUGH else 1.0),
        most_ms=quantile(ordered, 1.0),
    )


def quantile(ordered: Sequence[float], q: float) -> float | None:
    """Return the q-quantile of sorted values (inverse of the ECDF), None of none; without numpy."""
    return ordered[max(0, math.ceil(q * len(ordered)) - 1)] if ordered else None


def lateness(beats: Sequence[int]) -> list[float]:
    """Return by how many ms each beat, due every `BEAT_MS`, came after the beat that was least late.

    `beats`: times in ns, in order. When the first was due is not known, but it was not after any came.
    """
    offsets = [time - place * BEAT_MS * 1_000_000 for place, time in enumerate(beats)]
    least = min(offsets, default=0)
    return [(offset - least) / 1e6 for offset in offsets]


@asynccontextmanager
async def open_reference_stream(base_url: str) -> AsyncIterator[ReferenceStream]:
    """Read the reference stream while the block runs; `base_url` is that of its simulator."""
    address = Address(base_url, DUMMY_KEY, {})
    body = {"model": "sim-1", "messages": [{"role": "user", "content": "Tick."}], "stream": True}
    call = Call(
        path=f"{address.path}{_PATH}",
        body=to_json({**body, "metadata": {"bench": json.dumps(_CONTROL)}}),
        stream=True,
        headers={},
    )
    pool, reference = Pool(address.server), ReferenceStream()

    def start() -> None:
        attempt = new_attempt(call)
        reference.attempts.append(attempt)
        request = address.request(call, attempt.client_id)
        pool.exchange(request, attempt, deadline_ns=None, cold=False, on_read=None, on_end=start_next)

    def start_next() -> None:
        if running and reference.attempts[-1].status == 200:
            start()

    running = True
    start()
    try:
        yield reference
    finally:
        running = False
        now = perf_counter_ns()
        with suppress(Exception):
            await pool.aclose()
        for attempt in reference.attempts:
            attempt.t_end = attempt.t_end or now
