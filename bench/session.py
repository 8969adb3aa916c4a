"""What a run talks to, and the talking: simulator, preflight, the trials, the memory pass."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Mapping
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from bench.asks import Options
from bench.choice import Choice, Settings, output_tokens
from bench.clients.sdk import sdk_client
from bench.endpoint import expanded_headers, key_for, secrets_of
from bench.folder import Run
from bench.meters.memory import LENGTHS, Job, measure
from bench.plan import Plan
from bench.preflight import Checked, preflight
from bench.progress import Reporter, progress, say
from bench.records import Journal, columns_of
from bench.redact import Redactor
from bench.runner import Context, Link, carry_out
from bench.scenario import Api, Scenario
from bench.simulator.process import running
from bench.target import OPENAI, Target

MEMORY_SECONDS = 20.0


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """A target with its address and what preflight found there."""

    target: Target
    key: str
    headers: Mapping[str, str]
    checked: Checked


@contextmanager
def simulator_for(choice: Choice, settings: Settings, truth: Path) -> Iterator[Choice]:
    """Start the simulator where a chosen target is `sim`: the choice with its address in that target.

    It logs its send times to `truth`, whole only when the block has been left.
    """
    if not any(target.simulated for target, _ in choice.targets):
        yield choice
        return
    with running(profile=settings.profile, truth=truth) as simulator:
        targets = [
            (replace(target, base_url=simulator.base_url) if target.simulated else target, model)
            for target, model in choice.targets
        ]
        yield replace(choice, targets=targets)


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


def redactor(choice: Choice) -> Redactor:
    """Hides every secret of every target in any text that is stored."""
    return Redactor(secret for target, _ in choice.targets for secret in secrets_of(target, os.environ))


def measure_trials(
    run: Run, plan: Plan, choice: Choice, endpoints: Mapping[str, Endpoint], settings: Settings, journal: Journal
) -> bool:
    """Carry the plan out; what came of it is counted in `run.tally`. False: it was interrupted."""
    with progress(len(plan.trials), "trials") as reporter:
        try:
            asyncio.run(_measure(run, plan, choice, endpoints, settings, journal, reporter))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return False
    return True


async def _measure(
    run: Run,
    plan: Plan,
    choice: Choice,
    endpoints: Mapping[str, Endpoint],
    settings: Settings,
    journal: Journal,
    reporter: Reporter,
) -> None:
    async with AsyncExitStack() as stack:
        links = {name: await _link(endpoint, settings, stack) for name, endpoint in endpoints.items()}
        context = Context(
            scenarios={scenario.name: scenario for scenario in choice.scenarios},
            prompts=choice.prompts,
            links=links,
            hooks=choice.registry.manager.hook,
            journal=journal,
            t0=run.t0,
            deadline_s=settings.deadline,
            store_text=settings.store_text,
            redact=redactor(choice),
            tally=run.tally,
        )
        await carry_out(plan, context, reporter)


async def _link(endpoint: Endpoint, settings: Settings, stack: AsyncExitStack) -> Link:
    """One client, and so one connection pool, per target."""
    target = endpoint.target
    client, tap = sdk_client(
        target.base_url or "",
        key=endpoint.key,
        headers=endpoint.headers,
        max_retries=settings.max_retries,
        own_environment=target.name == OPENAI,
        direct=target.simulated,
    )
    await stack.enter_async_context(client)
    return Link(target=target, client=client, tap=tap, options=options_for(endpoint, settings))


def options_for(endpoint: Endpoint, settings: Settings) -> Options:
    """What every request to this endpoint asks for: kept in the manifest as well."""
    return Options(
        output_tokens=output_tokens(endpoint.target, settings) if endpoint.checked.length else None,
        temperature=endpoint.checked.temperature,
        control={"profile": settings.profile} if endpoint.target.simulated else {},
    )


def notices_of(endpoints: Mapping[str, Endpoint]) -> list[str]:
    return [notice for endpoint in endpoints.values() for notice in endpoint.checked.notices]


def measure_memory(choice: Choice, journal: Journal) -> tuple[bool, list[str]]:
    """The memory pass, always on a simulator of its own. (Was it carried through?, notes on what is missing)."""
    jobs = [Job(scenario.name, _source(choice, scenario)) for scenario in choice.scenarios]
    with progress(_points(choice), "memory") as reporter:
        try:
            rows, notes = measure(jobs, seconds=MEMORY_SECONDS, on_progress=lambda row: reporter.step(row["scenario"]))
        except KeyboardInterrupt:
            return False, ["the memory pass was interrupted; it has no figures"]
    journal.write({"memory": columns_of("memory", rows)})
    return True, notes


def _points(choice: Choice) -> int:
    deliveries = sum(2 if scenario.blocking else 1 for scenario in choice.scenarios)
    return deliveries * len(LENGTHS) * 2  # tracemalloc and RSS


def _source(choice: Choice, scenario: Scenario) -> Path | str:
    """The file of the scenario's plugin, or its module where it came from an entry point."""
    found = choice.registry.scenarios[scenario.name][1]
    return found.path or found.module.__name__
