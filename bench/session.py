"""What a run talks to, and the talking: simulator, preflight, the trials, the memory pass."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import calibration
from bench.asks import Options
from bench.call import is_sync
from bench.choice import Choice, Settings, calibrates, output_tokens
from bench.clients.sdk import sdk_client, sync_client
from bench.endpoint import expanded_headers, key_for, secrets_of
from bench.folder import Run
from bench.liveview.told import watched
from bench.meters import consuming
from bench.meters.memory import LENGTHS, METERS, WORKERS, Job, measure
from bench.outcome import Lost
from bench.params import default_text
from bench.plan import Plan
from bench.preflight import Checked, preflight
from bench.progress import progress, say
from bench.records import Journal, columns_of
from bench.redact import Redactor
from bench.runner import Context, Gate, Link, Progress, carry_out
from bench.scenario import Api, Scenario
from bench.scenario import Endpoint as OwnEndpoint
from bench.selection import CORE
from bench.simulator.process import running
from bench.target import DUMMY_KEY, OPENAI, Target

if TYPE_CHECKING:
    from bench.clients.wire.client import WireClient
    from bench.clients.wire.process import Shooter

MEMORY_SECONDS = 20.0
CALIBRATION_DEADLINE_S = 30.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A target with its address and what preflight found there."""

    target: Target
    key: str
    headers: Mapping[str, str]
    checked: Checked


@contextmanager
def simulator_for(choice: Choice, settings: Settings, truth: Path) -> Iterator[Choice]:
    """Start the simulator where a chosen target is `sim`, or the run calibrates itself: the choice with its address.

    It logs its send times to `truth`, whole only when the block has been left.
    """
    if not (calibrates(settings) or any(target.simulated for target, _ in choice.targets)):
        yield choice
        return
    with running(profile=settings.profile, truth=truth, script=settings.script) as simulator:
        targets = [
            (replace(target, base_url=simulator.base_url) if target.simulated else target, model)
            for target, model in choice.targets
        ]
        yield replace(choice, targets=targets, simulator=simulator.base_url)


def check_endpoints(choice: Choice) -> dict[str, Endpoint]:
    """Preflight every target, by name. Says its notices."""
    wanted: dict[str, tuple[Target, list[str]]] = {}
    for target, model in choice.targets:
        models = wanted.setdefault(target.name, (target, []))[1]
        models += [model] if model else []
    return asyncio.run(_check_all(wanted, {scenario.api for scenario in choice.scenarios}))


async def _check_all(wanted: Mapping[str, tuple[Target, list[str]]], apis: set[Api]) -> dict[str, Endpoint]:
    found = {}
    for name, (target, models) in wanted.items():
        key, headers = key_for(target, os.environ), expanded_headers(target, os.environ)
        checked = await preflight(target, models, apis, key=key, headers=headers)
        for notice in checked.notices:
            say(notice)
        found[name] = Endpoint(target=target, key=key, headers=headers, checked=checked)
    return found


def without_missing(choice: Choice, endpoints: Mapping[str, Endpoint]) -> Choice:
    """The choice, each target lacking the APIs that preflight did not find there."""
    missing = {name: sorted(endpoint.checked.missing) for name, endpoint in endpoints.items()}
    targets = [
        (replace(target, lacks=[*target.lacks, *missing[target.name]]), model) for target, model in choice.targets
    ]
    return replace(choice, targets=targets)


def redactor(choice: Choice) -> Redactor:
    """Hides every secret of every target in any text that is stored."""
    return Redactor(secret for target, _ in choice.targets for secret in secrets_of(target, os.environ))


def measure_trials(
    run: Run, plan: Plan, choice: Choice, endpoints: Mapping[str, Endpoint], settings: Settings, journal: Journal
) -> bool:
    """Carry the plan out; what came of it is counted in `run.tally`, and what was lost said in `run.lost`.

    False: it was interrupted.
    """
    most = settings.precision is not None or bool(settings.budgets)
    seconds = plan.seconds if not most and (plan.size is None or plan.scheduled) else None
    with progress(plan.size, "trials", most=most, seconds=seconds, watched=watched(plan, run)) as reporter:
        try:
            asyncio.run(_carrier(settings)(run, plan, choice, endpoints, settings, journal, reporter))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return False
        except Lost as error:
            run.lost = str(error)
    return True


