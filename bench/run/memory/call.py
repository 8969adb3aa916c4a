"""Call a scenario in this process and measure the memory it takes at its peak."""

from __future__ import annotations

import asyncio
import gc
import re
import secrets
import socket
import ssl
import sys
import tracemalloc
from asyncio import selector_events
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import dataclass
from time import perf_counter_ns
from typing import Any, Literal

import httpx2
from openai import AsyncOpenAI, DefaultAsyncHttpx2Client, DefaultHttpx2Client, OpenAI

from bench.core.ask import Options, make_ask, nonce_text
from bench.core.params import instance
from bench.core.scenario import Ask, Endpoint, Scenario, is_sync
from bench.core.target import DUMMY_KEY, SIM, Target
from bench.core.trial import Delivery
from bench.run.trial.call import consume
from bench.run.trial.scenario_setup import scenario_setup

Meter = Literal["tracemalloc", "rss"]
Call = Callable[[], Awaitable[None]]
Peak = tuple[int, int]
"""Bytes before the call, and the peak during the call above them."""
SETUP_SECONDS = 20.0
"""For a scenario's `setup`; the pass as a whole takes no longer."""
WARM_TOKENS = 40
"""Short, or the free memory that it leaves behind would hide the growth of every later call."""
TOKENS_PER_EVENT = 4
"""Servers send one to several. With four the pass fits into its time on two cores: tracemalloc triples what the SDK
spends on each event. What a scenario keeps of every event shows at a quarter of its weight per token."""
_TAIL = 4096
_USAGE = re.compile(rb'"(?:output|completion)_tokens"\s*:\s*(\d+)')
_RECEIVE_BUFFER = (socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
"""What has been sent but not read yet waits in here. The simulator is faster than any client, and with the buffer that
loopback gives, asyncio would take in 256 KiB of that at once: a step in the memory of every answer above 1,000 tokens
that no real server causes."""
_TLS = ssl.create_default_context()
"""Made once: making one takes 30 ms, and no request of this process is encrypted."""


class WrongLengthError(Exception):
    """The answer was not as long as asked, so its memory says nothing about that length."""


@dataclass(frozen=True, kw_only=True)
class MemoryServer:
    """The simulator without pacing that the calls go to."""

    base_url: str
    model: str
    params: str = ""
    """The scenario's parameters, as `core.params.cell_text` writes them."""
    tokens_per_event: int = TOKENS_PER_EVENT


def read_at_most(size: int) -> None:
    """Let asyncio read at most `size` bytes at a time in this process, instead of 256 KiB."""
    transports: Any = selector_events
    transports._SelectorSocketTransport.max_size = size  # there is no public way


class NoRecorder:
    """Discards what a scenario records."""

    def now(self) -> int:
        return perf_counter_ns()

    def mark(self, name: str) -> None: ...
    def record(self, name: str, value: float, unit: str) -> None: ...


class Tail(httpx2.AsyncByteStream, httpx2.SyncByteStream):
    """Passes a response body on as it comes and keeps its last 4 KB, where the usage stands.

    The usage shows answers of the wrong length, whatever the scenario does with them. The constant size adds nothing
    to the growth with length.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._end = b""

    def _keep_tail(self, chunk: bytes) -> bytes:
        self._end = (self._end + chunk[-_TAIL:])[-_TAIL:]
        return chunk

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._inner:
            yield self._keep_tail(chunk)

    def __iter__(self) -> Iterator[bytes]:
        yield from map(self._keep_tail, self._inner)

    async def aclose(self) -> None:
        await self._inner.aclose()

    def close(self) -> None:
        self._inner.close()

    @property
    def output_tokens(self) -> int | None:
        """Return the body's last `usage.output_tokens` (Chat: `completion_tokens`), None if it ends without one."""
        found = _USAGE.findall(self._end)
        return int(found[-1]) if found else None


def warm(scenario: Scenario, delivery: Delivery, endpoint: MemoryServer) -> None:
    """Make a short, unmeasured call: the first call of a process builds imports, schemas and caches."""
    asyncio.run(_warm(scenario, delivery, endpoint))


async def _warm(scenario: Scenario, delivery: Delivery, endpoint: MemoryServer) -> None:
    async with (
        _client(scenario, endpoint, []) as client,
        _ask_with_setup(scenario, client, WARM_TOKENS, endpoint) as ask,
    ):
        await _call(scenario, delivery, client, ask)


def measure_peak(scenario: Scenario, delivery: Delivery, meter: Meter, tokens: int, endpoint: MemoryServer) -> Peak:
    """Measure the peak memory of one call, with a client and an event loop of its own.

    Raises what the call raises, and `WrongLengthError` if the answer is not `tokens` long by its usage.
    """
    return asyncio.run(_measure_peak(scenario, delivery, METERS[meter], tokens, endpoint))


async def _measure_peak(
    scenario: Scenario,
    delivery: Delivery,
    meter: Callable[[Call], Awaitable[Peak]],
    tokens: int,
    endpoint: MemoryServer,
) -> Peak:
    # a fork has no open connection and few pages of code mapped: without a short call first, the peak is mostly that
    bodies: list[Tail] = []
    async with _client(scenario, endpoint, bodies) as client:
        async with _ask_with_setup(scenario, client, WARM_TOKENS, endpoint) as short:
            await _call(scenario, delivery, client, short)
        async with _ask_with_setup(scenario, client, tokens, endpoint) as ask:
            bodies.clear()
            gc.collect()
            peak = await meter(lambda: _call(scenario, delivery, client, ask))
        if scenario.client != "own":  # of a stack that is not ours no bodies are seen
            _check_length(tokens, bodies)
    return peak


def _check_length(tokens: int, bodies: list[Tail]) -> None:
    counts = [body.output_tokens for body in bodies]
    got = sum(count or 0 for count in counts)
    if not counts or None in counts:
        raise WrongLengthError(f"asked for {tokens} output tokens, but the answer ended without usage")
    if got != tokens:
        raise WrongLengthError(f"asked for {tokens} output tokens, got {got}")


async def _call(scenario: Scenario, delivery: Delivery, client: Any, ask: Ask) -> None:
    """Take the whole answer in this thread and keep none of it: streamed pieces are dropped as they come."""
    await consume(scenario, delivery, client, ask, threaded=False)


@asynccontextmanager
async def _client(scenario: Scenario, endpoint: MemoryServer, bodies: list[Tail]) -> AsyncIterator[Any]:
    """Open what the scenario's functions get as `client`: the SDK's client as an app makes it, or the address.

    Unlike in an app there are no retries (a failed point is not repeated) and no proxies (loopback).
    """
    asked: dict[str, Any] = {"base_url": endpoint.base_url, "api_key": DUMMY_KEY, "max_retries": 0}
    sockets: dict[str, Any] = {"verify": _TLS, "socket_options": [_RECEIVE_BUFFER]}

    def follow(response: httpx2.Response) -> None:
        bodies.append(Tail(response.stream))
        response.stream = bodies[-1]

    async def follow_async(response: httpx2.Response) -> None:
        follow(response)

    if scenario.client == "own":
        yield Endpoint(base_url=endpoint.base_url, api_key=DUMMY_KEY)
    elif is_sync(scenario):
        direct, hooks = httpx2.HTTPTransport(**sockets), {"response": [follow]}
        with OpenAI(**asked, http_client=DefaultHttpx2Client(transport=direct, event_hooks=hooks)) as client:
            yield client
    else:
        transport, hooks_async = httpx2.AsyncHTTPTransport(**sockets), {"response": [follow_async]}
        http = DefaultAsyncHttpx2Client(transport=transport, event_hooks=hooks_async)
        async with AsyncOpenAI(**asked, http_client=http) as async_client:
            yield async_client


def _ask_with_setup(
    scenario: Scenario, client: AsyncOpenAI, tokens: int, endpoint: MemoryServer
) -> AbstractAsyncContextManager[Ask]:
    """Make the ask for `tokens` output tokens, within the scenario's `setup`."""
    ask = _ask(scenario, tokens, endpoint)
    if scenario.setup is None:
        return nullcontext(ask)
    return scenario_setup(scenario, client, ask, SETUP_SECONDS)


def _ask(scenario: Scenario, tokens: int, endpoint: MemoryServer) -> Ask:
    return make_ask(
        scenario.prompts[0],
        target=Target(name=SIM, base_url=endpoint.base_url),
        model=endpoint.model,
        nonce=nonce_text(secrets.randbits(64)),
        seed=0,
        recorder=NoRecorder(),
        options=Options(
            output_tokens=tokens, control={"profile": "flood", "tokens_per_event": endpoint.tokens_per_event}
        ),
        api=scenario.api,
        params=instance(scenario, endpoint.params),
        sim=scenario.sim,
    )


async def _tracemalloc_peak(call: Call) -> Peak:
    """Measure the peak of Python's own blocks by tracemalloc, started just before the call.

    asyncio allocates 256 KiB for every read and gives back what it did not need. No peak is therefore smaller, and a
    blocking answer of 8,000 tokens does not show; RSS shows such an answer.
    """
    tracemalloc.start()
    try:
        base, _ = tracemalloc.get_traced_memory()
        await call()
        return base, tracemalloc.get_traced_memory()[1] - base
    finally:
        tracemalloc.stop()


async def _rss_peak(call: Call) -> Peak:
    """Measure the peak growth of the process by the kernel's high-water mark, reset just before the call.

    Exact to a page if the memory is still held at the end. Linux may miss up to 128 KiB of memory given back before,
    because it counts pages in batches of 32 for each core. If that makes the mark fall, the result is 0.
    """
    reset_high_water()
    base = high_water()
    await call()
    return base, max(0, high_water() - base)


METERS: dict[Meter, Callable[[Call], Awaitable[Peak]]] = {"tracemalloc": _tracemalloc_peak, "rss": _rss_peak}


def reset_high_water() -> None:
    """Reset VmHWM to the present RSS (Linux). Elsewhere the mark stays the process's lifetime peak."""
    try:
        with open("/proc/self/clear_refs", "w") as control:  # noqa: PTH123  (no Path objects between two readings)
            control.write("5")
    except OSError:
        return


def high_water() -> int:
    """Return the largest RSS of this process in bytes since `reset_high_water`."""
    try:
        with open("/proc/self/status", "rb") as status:  # noqa: PTH123
            return next(int(line.split()[1]) for line in status if line.startswith(b"VmHWM:")) * 1024
    except (OSError, StopIteration):
        return _lifetime_peak()


def _lifetime_peak() -> int:
    import resource  # noqa: PLC0415  (not on Windows, where only this measurement fails)

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
