"""Carries a plan out: pairs in their order, each trial in a task of its own, one journal line for each that ends.

Nothing is decoded, written or decided while a trial is timed and alone; above concurrency 1 a finished trial of the SDK
is decoded on the loop, a few µs an event beside the SDK's hundred. For the client `wire` another process does the
timing, so that all of this disturbs nothing.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from time import perf_counter_ns, process_time_ns
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from bench.asks import Options, make_ask
from bench.call import consume, is_sync
from bench.clients.decode import decode
from bench.clients.sync_tap import SyncTapTransport
from bench.clients.tap import TapTransport, current_trial
from bench.driving import Carry, Places, Unit, ahead, closed_loop, open_loop, scheduled
from bench.errors import BenchError
from bench.ledger import untold
from bench.live import is_live
from bench.meters.guard import Guard
from bench.outcome import Deadline, Exchange, Interrupted, Lost, Outcome, Shed, invalid, judge, plugin_fault
from bench.own import judge_own
from bench.params import instance
from bench.plan import Cell, Group, Phase, Plan, PlannedTrial
from bench.progress import say
from bench.records import Journal, columns_of
from bench.refusal import Refusals, refusal
from bench.rows import attempt_row, redacted, trial_rows
from bench.sampling import stored
from bench.scenario import Ask, Endpoint, Prompt, Scenario
from bench.setup import prepared
from bench.share import WHOLE, Share
from bench.stopping import Stopping
from bench.target import Target
from bench.trial import Attempt, Trial

if TYPE_CHECKING:
    from bench.clients.wire.client import WireClient
    from bench.clients.wire.process import GroupSpent, Shooter

COLLECT_AFTER = 50_000
"""Objects made and not freed, in a deferred group: those of ten answers of a thousand events, some 10 MB."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A target as it is reached in this run."""

    target: Target
    client: Any
    tap: TapTransport
    options: Options
    sync_client: Any = None
    """For synchronous scenarios; its attempts are noted in `tap` too."""
    sync_tap: SyncTapTransport | None = None
    endpoint: Endpoint | None = None
    """For scenarios that bring a stack of their own."""
    wire: WireClient | None = None
    """For cells of the client `wire`."""

    def client_of(self, scenario: Scenario, client: str = "sdk") -> Any:
        """What the scenario's functions are given, in a cell of this client."""
        if scenario.client == "own":
            return self.endpoint
        if client == "wire":
            return self.wire
        return self.sync_client if is_sync(scenario) else self.client

    def ledger(self, client: str) -> TapTransport | WireClient:
        """Whose attempts are whose, in a cell of this client."""
        return self.wire if client == "wire" and self.wire is not None else self.tap


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that running a trial takes, beside the plan."""

    scenarios: Mapping[str, Scenario]
    prompts: Mapping[str, Sequence[Prompt]]
    """By scenario."""
    links: Mapping[str, Link]
    """By target."""
    hooks: pluggy.HookRelay
    journal: Journal
    t0: int
    """The run's start, `perf_counter_ns`."""
    deadline_s: float
    store_text: bool
    redact: Callable[[str], str]
    tally: Tally
    stopping: Stopping = field(default_factory=Stopping)
    guard: Guard = field(default_factory=Guard)
    shooter: Shooter | None = None
    """The process that sends and reads for the client `wire`, where a cell has that."""
    max_in_flight: int = 500
    """Open loop: a trial that finds more than these is `shed`."""
    events: float = 1.0
    """Share of the trials whose events and pieces are stored."""
    worker: str | None = None
    """What this process is called where several measure."""
    gate: Gate | None = None
    """Where several measure: what keeps them together."""


@dataclass(kw_only=True)
class Tally:
    """What came of the measured trials."""

    statuses: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    """Requests that belonged to no trial: whose time they took cannot be said."""
    refusals: Refusals = field(default_factory=Refusals)
    unsupported: dict[int, str] = field(default_factory=dict)
    """By cell: the line that says what its target cannot do. None of its measured trials was run."""


class Gate(Protocol):
    """Keeps several workers together: none begins a group before all have ended the one before."""

    async def opened(self, group: Group, tally: Tally) -> Share | None:
        """Wait until all may begin it: this worker's share, None where it has none.

        What any worker has found to be unsupported is in the tally's `unsupported` then.
        """


class Progress(Protocol):
    """What the runner tells while it works."""

    def trial_done(self, cell: Cell, planned: PlannedTrial, row: Mapping[str, Any]) -> None:
        """A trial has ended; `row` is its row of the table `trials`, of a worker's only the columns `TOLD`."""

    def skip(self, number: int) -> None:
        """So many trials need no doing."""

    def rest(self) -> None:
        """All that is left needs no doing."""


