"""`bench calibrate`: what this instrument adds on this machine, at several loads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import TypeVar

import pluggy

from bench.core import hookspecs
from bench.core.errors import NotEnough
from bench.core.load import Load
from bench.plan import calibration
from bench.plan.plan import Plan, PlannedTrial, Segment
from bench.plan.schedule import Amount, make_plan
from bench.records.journal import PLAN, Journal, write_json
from bench.records.schema import SCHEMA_VERSION
from bench.run import connect as session
from bench.run.context import Context
from bench.run.folder import Run, end
from bench.run.progress import Reporter, progress
from bench.run.runner import run_plan
from bench.simulator.process import running

Planned = TypeVar("Planned", PlannedTrial, Segment)
DEADLINE_S = 30.0
WARM_UP = 3
SEED = 0


@dataclass(frozen=True)
class Measured:
    """The calibration streams of one load, before they are analysed."""

    concurrency: int
    run: Run
    journal: Journal
    truth: Path


def calibrate(levels: Sequence[int], trials: int, *, client: str = "sdk", json: bool) -> int:
    """Calibrate a client at each number of trials at a time and print what came of it. Returns the exit code.

    `trials`: streamed ones at each level, and as many blocking ones. Raises `NotEnough` when none of a level was ok.
    """
    with TemporaryDirectory() as name:
        measured = [measure_level(level, trials, Path(name) / str(level), client) for level in sorted(set(levels))]
        # analysed when all is measured: pandas and its like have no place in a process that measures
        from bench.testing.calibrate.table import as_json, as_table, level_of  # noqa: PLC0415

        found = [level_of(one.concurrency, finished(one)) for one in measured]
    for one in found:
        if one.failed == one.offered:
            raise NotEnough(f"no calibration stream was ok at {one.concurrency} at a time; run again, idle")
    print(as_json(found) if json else as_table(found))  # noqa: T201
    return 0


def measure_level(concurrency: int, trials: int, folder: Path, client: str = "sdk") -> Measured:
    """Carry out the calibration of one load in a new folder, on a simulator of its own."""
    folder.mkdir()
    plan = calibration_plan(concurrency, trials, client)
    write_json(folder / PLAN, plan.to_json())
    run = Run(folder=folder, t0=perf_counter_ns(), manifest=_manifest())
    journal, truth = Journal(folder), folder / "truth.jsonl"
    with running(truth=truth) as simulator, progress(plan.size, f"{concurrency} at a time") as reporter:
        asyncio.run(_carried_out(plan, run, journal, simulator.base_url, reporter))
    return Measured(concurrency, run, journal, truth)


def calibration_plan(concurrency: int, trials: int, client: str = "sdk") -> Plan:
    """So many pairs of the first calibration cell, and nothing else."""
    cells = calibration.calibration_cells(0, [Load(concurrency=concurrency)], [client])[:1]
    plan = make_plan(cells, pairs=trials, warmup=WARM_UP, seed=SEED, amount=Amount(requests=trials))
    return replace(plan, trials=tuple(map(_known, plan.trials)), segments=tuple(map(_known, plan.segments)))


def _known(one: Planned) -> Planned:
    """What would be measured calibrates."""
    return replace(one, phase="calibrate") if one.phase == "measure" else one


async def _carried_out(plan: Plan, run: Run, journal: Journal, base_url: str, reporter: Reporter) -> None:
    manager = pluggy.PluginManager("bench")
    manager.add_hookspecs(hookspecs)
    scenarios = {scenario.name: scenario for scenario in calibration.calibration_scenarios()}
    async with AsyncExitStack() as stack:
        shooter = await session.open_shooter(plan, stack)
        context = Context(
            scenarios=scenarios,
            prompts={name: scenario.prompts for name, scenario in scenarios.items()},
            links={calibration.TARGET: await session.open_calibration(base_url, stack, shooter)},
            shooter=shooter,
            hooks=manager.hook,
            journal=journal,
            t0=run.t0,
            deadline_s=DEADLINE_S,
            store_text=False,
            redact=str,
            tally=run.tally,
        )
        await run_plan(plan, context, reporter)


def _manifest() -> dict[str, object]:
    """As much as reading the folder takes: nobody keeps it."""
    empty: dict[str, object] = {"command": [], "versions": {}, "notes": []}
    return {"schema_version": SCHEMA_VERSION, "run_id": "calibrate", "created": "", **empty}


def finished(measured: Measured) -> Path:
    """The folder, ready to be read."""
    with closing(measured.journal):
        end(measured.run, measured.journal, measured.truth, ended="finished", notes=[])
    return measured.run.folder
