"""The simulator behind the gateway, asked directly: is it one, what did it send when, and by which clock?"""

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
_RENAMED = {"type": "types", "bytes": "sizes"}
_FIELDS = {field.name for field in fields(UpstreamResponse)}


@asynccontextmanager
async def simulator_at(url: str = DEFAULT_SIM) -> AsyncIterator[SimulatorClient]:
    """The simulator with that base URL. Raises `BenchError` where there is none, or one without a log to ask for."""
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
    """A simulator's answers about itself. Each raises `BenchError` when the simulator is gone."""

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
        """What was sent to the question with that nonce, oldest first; it waits up to 2 s until that has ended.

        Only the latest responses are kept: ask as soon as an answer has arrived. None at all is final: what arrives is
        in the log before.
        """
        patience = time.monotonic() + _PATIENCE_S
        while True:
            _, found = await self._get(f"/bench/sent/{nonce.strip('[] ')}")
            responses = [_upstream(row) for row in found.get("responses", ())]
            if all(response.done for response in responses) or time.monotonic() > patience:
                return responses
            await asyncio.sleep(_AGAIN_S)

    async def offset(self) -> Offset:
        """How far its clock is ahead of this process'."""
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


def _upstream(row: Mapping[str, Any]) -> UpstreamResponse:
    known = ((_RENAMED.get(name, name), value) for name, value in row.items())
    return UpstreamResponse(**{name: value for name, value in known if name in _FIELDS})


def _absent(url: str, reason: object) -> BenchError:
    why = str(reason) or type(reason).__name__
    return BenchError(
        f"no simulator at {url} ({why.rstrip('.')}): start one with `bench serve`, or say where it is with --sim URL"
    )
