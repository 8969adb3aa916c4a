"""Ask the simulator behind the gateway directly: its identity, its send log and its clock."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import fields
from typing import Any

import httpx2

from bench.core import linux as kernel
from bench.core.errors import BenchError
from bench.doctor.clock import ClockReading, Offset, estimate_offset
from bench.doctor.verdict.path import UpstreamResponse

DEFAULT_SIM = "http://127.0.0.1:8080/v1"
"""Where `bench serve` is without options."""
_NAME = "streambench-simulator"
_TIMEOUT = httpx2.Timeout(5.0, connect=2.0)
_EXCHANGES = 20
_PATIENCE_S = 2.0
_AGAIN_S = 0.02
_NO_NONCE = "0" * 16
_FIELDS = {{"types": "type", "sizes": "bytes"}.get(one.name, one.name): one.name for one in fields(UpstreamResponse)}
"""Names of the log's members, and what they are called in `UpstreamResponse`."""


@asynccontextmanager
async def simulator_at(url: str = DEFAULT_SIM) -> AsyncIterator[SimulatorClient]:
    """Connect to the simulator with that base URL. Raises `BenchError` where there is none, or none with a log."""
    root = url.rstrip("/").removesuffix("/v1")
    try:
        client = httpx2.AsyncClient(base_url=root, trust_env=False, timeout=_TIMEOUT)
    except httpx2.InvalidURL as error:
        raise _absent(url, error) from error
    async with client:
        source = SimulatorClient(client, url)
        await source.check()
        yield source


class SimulatorClient:
    """A client of the simulator's own routes. Each method raises `BenchError` when the simulator is gone."""

    def __init__(self, client: httpx2.AsyncClient, url: str) -> None:
        self._client, self._url = client, url

    async def check(self) -> None:
        """Raise `BenchError` unless it is a simulator that keeps a log."""
        _, identity = await self._get("/bench/identity")
        if identity.get("name") != _NAME:
            raise _absent(self._url, "something else answers there")
        for path in ("/bench/clock", f"/bench/sent/{_NO_NONCE}"):
            status, _ = await self._get(path)
            if status != 200:
                raise BenchError(
                    f"the simulator at {self._url} (version {identity.get('version')}) keeps no send log for others:"
                    " end it and start `bench serve` of this version"
                )

    async def responses_to(self, nonce: str) -> Sequence[UpstreamResponse]:
        """Return the simulator's responses to the question with that nonce, oldest first.

        Waits up to 2 s for their end. Only the latest responses are kept: ask as soon as an answer has arrived. No
        response at all is final: a response is in the log before its first byte arrives.
        """
        patience = time.monotonic() + _PATIENCE_S
        while True:
            _, found = await self._get(f"/bench/sent/{nonce.strip('[] ')}")
            responses = [
                UpstreamResponse(**{new: row[old] for old, new in _FIELDS.items() if old in row})
                for row in found.get("responses", ())
            ]
            if all(response.done for response in responses) or time.monotonic() > patience:
                return responses
            await asyncio.sleep(_AGAIN_S)

    async def offset(self) -> Offset:
        """Measure how far the simulator's clock is ahead of this process' clock."""
        exchanges, boots = [], set()
        for _ in range(_EXCHANGES):
            asked = time.perf_counter_ns()
            _, told = await self._get("/bench/clock")
            exchanges.append(ClockReading(asked, told["t"], time.perf_counter_ns()))
            boots.add(told["boot"])
        own = kernel.boot()
        return estimate_offset(exchanges, same_boot=own is not None and boots == {own})

    async def _get(self, path: str) -> tuple[int, Mapping[str, Any]]:
        try:
            response = await self._client.get(path)
            body = response.json()
        except httpx2.HTTPError as error:
            raise _absent(self._url, error) from error
        except ValueError as error:  # no JSON
            raise _absent(self._url, "something else answers there") from error
        if not isinstance(body, dict):
            raise _absent(self._url, "something else answers there")
        return response.status_code, body


def _absent(url: str, reason: object) -> BenchError:
    why = str(reason) or type(reason).__name__
    return BenchError(
        f"no simulator at {url} ({why.rstrip('.')}): start one with `bench serve`, or say where it is with --sim URL"
    )
