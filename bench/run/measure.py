"""Measure the trials and the memory of a plan."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from bench.core.params import default_text
from bench.core.scenario import Scenario
from bench.core.trial import TrialLost
from bench.plan import consumers as consuming
from bench.plan.choice import Choice
from bench.plan.plan import Plan
from bench.plan.selection import CORE
from bench.plan.settings import Settings
from bench.records.journal import Journal, columns_of
from bench.run.assignment import Assignment, run_here
from bench.run.folder import Run
from bench.run.liveview.messages import run_view
from bench.run.memory import consumers as consumers_
from bench.run.memory.measure import LENGTHS, METERS, WORKERS, Job, measure
from bench.run.preflight.endpoints import CheckedTarget
from bench.run.progress import progress
from bench.run.workers.dask.cluster import run_on_cluster
from bench.run.workers.processes import run_in_processes

MEMORY_SECONDS = 20.0


def measure_trials(
    run: Run, plan: Plan, choice: Choice, endpoints: Mapping[str, CheckedTarget], settings: Settings, journal: Journal
) -> bool:
    """Run the plan. Outcomes are counted in `run.tally`; `run.lost` says which measuring process was lost.

    Returns False if the run was interrupted.
    """
    most = settings.precision is not None or bool(settings.budgets)
    seconds = plan.seconds if not most and (plan.size is None or plan.open_loop_only) else None
    with progress(plan.size, "trials", most=most, seconds=seconds, run_view=run_view(plan, run)) as reporter:
        assignment = Assignment(
            run=run,
            plan=plan,
            choice=choice,
            endpoints=endpoints,
            settings=settings,
            journal=journal,
            reporter=reporter,
        )
        try:
            asyncio.run(_carrier(settings)(assignment))
        except (KeyboardInterrupt, asyncio.CancelledError):
            return False
        except TrialLost as error:
            run.lost = str(error)
    return True


def _carrier(settings: Settings) -> Callable[[Assignment], Coroutine[Any, Any, None]]:
    """Return the function that runs the plan: in this process, in several of this machine, or on a cluster."""
    if settings.scheduler is not None:
        return run_on_cluster
    if settings.workers > 1:
        return run_in_processes
    return run_here


def measure_memory(choice: Choice, journal: Journal, *, consumers: bool = True) -> tuple[bool, list[str]]:
    """Run the memory pass on a simulator of its own. Return whether it was completed, and notes on what is missing.

    With `consumers`, the ways of consuming an answer are measured too, after the first scenarios.
    """
    scenarios = sorted((scenario for scenario in choice.scenarios if scenario.memory), key=memory_rank)
    if not scenarios:
        return True, ["no memory pass: no chosen scenario takes part in it"]
    jobs = [_job(choice, scenario) for scenario in scenarios]
    jobs[WORKERS:WORKERS] = consumers_.consumer_jobs() if consumers else []
    with progress(_points(scenarios, consumers=consumers), "memory") as reporter:
        try:
            rows, notes = measure(jobs, seconds=MEMORY_SECONDS, on_progress=lambda row: reporter.step(row["scenario"]))
        except KeyboardInterrupt:
            return False, ["the memory pass was interrupted; it has no figures"]
        reporter.skip_rest()
    journal.write({"memory": columns_of("memory", rows)})
    return True, notes


def memory_rank(scenario: Scenario) -> tuple[bool, bool]:
    """Return the sort key of a scenario: the core set first, and in it Responses before Chat Completions."""
    return CORE not in scenario.tags, scenario.api != "responses"


def _points(scenarios: Sequence[Scenario], *, consumers: bool) -> int:
    deliveries = sum(2 if scenario.blocking else 1 for scenario in scenarios)
    ways = (len(consuming.CONSUMERS) + 1) * len(consuming.LENGTHS) if consumers else 0  # one is blocking as well
    return deliveries * len(LENGTHS) * len(METERS) + ways


def _job(choice: Choice, scenario: Scenario) -> Job:
    """Return the job of a scenario, with its default parameters if they are chosen, else with the first chosen."""
    chosen, default = choice.params[scenario.name], default_text(scenario)
    found = choice.registry.scenarios[scenario.name][1]
    source = found.path or found.module.__name__  # an entry point may have no file
    return Job(scenario.name, source, default if default in chosen else chosen[0])
