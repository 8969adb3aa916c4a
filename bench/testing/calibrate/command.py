"""Carry out `bench calibrate`: measure what this instrument adds on this machine, at several loads."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack, closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns

from bench.core.errors import NotEnough
from bench.core.load import Load
from bench.core.target import Target
from bench.plan import calibration
from bench.plan.plan import Plan
from bench.plan.schedule import Amount, make_plan
from bench.records.journal import PLAN, Journal, write_json
from bench.records.schema import SCHEMA_VERSION
from bench.run.assignment import run_small
from bench.run.connect import open_link, open_shooter
from bench.run.folder import Run, end
from bench.run.progress import ProgressReporter, progress
from bench.simulator.process import running

TRUTH = "truth.jsonl"
WARM_UP = 3
SEED = 0


def calibrate(levels: Sequence[int], trials: int, *, client: str = "sdk", json: bool) -> int:
    """Calibrate a client at each concurrency and print the result. Returns the exit code.

    `trials`: pairs at each level. Raises `NotEnough` if no trial of a level was ok.
    """
    with TemporaryDirectory() as name:
        runs = {level: measure_level(level, trials, Path(name) / str(level), client) for level in sorted(set(levels))}
        # analysed at the end: a process that measures loads no pandas
        from bench.testing.calibrate.table import as_json, as_table, level_of  # noqa: PLC0415  (pandas)

        results = [level_of(level, finish_folder(run)) for level, run in runs.items()]
    for result in results:
        if result.failed == result.offered:
            raise NotEnough(f"no calibration stream was ok at {result.concurrency} at a time; run again, idle")
    print(as_json(results) if json else as_table(results))  # noqa: T201
    return 0


def measure_level(concurrency: int, trials: int, folder: Path, client: str = "sdk") -> Run:
    """Run the calibration of one load in a new folder, on a simulator of its own. It is not analysed yet."""
    folder.mkdir()
    plan = calibration_plan(concurrency, trials, client)
    write_json(folder / PLAN, plan.to_json())
    manifest = {"schema_version": SCHEMA_VERSION, "run_id": "calibrate", "created": ""}  # what reading it back needs
    run = Run(folder=folder, t0=perf_counter_ns(), manifest={**manifest, "command": [], "versions": {}, "notes": []})
    with running(truth=folder / TRUTH) as simulator, progress(plan.size, f"{concurrency} at a time") as reporter:
        asyncio.run(_run_level(plan, run, simulator.base_url, reporter))
    return run


def calibration_plan(concurrency: int, trials: int, client: str = "sdk") -> Plan:
    """Return a plan of `trials` pairs of the first calibration cell, and nothing else."""
    cells = calibration.calibration_cells(0, [Load(concurrency=concurrency)], [client])[:1]
    plan = make_plan(cells, pairs=trials, warmup=WARM_UP, seed=SEED, amount=Amount(requests=trials))
    return replace(
        plan,
        trials=tuple(replace(one, phase="calibrate") if one.phase == "measure" else one for one in plan.trials),
        segments=tuple(replace(one, phase="calibrate") if one.phase == "measure" else one for one in plan.segments),
    )


async def _run_level(plan: Plan, run: Run, base_url: str, reporter: ProgressReporter) -> None:
    target = Target(name=calibration.TARGET, base_url=base_url)
    async with AsyncExitStack() as stack:
        shooter = await open_shooter(plan, stack)
        links = {target.name: await open_link(target, stack, direct=True, shooter=shooter)}
        scenarios = calibration.calibration_scenarios()
        await run_small(plan, scenarios, links, run.folder, reporter=reporter, shooter=shooter, t0=run.t0)


def finish_folder(run: Run) -> Path:
    """Complete the folder of a level and return it."""
    with closing(Journal(run.folder)) as journal:
        end(run, journal, run.folder / TRUTH, ended="finished", notes=[])
    return run.folder
