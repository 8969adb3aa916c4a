"""The connections of `--client wire`, in this process: what the shooter does for each read, and nothing around it."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from bench.clients.http.pool import Pool, Server
from bench.core.trial import Attempt
from tests.support.yardsticks.reader import DELTA, Reader
from tests.support.yardsticks.shooter import request_bytes


class WireReader:
    """One exchange at a time on the shared pool."""

    def __init__(self, pool: Pool, host: str, control: str) -> None:
        self._pool, self._host, self._control = pool, host, control

    async def read(self, client_id: str) -> int:
        """When the read came that brought the first delta."""
        done = asyncio.Event()
        attempt = Attempt(0, 0, client_id, "POST", "/v1/responses", 0, asked_stream=True, t_start=0)
        request = request_bytes(self._host, self._control, client_id)
        self._pool.exchange(request, attempt, deadline_ns=None, cold=False, on_read=None, on_end=done.set)
        await done.wait()
        if attempt.error:
            raise ConnectionError(attempt.error)
        return next(t for t, data in attempt.reads if DELTA in data)

    async def close(self) -> None:
        """The last one closes the pool; again is no error."""
        await self._pool.aclose()


async def connect(base_url: str, control: str, streams: int) -> list[Reader]:
    """So many readers on one pool."""
    url = urlsplit(base_url)
    pool = Pool(Server(str(url.hostname), int(url.port or 80), tls=False))
    return [WireReader(pool, url.netloc, control) for _ in range(streams)]