def _carrier(settings: Settings) -> Callable[..., Coroutine[Any, Any, None]]:
    """Who carries the plan out: this process, several of this machine, or those of a cluster."""
    if settings.scheduler is not None:
        from bench.cluster import carry_out_on  # noqa: PLC0415  (only where it is asked for)

        return carry_out_on
    if settings.workers > 1:
        from bench.workers import carry_out_by  # noqa: PLC0415

        return carry_out_by
    return carry_out_in


async def carry_out_in(
    run: Run,
    plan: Plan,
    choice: Choice,
    endpoints: Mapping[str, Endpoint],
    settings: Settings,
    journal: Journal,
    reporter: Progress,
    *,
    worker: str | None = None,
    gate: Gate | None = None,
) -> None:
    """Connect to every endpoint and carry the plan out there; the last two where several processes do."""
    async with AsyncExitStack() as stack:
        sync = any(map(is_sync, choice.scenarios))
        shooter = await open_shooter(plan, stack)
        links = {
            name: await open_link(endpoint, settings, stack, sync=sync, shooter=shooter)
            for name, endpoint in endpoints.items()
        }
        known = calibration.calibration_scenarios() if any(cell.role == "calibration" for cell in plan.cells) else []
        if known:
            links[calibration.TARGET] = await open_calibration(str(choice.simulator), stack, shooter)
        context = Context(
            scenarios={scenario.name: scenario for scenario in (*choice.scenarios, *known)},
            prompts={**choice.prompts, **{scenario.name: scenario.prompts for scenario in known}},
            links=links,
            hooks=choice.registry.manager.hook,
            journal=journal,
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
        await carry_out(plan, context, reporter)


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


def notices_of(endpoints: Mapping[str, Endpoint]) -> list[str]:
    return [notice for endpoint in endpoints.values() for notice in endpoint.checked.notices]


def measure_memory(choice: Choice, journal: Journal, *, consumers: bool = True) -> tuple[bool, list[str]]:
    """The memory pass, always on a simulator of its own. (Was it carried through?, notes on what is missing).

    `consumers`: the ways of consuming an answer too, after the first scenarios.
    """
    scenarios = sorted((scenario for scenario in choice.scenarios if scenario.memory), key=memory_rank)
    if not scenarios:
        return True, ["no memory pass: no chosen scenario takes part in it"]
    jobs = [Job(scenario.name, _source(choice, scenario), _params(choice, scenario)) for scenario in scenarios]
    jobs[WORKERS:WORKERS] = consuming.consumer_jobs() if consumers else []
    with progress(_points(scenarios, consumers=consumers), "memory") as reporter:
        try:
            rows, notes = measure(jobs, seconds=MEMORY_SECONDS, on_progress=lambda row: reporter.step(row["scenario"]))
        except KeyboardInterrupt:
            return False, ["the memory pass was interrupted; it has no figures"]
        reporter.rest()
    journal.write({"memory": columns_of("memory", rows)})
    return True, notes


def memory_rank(scenario: Scenario) -> tuple[bool, bool]:
    """There is seldom time for all: the core set comes first, and of it that of Responses."""
    return CORE not in scenario.tags, scenario.api != "responses"


def _points(scenarios: Sequence[Scenario], *, consumers: bool) -> int:
    deliveries = sum(2 if scenario.blocking else 1 for scenario in scenarios)
    ways = (len(consuming.CONSUMERS) + 1) * len(consuming.LENGTHS) if consumers else 0  # one is blocking as well
    return deliveries * len(LENGTHS) * len(METERS) + ways


def _params(choice: Choice, scenario: Scenario) -> str:
    """The parameters to measure memory with: the defaults, where they are among the chosen."""
    chosen, default = choice.params[scenario.name], default_text(scenario)
    return default if default in chosen else chosen[0]


def _source(choice: Choice, scenario: Scenario) -> Path | str:
    """The file of the scenario's plugin, or its module where it came from an entry point."""
    found = choice.registry.scenarios[scenario.name][1]
    return found.path or found.module.__name__
