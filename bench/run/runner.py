"""Run a plan: pairs in their order, each trial in a task of its own, one journal line for each trial that ends.

While a trial is timed and runs alone, nothing is decoded, written or decided. Above concurrency 1 a finished trial of
the SDK is decoded on the event loop, a few µs per event beside the SDK's hundred. The client `wire` is timed by another
process, so this work disturbs nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter_ns, process_time_ns
from typing import Any

from bench.clients.load_generator.process import Pace
from bench.core.params import instance
from bench.core.scenario import Scenario
from bench.core.text.terminal import say
from bench.plan.plan import Group, Plan, PlannedCell
from bench.plan.share import WHOLE
from bench.records.journal import Journal, columns_of
from bench.run.context import Context, Running, Tally
from bench.run.pacing import Carry, Unit, closed_loop, open_loop, prefetch_closed_loop, prefetch_open_loop
from bench.run.progress import Progress
from bench.run.trial.rows import attempt_row, redact_rows
from bench.run.trial.trial import exchange_of, run_trial

COLLECT_AFTER = 50_000
"""Garbage collection threshold in a deferred group: the objects of ten answers of a thousand events, some 10 MB."""


async def run_plan(plan: Plan, context: Context, progress: Progress) -> None:
    """Run every trial of the plan. Cancelled, it journals the trials in flight as `cancelled` and raises."""
    frozen = False
    async with context.guard:
        for group in plan.groups():
            if not frozen and group.phase != "warmup":
                gc.collect()
                gc.freeze()  # no collection in the middle of a trial walks through what was loaded before
                frozen = True
            share = WHOLE if context.gate is None else await context.gate.wait_open(group, context.tally)
            if share is None:
                continue
            context.stopping.look()
            unsupported = group.phase != "warmup" and _is_unsupported(group.cell, context)
            if unsupported or not context.stopping.wants(group.phase, group.cell.cell):
                progress.skip(group.size)
            elif await _run_group(replace(group, share=share), context, progress):
                progress.skip_rest()
                return


def _is_unsupported(cell: PlannedCell, context: Context) -> bool:
    """Return True if the target refused all of the cell's warm-up. The first True is journalled and printed."""
    if cell.cell in context.tally.unsupported:
        return True
    if context.gate is not None and not cell.level.sequential:
        return False  # a worker sees only a part of the warm-up; the gate says what all workers saw
    reason = context.redact(context.tally.refusals.reason(cell.cell))
    if reason:
        say(note_unsupported(cell, reason, context.tally, context.journal))
    return bool(reason)


def note_unsupported(cell: PlannedCell, reason: str, tally: Tally, journal: Journal) -> str:
    """Journal that none of the cell's measured trials will run. Return the line that says so."""
    line = f"unsupported: {cell.scenario} on {cell.target} ({reason})"
    tally.unsupported[cell.cell] = line
    journal.write({"cells": columns_of("cells", [{"cell": cell.cell, "unsupported": reason}])})
    return line


async def _run_group(group: Group, context: Context, progress: Progress) -> bool:
    """Run one pair at concurrency 1, or a segment with its drain. Return True if the budget is spent."""
    scenario = context.scenarios[group.cell.scenario]
    deferred = group.cell.client == "wire" and context.shooter is not None and not is_live(scenario, group.cell.params)
    link, shooter = context.links[group.cell.target], context.shooter if deferred else None
    running = Running(group=group, link=link, shooter=shooter)

    async def carry(unit: Unit) -> None:
        for planned in unit:
            try:
                events = await run_trial(planned, running, context, progress)
                running.events += events  # not `+= await`: that adds to the value read before the wait
            finally:
                running.outstanding.remove(planned.trial_id)

    units = _wanted_units(running, context, progress)
    spent = await (_run_in_shooter if deferred else _run_in_process)(running, units, carry, context)
    _close_group(running, {**spent, "events": running.events}, context)
    return running.out


def _wanted_units(running: Running, context: Context, progress: Progress) -> Iterator[Unit]:
    """Yield the units of the group that are still wanted, until the budget is spent."""
    for unit in running.group.units():
        if not context.stopping.wants(unit[0].phase, unit[0].cell):
            progress.skip(len(unit))
        elif running.out or not context.stopping.allows(unit):
            running.out = True
            return
        else:
            yield unit


