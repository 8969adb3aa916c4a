"""Carries a plan out: pairs in their order, each trial in a task of its own, one journal line for each that ends.

Nothing is decoded, written or decided while a trial is timed and alone; above concurrency 1 a finished trial of the SDK
is decoded on the loop, a few µs an event beside the SDK's hundred. For the client `wire` another process does the
timing, so that all of this disturbs nothing.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING, Any

from bench.clients.sdk.tap import TapTransport
from bench.core.messages import say
from bench.plan.plan import Cell, Group, Plan
from bench.plan.share import WHOLE
from bench.records.journal import Journal, columns_of
from bench.run.pacing import Carry, Unit, ahead, closed_loop, open_loop, scheduled
from bench.run.trial.rows import attempt_row, redacted

if TYPE_CHECKING:
    from bench.clients.wire.client import WireClient
from bench.core.params import instance
from bench.core.scenario import Scenario
from bench.run.context import Context, Progress, Running, Tally
from bench.run.trial.trial import _exchange, _run_planned

COLLECT_AFTER = 50_000
"""Objects made and not freed, in a deferred group: those of ten answers of a thousand events, some 10 MB."""


async def run_plan(plan: Plan, context: Context, progress: Progress) -> None:
    """Run every trial of the plan. Cancelled, it journals the trials in flight as `cancelled` and raises."""
    frozen = False
    async with context.guard:
        for group in plan.groups():
            if not frozen and group.phase != "warmup":
                gc.collect()
                gc.freeze()  # what was loaded so far is not walked through again in the middle of a trial
                frozen = True
            share = WHOLE if context.gate is None else await context.gate.opened(group, context.tally)
            if share is None:
                continue
            context.stopping.look()
            unsupported = group.phase != "warmup" and _is_unsupported(group.cell, context)
            if unsupported or not context.stopping.wants(group.phase, group.cell.cell):
                progress.skip(group.size)
            elif await _run_group(replace(group, share=share), context, progress):
                progress.rest()
                return


def _is_unsupported(cell: Cell, context: Context) -> bool:
    """Was all of its warm-up refused? Journalled and said when it is first asked."""
    if cell.cell in context.tally.unsupported:
        return True
    if context.gate is not None and not cell.level.sequential:
        return False  # a worker sees a part of the warm-up only; the gate tells what all of them saw
    reason = context.redact(context.tally.refusals.reason(cell.cell))
    if reason:
        say(note_unsupported(cell, reason, context.tally, context.journal))
    return bool(reason)


def note_unsupported(cell: Cell, reason: str, tally: Tally, journal: Journal) -> str:
    """Journal that none of its measured trials will be run. The line that says so."""
    line = f"unsupported: {cell.scenario} on {cell.target} ({reason})"
    tally.unsupported[cell.cell] = line
    journal.write({"cells": columns_of("cells", [{"cell": cell.cell, "unsupported": reason}])})
    return line


async def _run_group(group: Group, context: Context, progress: Progress) -> bool:
    """One pair at concurrency 1, or a segment with its drain. True: the budget is spent."""
    scenario = context.scenarios[group.cell.scenario]
    deferred = group.cell.client == "wire" and context.shooter is not None and not is_live(scenario, group.cell.params)
    link, shooter = context.links[group.cell.target], context.shooter if deferred else None
    running = Running(group=group, link=link, shooter=shooter)

    async def carry(unit: Unit) -> None:
        for planned in unit:
            try:
                seen = await _run_planned(planned, running, context, progress)
                running.events += seen  # not `+= await`: that adds to what stood there before the wait
            finally:
                running.places.free(planned.trial_id)

    units = _units(running, context, progress)
    spent = await (_deferred if deferred else _in_process)(running, units, carry, context)
    _close_group(running, {**spent, "events": running.events}, context)
    return running.out


def _units(running: Running, context: Context, progress: Progress) -> Iterator[Unit]:
    """What of the group is still wanted, until the budget is spent."""
    for unit in running.group.units():
        if not context.stopping.wants(unit[0].phase, unit[0].cell):
            progress.skip(len(unit))
        elif running.out or not context.stopping.allows(unit):
            running.out = True
            return
        else:
            yield unit


async def _in_process(running: Running, units: Iterator[Unit], carry: Carry, context: Context) -> dict[str, int]:
    """Carry it out here, watched by the guard: what it took."""
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
    finally:  # of a run that is interrupted too: what was measured until then may have been late
        _write_probes(running, context.guard.end(), context)
    return {"cpu_ns": process_time_ns() - cpu, "wall_ns": perf_counter_ns() - wall}


async def _deferred(running: Running, units: Iterator[Unit], carry: Carry, context: Context) -> dict[str, int]:
    """Carry it out in the shooter: what it took there."""
    from bench.clients.wire.process import Pace  # noqa: PLC0415  (only where there is one)

    group, shooter = running.group, running.shooter
    assert shooter is not None  # noqa: S101  (for the type checker)
    slots = group.slots
    pace = Pace(slots=slots, cap=running.most_in_flight(context.max_in_flight), ramp_ns=round(group.ramp_s * 1e9))
    hold = group.load.heavy and not context.stopping.budgets  # what may be spent follows from what earlier answers took
    await shooter.begin(pace, group.cell.cell, hold=hold)
    running.t_group = shooter.t_group
    try:
        with _seldom_collected():
            if slots is None:
                await scheduled(units, carry, running.places, running, t_group=running.t_group)
            else:
                seconds = group.segment.seconds if group.segment else None
                single = ((planned,) for unit in units for planned in unit)
                await ahead(single, carry, slots, running.places, running, t_group=running.t_group, seconds=seconds)
    except BaseException:
        running.broken_off()
        raise
    finally:
        spent = await (running.ending or shooter.end())
        context.guard.heard(spent.probes)
        _write_probes(running, spent.probes, context)
    return {"cpu_ns": spent.cpu_ns, "wall_ns": spent.wall_ns}


@contextmanager
def _seldom_collected() -> Iterator[None]:
    """An answer is freed with its trial. Looking for circles among its events would take a fifth of the decoding."""
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
    """Journal what a group of this cell took, and its requests of no trial: they have disturbed it, whatever it is."""
    orphans = _drain_orphans(running.link.ledger(running.cell.client), context)
    context.tally.orphans += orphans
    counted = running.group.phase in (
        "measure",
        "calibrate",
    )  # others have the cell's number, and no part in its figures
    if counted or orphans:
        row = {"cell": running.cell.cell, **(spent if counted else {}), "orphans": orphans, "worker": context.worker}
        context.journal.write({"cells": columns_of("cells", [row])})


def _drain_orphans(ledger: TapTransport | WireClient, context: Context) -> int:
    """Journal the requests that belong to no trial; their cell is invalid."""
    orphans, ledger.orphans = ledger.orphans, []
    rows = [attempt_row(None, *_exchange(orphan), None, context.t0) for orphan in orphans]
    if rows:
        context.journal.write(redacted({"attempts": columns_of("attempts", rows)}, context.redact))
    return len(rows)


def is_live(scenario: Scenario, params: str) -> bool:
    """Does it act while its answer comes: by its own word, by a `setup`, or by another request that follows?"""
    if scenario.live or scenario.setup is not None:
        return True
    asked = scenario.requests
    return (asked(instance(scenario, params)) if callable(asked) else asked) != 1
