"""The openai SDK as an app uses it: the time in which an event is handed over."""

from __future__ import annotations

from time import perf_counter_ns
from typing import Any

import httpx2
import openai

from tests.support.yardsticks.reader import DELTA, Reader, body_for


class SdkReader:
    """A task's turns on the shared client."""

    def __init__(self, client: openai.AsyncOpenAI, control: str) -> None:
        self._client, self._body = client, body_for(control)

    async def read(self, client_id: str) -> int:
        """When the first delta was handed over."""
        first, headers = 0, {"X-Client-Request-Id": client_id}
        create: Any = self._client.responses.create
        async with await create(**self._body, extra_headers=headers) as stream:
            async for event in stream:
                if not first and event.type == DELTA.decode():
                    first = perf_counter_ns()
        return first

    async def close(self) -> None:
        """The last one closes the client; again is no error."""
        await self._client.close()


async def connect(base_url: str, control: str, streams: int) -> list[Reader]:
    """So many readers on one client without a limit of its own."""
    http = openai.DefaultAsyncHttpx2Client(limits=httpx2.Limits(max_connections=None), trust_env=False)
    client = openai.AsyncOpenAI(base_url=base_url, api_key="none", http_client=http, timeout=600, max_retries=0)
    return [SdkReader(client, control) for _ in range(streams)]