async def _run_in_process(running: Running, units: Iterator[Unit], carry: Carry, context: Context) -> dict[str, int]:
    """Run a group in this process, watched by the guard. Return its CPU and wall time in ns."""
    group = running.group
    wall, cpu = perf_counter_ns(), process_time_ns()
    context.guard.begin(group.cell.cell)
    running.t_group = perf_counter_ns()
    try:
        if group.load.open_loop:
            await open_loop(units, carry, t_group=running.t_group)
        else:
            slots, seconds = group.slots or 1, group.segment.seconds if group.segment else None
            await closed_loop(units, carry, slots, t_group=running.t_group, ramp_s=group.ramp_s, seconds=seconds)
    finally:  # also of an interrupted run: what it measured may have been late
        _write_probes(running, context.guard.end(), context)
    return {"cpu_ns": process_time_ns() - cpu, "wall_ns": perf_counter_ns() - wall}


async def _run_in_shooter(running: Running, units: Iterator[Unit], carry: Carry, context: Context) -> dict[str, int]:
    """Run a deferred group, which the load generator times. Return its CPU and wall time there, in ns."""
    group, shooter, waiting = running.group, running.shooter, running.outstanding
    assert shooter is not None  # noqa: S101  (for the type checker)
    slots = group.slots
    pace = Pace(slots=slots, cap=running.most_in_flight(context.max_in_flight), ramp_ns=round(group.ramp_s * 1e9))
    hold = group.load.heavy and not context.stopping.budgets  # what may be spent follows from what earlier answers took
    await shooter.begin(pace, group.cell.cell, hold=hold)
    running.t_group = start = shooter.t_group
    try:
        with _rare_collections():
            if slots is None:
                await prefetch_open_loop(units, carry, waiting, running, t_group=start)
            else:
                seconds = group.segment.seconds if group.segment else None
                single = ((planned,) for unit in units for planned in unit)
                await prefetch_closed_loop(single, carry, slots, waiting, running, t_group=start, seconds=seconds)
    except BaseException:
        running.abort()
        raise
    finally:
        spent = await (running.ending or shooter.end())
        context.guard.add_lags(spent.probes)
        _write_probes(running, spent.probes, context)
    return {"cpu_ns": spent.cpu_ns, "wall_ns": spent.wall_ns}


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Collect garbage rarely within the block."""
    # an answer is freed with its trial; searching its events for cycles would take a fifth of the decoding
    usual = gc.get_threshold()
    gc.set_threshold(COLLECT_AFTER, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _write_probes(running: Running, probes: Sequence[Mapping[str, Any]], context: Context) -> None:
    if running.group.phase != "warmup":
        rows = [{**row, "t": row["t"] - context.t0, "worker": context.worker} for row in probes]
        context.journal.write({"probes": columns_of("probes", rows)})


def _close_group(running: Running, spent: Mapping[str, int], context: Context) -> None:
    """Journal what the group took, and its orphans: requests of no trial, which invalidate the cell."""
    ledger = running.link.ledger(running.cell.client)
    orphans, ledger.orphans = ledger.orphans, []
    if orphans:
        rows = [attempt_row(None, *exchange_of(orphan), None, context.t0) for orphan in orphans]
        context.journal.write(redact_rows({"attempts": columns_of("attempts", rows)}, context.redact))
    context.tally.orphans += len(orphans)
    # groups of other phases have the cell's number, but no part in its figures
    counts = running.group.phase in {"measure", "calibrate"}
    if counts or orphans:
        row = {"cell": running.cell.cell, **(spent if counts else {}), "orphans": len(orphans)}
        context.journal.write({"cells": columns_of("cells", [{**row, "worker": context.worker}])})


def is_live(scenario: Scenario, params: str) -> bool:
    """Return True if the scenario must be decoded while it runs: `live=True`, a `setup`, or several requests."""
    if scenario.live or scenario.setup is not None:
        return True
    requests = scenario.requests
    return (requests(instance(scenario, params)) if callable(requests) else requests) != 1
