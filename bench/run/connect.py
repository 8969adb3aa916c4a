"""What a run talks to, and the talking: simulator, preflight, the trials, the memory pass."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bench.clients.sdk.client import sdk_client, sync_client
from bench.core.ask import Options
from bench.core.scenario import Endpoint as OwnEndpoint
from bench.core.scenario import is_sync
from bench.core.target import DUMMY_KEY, OPENAI, Target
from bench.plan import calibration
from bench.plan.choice import Choice
from bench.plan.plan import Plan
from bench.plan.settings import Settings, output_tokens
from bench.records.journal import Journal
from bench.run.context import Context, Gate, Link, Progress
from bench.run.folder import Run
from bench.run.runner import run_plan

if TYPE_CHECKING:
    from bench.clients.wire.client import WireClient
    from bench.clients.wire.process import Shooter
from bench.run.endpoint import Endpoint, redactor

CALIBRATION_DEADLINE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What it takes to run a plan: in this process (`run_here`), in several, or on a cluster."""

    run: Run
    plan: Plan
    choice: Choice
    endpoints: Mapping[str, Endpoint]
    """By target."""
    settings: Settings
    journal: Journal
    reporter: Progress


async def run_here(assignment: Assignment, *, worker: str | None = None, gate: Gate | None = None) -> None:
    """Connect to every endpoint and run the plan in this process.

    `worker` and `gate` are given where several processes share the plan.
    """
    run, plan, choice, settings = assignment.run, assignment.plan, assignment.choice, assignment.settings
    async with AsyncExitStack() as stack:
        sync = any(map(is_sync, choice.scenarios))
        shooter = await open_shooter(plan, stack)
        links = {
            name: await open_link(endpoint, settings, stack, sync=sync, shooter=shooter)
            for name, endpoint in assignment.endpoints.items()
        }
        known = calibration.calibration_scenarios() if any(cell.role == "calibration" for cell in plan.cells) else []
        if known:
            links[calibration.TARGET] = await open_calibration(str(choice.simulator), stack, shooter)
        context = Context(
            scenarios={scenario.name: scenario for scenario in (*choice.scenarios, *known)},
            prompts={**choice.prompts, **{scenario.name: scenario.prompts for scenario in known}},
            links=links,
            hooks=choice.registry.manager.hook,
            journal=assignment.journal,
            t0=run.t0,
            deadline_s=settings.deadline,
            store_text=settings.store_text,
            redact=redactor(choice),
            tally=run.tally,
            stopping=run.stopping,
            guard=run.guard,
            shooter=shooter,
            max_in_flight=settings.max_in_flight,
            events=settings.events,
            worker=worker,
            gate=gate,
        )
        await run_plan(assignment.plan, context, assignment.reporter)


async def open_shooter(plan: Plan, stack: AsyncExitStack) -> Shooter | None:
    """The process that sends and reads for the client `wire`, where the plan has a cell of it."""
    if not any(cell.client == "wire" for cell in plan.cells):
        return None
    from bench.clients.wire.process import Shooter  # noqa: PLC0415  (only where there is one)

    return await stack.enter_async_context(await Shooter.start())


async def open_wire(
    base_url: str,
    key: str,
    headers: Mapping[str, str],
    deadline_s: float,
    shooter: Shooter | None,
    stack: AsyncExitStack,
    *,
    own_environment: bool = False,
    direct: bool = False,
) -> WireClient | None:
    """The client `wire` for one server; the last two as `WireClient` has them."""
    if shooter is None:
        return None
    from bench.clients.wire.client import WireClient  # noqa: PLC0415

    client = WireClient(
        base_url,
        key=key,
        headers=headers,
        own_environment=own_environment,
        direct=direct,
        shooter=shooter,
        deadline_s=deadline_s,
    )
    stack.push_async_callback(client.aclose)
    return client


async def open_link(
    endpoint: Endpoint, settings: Settings, stack: AsyncExitStack, *, sync: bool, shooter: Shooter | None = None
) -> Link:
    """One client, and so one connection pool, per target; a synchronous one beside it where a scenario needs that."""
    target, base_url = endpoint.target, endpoint.target.base_url or ""
    asked: dict[str, Any] = {
        "key": endpoint.key,
        "headers": endpoint.headers,
        "max_retries": settings.max_retries,
        "own_environment": target.name == OPENAI,
        "direct": target.simulated,
    }
    client, tap = sdk_client(base_url, **asked)
    await stack.enter_async_context(client)
    wire = await open_wire(
        base_url,
        endpoint.key,
        endpoint.headers,
        settings.deadline,
        shooter,
        stack,
        own_environment=asked["own_environment"],
        direct=asked["direct"],
    )
    link = Link(
        target=target,
        client=client,
        tap=tap,
        options=options_for(endpoint, settings),
        endpoint=OwnEndpoint(base_url=base_url, api_key=endpoint.key, headers=endpoint.headers),
        wire=wire,
    )
    if not sync:
        return link
    other, sync_tap = sync_client(base_url, tap, **asked)
    stack.enter_context(other)
    return replace(link, sync_client=other, sync_tap=sync_tap)


async def open_calibration(base_url: str, stack: AsyncExitStack, shooter: Shooter | None = None) -> Link:
    """The way to the simulator at that address for calibration streams: connections that no other cell uses."""
    asked: dict[str, Any] = {"key": DUMMY_KEY, "headers": {}, "own_environment": False, "direct": True}
    client, tap = sdk_client(base_url, max_retries=0, **asked)
    await stack.enter_async_context(client)
    target = Target(name=calibration.TARGET, base_url=base_url)
    wire = await open_wire(base_url, DUMMY_KEY, {}, CALIBRATION_DEADLINE_S, shooter, stack, direct=True)
    return Link(target=target, client=client, tap=tap, options=Options(), wire=wire)


def options_for(endpoint: Endpoint, settings: Settings) -> Options:
    """What every request to this endpoint asks for: kept in the manifest as well."""
    return Options(
        output_tokens=output_tokens(endpoint.target, settings) if endpoint.checked.length else None,
        temperature=endpoint.checked.temperature,
        control=_control(settings) if endpoint.target.simulated else {},
    )


def _control(settings: Settings) -> dict[str, Any]:
    """What the simulator is asked for in every trial. Faults too: nothing but a trial is to meet one."""
    return {"profile": settings.profile, **({"faults": list(settings.faults)} if settings.faults else {})}
