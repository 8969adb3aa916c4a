"""Run a whole plan in this process: for `bench run` and its workers, and for the small runs of other commands."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING

import pluggy

from bench.core.plugins.loader import new_manager
from bench.core.scenario import Scenario, is_sync
from bench.core.target import Target
from bench.plan import calibration
from bench.plan.choice import Choice
from bench.plan.plan import Plan
from bench.plan.settings import Settings
from bench.records.journal import Journal
from bench.run.connect import open_endpoint, open_link, open_shooter
from bench.run.context import DEADLINE_S, Context, Gate, Link, Tally
from bench.run.folder import Run
from bench.run.preflight.endpoints import CheckedTarget, redactor
from bench.run.progress import Progress
from bench.run.runner import run_plan

if TYPE_CHECKING:
    from bench.clients.load_generator.process import Shooter


@dataclass(frozen=True, kw_only=True)
class Assignment:
    """What it takes to run a plan: in this process (`run_here`), in several, or on a cluster."""

    run: Run
    plan: Plan
    choice: Choice
    endpoints: Mapping[str, CheckedTarget]
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
            name: await open_endpoint(endpoint, settings, stack, sync=sync, shooter=shooter)
            for name, endpoint in assignment.endpoints.items()
        }
        known = calibration.calibration_scenarios() if any(cell.role == "calibration" for cell in plan.cells) else []
        if known:
            target = Target(name=calibration.TARGET, base_url=choice.simulator)
            links[calibration.TARGET] = await open_link(target, stack, direct=True, shooter=shooter)
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
        await run_plan(plan, context, assignment.reporter)


async def run_small(
    plan: Plan,
    scenarios: Iterable[Scenario],
    links: Mapping[str, Link],
    folder: Path,
    *,
    reporter: Progress | None = None,
    plugins: pluggy.PluginManager | None = None,
    shooter: Shooter | None = None,
    t0: int | None = None,
    deadline_s: float = DEADLINE_S,
    store_text: bool = False,
) -> Tally:
    """Run a plan on open links and journal its trials in `folder`, which is made if it is missing.

    Scenarios are asked their own prompts, `plugins` may observe the trials, and nothing ends the plan early. Times
    count from `t0` (`perf_counter_ns`), by default from now.
    """
    known = {scenario.name: scenario for scenario in scenarios}
    folder.mkdir(exist_ok=True)  # noqa: ASYNC240  (nothing is timed yet)
    with closing(Journal(folder)) as journal:
        context = Context(
            scenarios=known,
            prompts={name: scenario.prompts for name, scenario in known.items()},
            links=links,
            hooks=(plugins or new_manager()).hook,
            journal=journal,
            t0=perf_counter_ns() if t0 is None else t0,
            deadline_s=deadline_s,
            store_text=store_text,
            shooter=shooter,
        )
        await run_plan(plan, context, reporter or Progress())
    return context.tally