@dataclass(kw_only=True)
class Running:
    """A group of trials while it runs."""

    group: Group
    link: Link
    t_group: int = 0
    """Its start: what its schedule and its ramp count from."""
    in_flight: int = 0
    events: int = 0
    out: bool = False
    """The budget is spent: nothing more is begun."""
    shooter: Shooter | None = None
    """Of a deferred group: it sends the requests and reads the answers."""
    places: Places = field(default_factory=Places)
    """Of a deferred group: those of its trials that are not read yet."""
    ending: asyncio.Task[GroupSpent] | None = None
    """Of a deferred group that is broken off."""

    @property
    def deferred(self) -> bool:
        """Is what it sends timed elsewhere, and decoded later?"""
        return self.shooter is not None

    def all_read(self) -> None:
        """Nothing is timed any more: what was read can be decoded."""
        if self.shooter is not None:
            self.shooter.close()

    def broken_off(self) -> asyncio.Task[GroupSpent] | None:
        """End it in the shooter, once. Until that is done it may tell of trials that were just sent."""
        if self.ending is None and self.shooter is not None:
            self.shooter.cancel()
            self.ending = asyncio.create_task(self.shooter.end())
        return self.ending

    @property
    def cell(self) -> Cell:
        return self.group.cell

    @property
    def alone(self) -> bool:
        """Is nothing else done in this process while a trial is timed?"""
        return self.group.load.alone and not self.deferred

    def most_in_flight(self, limit: int) -> int:
        """This worker's part of the limit of open loop."""
        return max(1, self.group.share.part(limit))

    def phase(self, planned: PlannedTrial, t_begun: int) -> Phase:
        """Its phase: a measured trial that is begun while the load comes up is part of the ramp."""
        ramping = planned.phase == "measure" and t_begun - self.t_group < self.group.ramp_s * 1e9
        return "ramp" if ramping else planned.phase


async def carry_out(plan: Plan, context: Context, progress: Progress) -> None:
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
    if context.gate is not None and not cell.level.alone:
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


async def _run_planned(planned: PlannedTrial, running: Running, context: Context, progress: Progress) -> int:
    """Run, judge and journal one trial. Returns the number of its events."""
    cell = running.cell
    scenario = context.scenarios[cell.scenario]
    trial = _trial(planned, running, scenario)
    started = _Started(planned, running, trial, context)
    ask = _ask(planned, cell, context, trial)
    if not running.deferred:
        started(perf_counter_ns())
    await _timed_or_shed(trial, scenario, running, ask, context)
    if isinstance(trial.error, asyncio.CancelledError) and (ending := running.broken_off()):
        await asyncio.wait([ending])
    if isinstance(trial.error, Lost):
        running.out = True  # begin no more: `_deferred` ends the run
    if isinstance(trial.error, asyncio.CancelledError | Lost) and running.deferred:
        if not started.journalled:
            return _never_begun(trial.error)
        trial.t_origin = trial.t_call = started.t_begun
        trial.t_end = perf_counter_ns()  # its own clock stands at what it was given
    started(trial.t_origin)
    exchanges = list(map(_exchange, trial.attempts))
    judged = _judged(trial, exchanges, scenario)
    outcome = _checked(_with_useful(judged, trial, scenario), trial, scenario)
    phase = started.phase
    kept = phase == "calibrate" or stored(planned.trial_id, context.events)
    known = planned_columns(planned, cell, context.prompts[cell.scenario][planned.ask])
    columns = {**known, "phase": phase, "worker": context.worker, "stored": kept}
    rows = trial_rows(columns, trial, exchanges, outcome, t0=context.t0, store_text=context.store_text)
    if not kept:
        del rows["events"], rows["pieces"]
    context.journal.write(redacted(rows, context.redact))
    refused = refusal(trial, exchanges, outcome)
    if phase == "measure":
        context.tally.statuses[outcome.status] += 1
    elif planned.phase == "warmup":
        context.tally.refusals.add(cell.cell, refused)
    row = {name: values[0] for name, values in rows["trials"].items()}
    context.stopping.ended(planned, cell, row, untold(exchanges))
    progress.trial_done(cell, planned, row)
    _stop_on_plugin_error(outcome, cell, planned, context.redact, refused=bool(refused))
    if isinstance(trial.error, asyncio.CancelledError):
        raise trial.error
    return sum(len(answer.events) for _, answer in exchanges)


