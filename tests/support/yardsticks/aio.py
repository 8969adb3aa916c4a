"""aiohttp, as a load tool uses it: the time of each line, then its JSON."""

from __future__ import annotations

from time import perf_counter_ns

import aiohttp
import orjson

from tests.support.yardsticks.reader import DELTA, Reader, body_for


class AioReader:
    """A task's turns on the shared session."""

    def __init__(self, session: aiohttp.ClientSession, base_url: str, control: str) -> None:
        self._session, self._url, self._body = session, f"{base_url}/responses", body_for(control)

    async def read(self, client_id: str) -> int:
        """When the line of the first delta was handed over."""
        first, headers = 0, {"X-Client-Request-Id": client_id}
        async with self._session.post(self._url, json=self._body, headers=headers) as response:
            async for line in response.content:
                now = perf_counter_ns()
                if line.startswith(b"data: "):
                    orjson.loads(line[6:])
                    if not first and DELTA in line:
                        first = now
        return first

    async def close(self) -> None:
        """The last one closes the session; again is no error."""
        await self._session.close()


async def connect(base_url: str, control: str, streams: int) -> list[Reader]:
    """So many readers on one session without a limit of its own."""
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout(600))
    return [AioReader(session, base_url, control) for _ in range(streams)]
