"""Measure how late the stamps are, with bench's push backend and with httpcore2's own pull backend.

    python -m tools.measure.stamps            the table of docs/architecture.md, from this machine

The simulator logs when it handed each frame to its socket, on the same clock. Streams of 60 events, 10 ms apart, are
read through the SDK, N at a time; late = stamp - true send time, of the first event, of the first token, and of
every event. Both backends take turns, so that a busy machine is busy for both.
"""

# ruff: noqa: ASYNC109, S101, T201

import asyncio
import json
import tempfile
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import httpcore2
import numpy as np
import openai

from bench.clients.decode.decode import decode
from bench.clients.sdk.attempt_log import current_trial
from bench.clients.sdk.connection import current_attempt
from bench.clients.sdk.sockets import TapBackend
from bench.clients.sdk.tap import KEEPALIVE_S, MAX_CONNECTIONS, Pools, TapTransport
from bench.core.trial import Trial
from bench.simulator.process import running
from bench.simulator.truth import read_truth

ROUNDS = 6
STREAMS = 64
"""Of each backend, at least, in each round."""
CONTROL = json.dumps({"tokens": 60, "ttft_ms": 50, "token_ms": 10, "jitter": 0.05})


class PullStream(httpcore2.AsyncNetworkStream):
    """httpcore2's own stream; a read is stamped when it comes back to the consumer."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        data = await self._stream.read(max_bytes, timeout)
        if attempt := current_attempt.get():
            attempt.reads.append((perf_counter_ns(), data))
        return data

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class PullBackend(httpcore2.AnyIOBackend):
    """httpcore2's own backend with such streams."""

    async def connect_tcp(self, *args: Any, **kwargs: Any) -> httpcore2.AsyncNetworkStream:
        return PullStream(await super().connect_tcp(*args, **kwargs))


def transport(base_url: str, backend: httpcore2.AsyncNetworkBackend) -> TapTransport:
    """Make bench's tap on another backend."""
    tap = TapTransport(base_url)
    tap._pools = Pools(
        lambda: httpcore2.AsyncConnectionPool(
            max_connections=MAX_CONNECTIONS, keepalive_expiry=KEEPALIVE_S, network_backend=backend
        )
    )
    return tap


async def read_streams(base_url: str, backend: httpcore2.AsyncNetworkBackend, concurrency: int) -> list[Trial]:
    """Read the streams, `concurrency` at a time; the first of each worker is warm-up and left out."""
    trials: list[Trial] = []
    http = openai.DefaultAsyncHttpx2Client(transport=transport(base_url, backend))
    async with openai.AsyncOpenAI(base_url=base_url, api_key="none", http_client=http) as client:

        async def worker() -> None:
            for number in range(1 + max(2, STREAMS // concurrency)):
                trial = Trial(0, "", "streamed", "sim", "sim-1", "measure")
                current_trial.set(trial)
                stream = await client.responses.create(
                    model="sim-1", input="hello", metadata={"bench": CONTROL}, stream=True
                )
                async with stream:
                    async for _ in stream:
                        pass
                trials.extend([trial] if number else [])

        await asyncio.gather(*[asyncio.create_task(worker()) for _ in range(concurrency)])
    return trials


def lateness(trials: list[Trial], truth: dict[str, dict[str, Any]]) -> dict[str, list[float]]:
    """Compute the ms from each true send time to its stamp."""
    late: dict[str, list[float]] = {"first event": [], "first token": [], "every event": []}
    for trial in trials:
        (attempt,) = trial.attempts
        events, sent = decode(attempt.reads, attempt.headers, asked_stream=True).events, truth[attempt.client_id]
        assert [event.meaning.type for event in events] == sent["type"][: len(events)]
        each = [(event.t_read - t_sent) / 1e6 for event, t_sent in zip(events, sent["t_sent"], strict=False)]
        late["first event"].append(each[0])
        late["first token"].append(each[sent["type"].index("response.output_text.delta")])
        late["every event"] += each
    return late


def main() -> None:
    """Measure, then print a Markdown table."""
    backends = {"push (bench)": TapBackend(), "pull (httpcore2)": PullBackend()}
    trials: dict[tuple[int, str], list[Trial]] = {(c, name): [] for c in (1, 8, 32) for name in backends}
    with tempfile.TemporaryDirectory() as folder:
        log = Path(folder) / "truth.jsonl"
        with running(truth=log) as simulator:
            for turn in range(ROUNDS):
                for concurrency, name in sorted(trials, key=lambda key: (key[0], (key[1] > "pull (i") ^ turn % 2)):
                    done = asyncio.run(read_streams(simulator.base_url, backends[name], concurrency))
                    trials[concurrency, name] += done
        truth = {sent["client_id"]: sent for sent in read_truth(log)}
    print("| streams | stamps | n | first event p50 / p99 | first token p50 / p99 | every event p50 / p99 |")
    print("| --- | --- | --- | --- | --- | --- |")
    for (concurrency, name), done in trials.items():
        cells = [" / ".join(f"{v:.2f}" for v in np.quantile(ms, (0.5, 0.99))) for ms in lateness(done, truth).values()]
        print(f"| {concurrency} | {name} | {len(done)} | {' | '.join(cells)} |")


if __name__ == "__main__":
    main()