def _never_begun(error: BaseException) -> int:
    """There is no row of it. One that is lost stops no other: those that were begun are failures of their own."""
    if isinstance(error, Lost):
        return 0
    raise error


def _trial(planned: PlannedTrial, running: Running, scenario: Scenario) -> Trial:
    cell = running.cell
    trial = Trial(planned.trial_id, cell.scenario, planned.delivery, cell.target, cell.model, planned.phase)
    trial.cold = scenario.connection == "cold"
    trial.deferred, trial.due = running.deferred, planned.due
    trial.on_read = partial(running.places.free, planned.trial_id)
    trial.t_intend = None if planned.due is None else running.t_group + planned.due
    return trial


class _Started:
    """Journals the start of a trial, once: from then on it counts as offered."""

    def __init__(self, planned: PlannedTrial, running: Running, trial: Trial, context: Context) -> None:
        self._planned, self._running, self._context, self._t_intend = planned, running, context, trial.t_intend
        self.journalled = False
        self.t_begun = 0
        self.phase = planned.phase
        """Decided here: offered and ended trials must agree on it."""
        trial.on_fired = self

    def __call__(self, t_begun: int) -> None:
        if self.journalled:
            return
        self.journalled, self.t_begun = True, t_begun
        planned = {name: getattr(self._planned, name) for name in ("trial_id", "cell", "pair", "block", "delivery")}
        self.phase = self._running.phase(self._planned, self._t_intend or t_begun)
        row = {**planned, "phase": self.phase, "t_start": t_begun - self._context.t0}
        self._context.journal.write({"starts": columns_of("starts", [row])})


async def _timed_or_shed(trial: Trial, scenario: Scenario, running: Running, ask: Ask, context: Context) -> None:
    """In open loop a trial that finds too many in flight is not sent. The shooter counts its own."""
    limit = running.most_in_flight(context.max_in_flight)
    if trial.t_intend is not None and not running.deferred and running.in_flight >= limit:
        trial.error = Shed(f"{limit} were in flight (--max-in-flight)")
        trial.t_origin = trial.t_end = trial.t_intend
        return
    running.in_flight += 1
    try:
        await _timed(trial, scenario, running, ask, context)
    finally:
        running.in_flight -= 1


def _judged(trial: Trial, exchanges: Sequence[Exchange], scenario: Scenario) -> Outcome:
    return judge_own(trial) if scenario.client == "own" else judge(trial, exchanges, recovers=scenario.recovers)


def _exchange(attempt: Attempt) -> Exchange:
    return attempt, attempt.answer or decode(
        attempt.reads, attempt.headers, asked_stream=attempt.asked_stream, path=attempt.path
    )


def _ask(planned: PlannedTrial, cell: Cell, context: Context, trial: Trial) -> Ask:
    link, scenario = context.links[cell.target], context.scenarios[cell.scenario]
    return make_ask(
        context.prompts[cell.scenario][planned.ask],
        target=link.target,
        model=cell.model,
        nonce=planned.nonce,
        seed=planned.seed,
        recorder=trial,
        options=link.options,
        api=scenario.api,
        params=instance(scenario, cell.params),
        sim=scenario.sim,
    )


async def _timed(trial: Trial, scenario: Scenario, running: Running, ask: Ask, context: Context) -> None:
    """The trial in a task of its own, so that the tap can tell whose requests it sees. Never raises."""
    link, client = running.link, running.cell.client
    if running.deferred and link.wire is not None:
        link.wire.attach(trial)
    task = asyncio.create_task(_observed(trial, scenario, link.client_of(scenario, client), ask, context, running))
    try:
        await task
    except asyncio.CancelledError as error:
        task.cancel()
        await asyncio.wait([task])
        trial.error = error
    except Exception as error:  # noqa: BLE001  (an observer or `setup` failed)
        trial.error = error
    finally:
        trial.t_end = trial.t_end or trial.now()
        trial.t_origin = trial.t_origin or trial.t_end
        ledger = link.ledger(client)
        ledger.forget(trial)
        if running.deferred and trial.attempts:
            trial.t_call = max(trial.t_origin, trial.attempts[0].t_start)
        await ledger.close_cold(trial)
        if link.sync_tap is not None:
            link.sync_tap.close_cold(trial)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _observed(
    trial: Trial, scenario: Scenario, client: Any, ask: Ask, context: Context, running: Running
) -> None:
    """Observers around, the clock only around the scenario's function."""
    current_trial.set(trial)
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(prepared(scenario, client, ask, context.deadline_s))
        for observer in context.hooks.observe(trial=trial):
            await stack.enter_async_context(observer)
        try:
            async with asyncio.timeout(_seconds(trial, context)) as scope:
                await _call(trial, scenario, client, ask, alone=running.alone)
        except TimeoutError as error:
            trial.error = (
                Deadline(f"not done after {context.deadline_s:g} s (--deadline)") if scope.expired() else error
            )
        except asyncio.CancelledError as error:
            if _cancelling() or isinstance(error, Interrupted):
                raise
            trial.error = RuntimeError("the scenario cancelled its own task").with_traceback(error.__traceback__)
        except Exception as error:  # noqa: BLE001  (whatever it is, it becomes the trial's row)
            trial.error = error
        finally:
            trial.t_end = trial.t_end or trial.now()


