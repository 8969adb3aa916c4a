"""Requests as the doctor sends them: over connections of the client `wire`, accepting the compression that apps do."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from bench.clients.wire.pool import Pool
from bench.clients.wire.request import Address, Call, to_json
from bench.core.trial import Attempt

ACCEPTED = "gzip, deflate"
"""What the SDK accepts as well, wherever it runs."""


def new_attempt(call: Call) -> Attempt:
    """That nothing has been sent of yet."""
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
    """The way to one hop: its connections."""

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
        """One request to its end. `plain`: nothing compressed is accepted. Cancelled, the connection is closed.

        `leave_after_s`: the client goes after so long, `Attempt.closed_early`, unless the answer has ended before.
        """
        address = self._plain if plain else self._address
        call = Call(path=address.path + path, body=to_json(body), stream=body.get("stream") is True, headers={})
        attempt = new_attempt(call)
        ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        def on_end() -> None:
            if not ended.done():
                ended.set_result(None)

        handle = self.pool.exchange(
            address.request(call, attempt.client_id),
            attempt,
            deadline_ns=perf_counter_ns() + int(self.deadline_s * 1e9),
            cold=False,
            on_read=None,
            on_end=on_end,
        )
        try:
            async with asyncio.timeout(leave_after_s):
                await ended
        except TimeoutError:
            pass
        finally:
            handle.cancel()
        return attempt

    async def aclose(self) -> None:
        """Close its connections."""
        await self.pool.aclose()
