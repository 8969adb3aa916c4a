"""The process that sends and reads for `--client wire`, without what `bench run` does around it."""

from __future__ import annotations

import asyncio
import time
from typing import Any
from urllib.parse import urlsplit

import orjson

from bench.clients.load_generator.process import GroupCost, Pace, Server, Shooter
from bench.core.trial import Attempt
from tests.support.yardsticks.processes import most_memory
from tests.support.yardsticks.reader import DELTA, body_for

DEADLINE_S = 600.0


async def measure(base_url: str, control: str, streams: int, requests: int) -> dict[str, Any]:
    """Warm up, then read so many answers; the CPU is the shooter's, and in `parent_cpu_ns` that of taking its reads."""
    async with await Shooter.start() as shooter:
        await _group(shooter, base_url, control, streams, ["warm-up"] * streams)
        cpu = time.process_time_ns()
        spent, first = await _group(shooter, base_url, control, streams, [f"y{n}" for n in range(requests)])
        parent = time.process_time_ns() - cpu
        memory = most_memory(shooter.pid)
    return {
        "cpu_ns": spent.cpu_ns,
        "wall_ns": spent.wall_ns,
        "parent_cpu_ns": parent,
        "most_memory": memory,
        "t_first": first,
    }


async def _group(
    shooter: Shooter, base_url: str, control: str, streams: int, client_ids: list[str]
) -> tuple[GroupCost, dict[str, int]]:
    """All of them, so many at a time."""
    url, first = urlsplit(base_url), dict[str, int]()
    server = Server(str(url.hostname), int(url.port or 80), tls=False)
    await shooter.begin(Pace(slots=streams), 0)

    async def one(client_id: str) -> None:
        attempt = Attempt(0, 0, client_id, "POST", "/v1/responses", 0, asked_stream=True, t_start=0)
        request = request_bytes(url.netloc, control, client_id)
        shot = shooter.fire(server, request, attempt, due=None, deadline_s=DEADLINE_S, cold=False, on_fired=None)
        await shot.wait()
        if attempt.error:
            raise ConnectionError(attempt.error)
        first[client_id] = next(t for t, data in attempt.reads if DELTA in data)

    await asyncio.gather(*map(one, client_ids))
    return await shooter.end(), first


def request_bytes(host: str, control: str, client_id: str) -> bytes:
    """A whole request."""
    body = orjson.dumps(body_for(control))
    lines = ["POST /v1/responses HTTP/1.1", f"host: {host}", f"content-length: {len(body)}"]
    return "\r\n".join([*lines, f"x-client-request-id: {client_id}", "", ""]).encode() + body