def _seconds(trial: Trial, context: Context) -> float | None:
    """The deadline from here; None where the shooter keeps it, for here the trial may wait for its turn."""
    if trial.deferred:
        return None
    late = 0 if trial.t_intend is None else (perf_counter_ns() - trial.t_intend) / 1e9
    return context.deadline_s - late


async def _call(trial: Trial, scenario: Scenario, client: Any, ask: Ask, *, alone: bool) -> None:
    now, note = trial.clock, trial.pieces.append

    def on_piece(piece: Any) -> None:
        note((now(), piece))

    clock = _clock(trial, alone=alone)
    trial.result = await consume(scenario, trial.delivery, client, ask, on_piece, clock=clock)


@contextmanager
def _clock(trial: Trial, *, alone: bool) -> Iterator[None]:
    """The trial's time and CPU, around the scenario's function in whichever thread that runs."""
    cpu = process_time_ns()
    if not trial.deferred:  # else the shooter says when it was begun
        trial.t_call = perf_counter_ns()
        trial.t_origin = trial.t_call if trial.t_intend is None else trial.t_intend
    try:
        yield
    finally:
        if not trial.over:  # else it was left behind in its thread
            trial.t_end = trial.now()
            trial.cpu_ns = process_time_ns() - cpu if alone else None


def _with_useful(outcome: Outcome, trial: Trial, scenario: Scenario) -> Outcome:
    """Ask of every piece whether it was useful; a plugin that cannot say is at fault."""
    useful = scenario.useful
    try:
        trial.useful = [bool(useful(piece)) for _, piece in trial.pieces]
    except Exception as error:  # noqa: BLE001  (whatever it is, it becomes the trial's row)
        trial.useful = [False] * len(trial.pieces)
        return plugin_fault(error)
    return outcome


def _checked(outcome: Outcome, trial: Trial, scenario: Scenario) -> Outcome:
    """Assemble the streamed result and have it checked; a broken answer that was ok until here is `invalid_result`."""
    if outcome.status != "ok":
        return outcome
    try:
        if trial.delivery == "streamed":
            trial.result = scenario.assemble([piece for _, piece in trial.pieces])
        if scenario.check is not None:
            scenario.check(trial.result)
    except Exception as error:  # noqa: BLE001  (any exception means: not a valid answer)
        return invalid(error, truncated=outcome.truncated)
    return outcome


def planned_columns(planned: PlannedTrial, cell: Cell, prompt: Prompt) -> dict[str, Any]:
    """What the plan already knew of the trial, by the columns of the table `trials`."""
    of_trial = ("trial_id", "cell", "pair", "block", "order", "phase", "arm", "delivery", "ask", "nonce")
    of_cell = ("scenario", "params", "api", "target", "model", "client", "load")
    return {
        **{name: getattr(planned, name) for name in of_trial},
        **{name: getattr(cell, name) for name in of_cell},
        "ask_id": str(prompt["id"]) if isinstance(prompt, Mapping) and "id" in prompt else None,
    }


def _stop_on_plugin_error(
    outcome: Outcome, cell: Cell, planned: PlannedTrial, redact: Callable[[str], str], *, refused: bool
) -> None:
    if planned.phase == "warmup" and outcome.status == "scenario_error" and not refused:
        what = redact(outcome.error or "")
        raise BenchError(f"scenario {cell.scenario!r} failed in warm-up ({planned.delivery}): {what}")


def _drain_orphans(ledger: TapTransport | WireClient, context: Context) -> int:
    """Journal the requests that belong to no trial; their cell is invalid."""
    orphans, ledger.orphans = ledger.orphans, []
    rows = [attempt_row(None, *_exchange(orphan), None, context.t0) for orphan in orphans]
    if rows:
        context.journal.write(redacted({"attempts": columns_of("attempts", rows)}, context.redact))
    return len(rows)
