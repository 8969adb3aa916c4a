"""Open the clients of each target, and the load generator of the client `wire`."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from bench.clients.load_generator.process import Shooter
from bench.clients.sdk.client import sdk_client, sync_client
from bench.clients.wire.client import WireClient
from bench.core.ask import Options
from bench.core.scenario import Endpoint
from bench.core.target import DUMMY_KEY, OPENAI, Target
from bench.plan.plan import Plan
from bench.plan.settings import Settings
from bench.run.context import DEADLINE_S, Link
from bench.run.preflight.endpoints import CheckedTarget


async def open_shooter(plan: Plan, stack: AsyncExitStack) -> Shooter | None:
    """Start the process that sends and reads for the client `wire`; None if no cell of the plan uses that client."""
    if not any(cell.client == "wire" for cell in plan.cells):
        return None
    return await stack.enter_async_context(await Shooter.start())


async def open_endpoint(
    endpoint: CheckedTarget, settings: Settings, stack: AsyncExitStack, *, sync: bool, shooter: Shooter | None = None
) -> Link:
    """Open the clients of a target that preflight has checked. The arguments are those of `open_link`."""
    return await open_link(
        endpoint.target,
        stack,
        key=endpoint.key,
        headers=endpoint.headers,
        options=endpoint.options(settings),
        max_retries=settings.max_retries,
        deadline_s=settings.deadline,
        direct=endpoint.target.simulated,
        sync=sync,
        shooter=shooter,
    )


async def open_link(
    target: Target,
    stack: AsyncExitStack,
    *,
    key: str = DUMMY_KEY,
    headers: Mapping[str, str] | None = None,
    options: Options | None = None,
    max_retries: int = 0,
    deadline_s: float = DEADLINE_S,
    direct: bool = False,
    sync: bool = False,
    shooter: Shooter | None = None,
) -> Link:
    """Open one client, and so one connection pool, for a target; `stack` closes it.

    `sync` adds a client for synchronous scenarios, `shooter` the client `wire`. `direct` bypasses any proxy.
    """
    base_url = target.base_url or ""
    asked: dict[str, Any] = {
        "key": key,
        "headers": headers or {},
        "own_environment": target.name == OPENAI,
        "direct": direct,
    }
    client, tap = sdk_client(base_url, max_retries=max_retries, **asked)
    await stack.enter_async_context(client)
    link = Link(
        target=target,
        client=client,
        tap=tap,
        options=options or Options(),
        endpoint=Endpoint(base_url=base_url, api_key=key, headers=asked["headers"]),
    )
    if shooter is not None:
        wire = WireClient(base_url, shooter=shooter, deadline_s=deadline_s, **asked)
        stack.push_async_callback(wire.aclose)
        link = replace(link, wire=wire)
    if sync:
        other, sync_tap = sync_client(base_url, tap, max_retries=max_retries, **asked)
        stack.enter_context(other)
        link = replace(link, sync_client=other, sync_tap=sync_tap)
    return link
