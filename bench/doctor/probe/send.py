"""Requests as the doctor sends them: over connections of the client `wire`, accepting the compression that apps do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from bench.clients.http.pool import Pool
from bench.clients.wire.request import Address, Call, to_json
from bench.core.trial import Attempt

ACCEPTED = "gzip, deflate"
"""The compression that the SDK accepts as well, wherever it runs."""


def new_attempt(call: Call) -> Attempt:
    """Return the record of a request of which nothing has been sent yet."""
    return Attempt(
        request=0,
        number=0,
        client_id=f"bench-{uuid.uuid4().hex}",
        method="POST",
        path=call.path,
        retry_count=0,
        asked_stream=call.stream,
        sent=call.body,
        t_start=perf_counter_ns(),
    )


@dataclass
class HopConnection:
    """The connections to one hop."""

    base_url: str
    key: str
    headers: Mapping[str, str]
    deadline_s: float
    pool: Pool = field(init=False)

    def __post_init__(self) -> None:
        self._address = Address(self.base_url, self.key, self.headers, accept_encoding=ACCEPTED)
        self._plain = Address(self.base_url, self.key, self.headers)
        self.pool = Pool(self._address.server)

    async def send(
        self, path: str, body: Mapping[str, Any], *, plain: bool = False, leave_after_s: float | None = None
    ) -> Attempt:
        """Send one request and wait for its end. Cancelled, the connection is closed.

        `plain`: accept no compression. `leave_after_s`: close the connection after this many seconds, unless the answer
        has ended before (`Attempt.closed_early`).
        """
        address = self._plain if plain else self._address
        call = Call(path=address.path + path, body=to_json(body), stream=body.get("stream") is True, headers={})
        attempt = new_attempt(call)
        end = asyncio.Event()
        handle = self.pool.exchange(
            address.request(call, attempt.client_id),
            attempt,
            deadline_ns=perf_counter_ns() + int(self.deadline_s * 1e9),
            cold=False,
            on_read=None,
            on_end=end.set,
        )
        try:
            async with asyncio.timeout(leave_after_s):
                await end.wait()
        except TimeoutError:
            pass
        finally:
            handle.cancel()
        return attempt

    async def aclose(self) -> None:
        """Close the connections."""
        await self.pool.aclose()
