"""Carries a plan out: pairs in their order, each trial in a task of its own, one journal line for each that ends.

Nothing is decoded, written or decided while a trial is timed and alone; above concurrency 1 a finished trial is
decoded on the loop, a few µs an event beside the SDK's hundred.
"""

from __future__ import annotations

import asyncio
import gc
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from time import perf_counter_ns, process_time_ns
from typing import Any, Protocol

import pluggy

from bench.asks import Options, make_ask
from bench.call import consume, is_sync
from bench.clients.decode import decode
from bench.clients.sync_tap import SyncTapTransport
from bench.clients.tap import TapTransport, current_trial
from bench.errors import BenchError
from bench.ledger import untold
from bench.meters.guard import Guard
from bench.outcome import Deadline, Exchange, Outcome, invalid, judge, plugin_fault
from bench.own import judge_own
from bench.params import instance
from bench.plan import Cell, Plan, PlannedTrial
from bench.progress import say
from bench.records import Journal, columns_of
from bench.refusal import Refusals, refusal
from bench.rows import attempt_row, redacted, trial_rows
from bench.scenario import Ask, Endpoint, Prompt, Scenario
from bench.setup import prepared
from bench.stopping import Stopping
from bench.target import Target
from bench.trial import Attempt, Trial


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

    def client_of(self, scenario: Scenario) -> Any:
        """What the scenario's functions are given."""
        if scenario.client == "own":
            return self.endpoint
        return self.sync_client if is_sync(scenario) else self.client


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


@dataclass(kw_only=True)
class Tally:
    """What came of the measured trials."""

    statuses: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    """Requests that belonged to no trial: whose time they took cannot be said."""
    refusals: Refusals = field(default_factory=Refusals)
    unsupported: dict[int, str] = field(default_factory=dict)
    """By cell: the line that says what its target cannot do. None of its measured trials was run."""


class Progress(Protocol):
    """What the runner tells while it works."""

    def trial_done(self, cell: Cell, planned: PlannedTrial, outcome: Outcome, total_ms: float) -> None:
        """A trial has ended."""

    def skip(self, number: int) -> None:
        """So many trials need no doing."""


async def carry_out(plan: Plan, context: Context, progress: Progress) -> None:
    """Run every trial of the plan. Cancelled, it journals the trials in flight as `cancelled` and raises."""
    groups = list(plan.groups())
    left = len(plan.trials)
    frozen = False
    async with context.guard:
        for group in groups:
            left -= len(group)
            if not frozen and group[0].phase != "warmup":
                gc.collect()
                gc.freeze()  # what was loaded so far is not walked through again in the middle of a trial
                frozen = True
            context.stopping.look()
            cell = plan.cells[group[0].cell]
            unsupported = group[0].phase != "warmup" and _is_unsupported(cell, context)
            if unsupported or not context.stopping.wants(group):
                progress.skip(len(group))
            elif skipped := await _run_group(group, plan, context, progress):
                progress.skip(skipped + left)
                return


def _is_unsupported(cell: Cell, context: Context) -> bool:
    """Was all of its warm-up refused? Journalled and said when it is first asked."""
    reason = context.redact(context.tally.refusals.reason(cell.cell))
    if reason and cell.cell not in context.tally.unsupported:
        line = f"unsupported: {cell.scenario} on {cell.target} ({reason})"
        context.tally.unsupported[cell.cell] = line
        context.journal.write({"cells": columns_of("cells", [{"cell": cell.cell, "unsupported": reason}])})
        say(line)
    return bool(reason)


async def _run_group(group: Sequence[PlannedTrial], plan: Plan, context: Context, progress: Progress) -> int:
    """One pair at concurrency 1, or a segment: each worker takes the next pair when its last is done.

    Returns how many of its trials were not begun, for the budget is spent: 0 where all were.
    """
    cell = plan.cells[group[0].cell]
    pairs = iter(_pairs(group))
    wall, cpu = perf_counter_ns(), process_time_ns()
    events = skipped = 0

    async def worker() -> None:
        nonlocal events, skipped
        for pair in pairs:
            if not skipped and not context.stopping.wants(pair):
                progress.skip(len(pair))
                continue
            if skipped or not context.stopping.allows(pair):
                skipped += len(pair)
                continue
            for planned in pair:
                seen = await _run_planned(planned, cell, context, progress, alone=plan.concurrency == 1)
                events += seen  # not `+= await`: that adds to what stood there before the wait

    context.guard.begin(cell.cell)
    try:
        await _all([worker() for _ in range(plan.concurrency)])
    finally:  # of a run that is interrupted too: what was measured until then may have been late
        probes = context.guard.end()
        if group[0].phase != "warmup":
            rows = [{**row, "t": row["t"] - context.t0} for row in probes]
            context.journal.write({"probes": columns_of("probes", rows)})
    spent = {"cpu_ns": process_time_ns() - cpu, "wall_ns": perf_counter_ns() - wall, "events": events}
    _close_group(group, cell, spent, context)
    return skipped


def _close_group(group: Sequence[PlannedTrial], cell: Cell, spent: Mapping[str, int], context: Context) -> None:
    """Journal what a group of this cell took, and its requests of no trial: they have disturbed it, whatever it is."""
    orphans = _drain_orphans(context.links[cell.target], context)
    context.tally.orphans += orphans
    counted = group[0].phase in {"measure", "calibrate"}  # others have the cell's number, and no part in its figures
    if counted or orphans:
        row = {"cell": cell.cell, **(spent if counted else {}), "orphans": orphans}
        context.journal.write({"cells": columns_of("cells", [row])})


async def _all(workers: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Run them side by side; the first error ends all and comes out bare."""
    try:
        async with asyncio.TaskGroup() as tasks:
            for worker in workers:
                tasks.create_task(worker)
    except BaseExceptionGroup as group:
        raise group.exceptions[0] from None


def _pairs(group: Sequence[PlannedTrial]) -> list[list[PlannedTrial]]:
    pairs: dict[int, list[PlannedTrial]] = {}
    for planned in group:
        pairs.setdefault(planned.pair, []).append(planned)
    return list(pairs.values())


async def _run_planned(planned: PlannedTrial, cell: Cell, context: Context, progress: Progress, *, alone: bool) -> int:
    """Run, judge and journal one trial. Returns the number of its events."""
    scenario, link = context.scenarios[cell.scenario], context.links[cell.target]
    trial = Trial(planned.trial_id, cell.scenario, planned.delivery, cell.target, cell.model, planned.phase)
    trial.cold = scenario.connection == "cold"
    ask = _ask(planned, cell, context, trial)
    started = {"trial_id": planned.trial_id, "t_start": perf_counter_ns() - context.t0}
    context.journal.write({"starts": columns_of("starts", [started])})
    await _timed(trial, scenario, link, ask, context, alone=alone)
    exchanges = list(map(_exchange, trial.attempts))
    judged = _judged(trial, exchanges, scenario)
    outcome = _checked(_with_useful(judged, trial, scenario), trial, scenario)
    columns = _planned_columns(planned, cell, context)
    rows = trial_rows(columns, trial, exchanges, outcome, t0=context.t0, store_text=context.store_text)
    context.journal.write(redacted(rows, context.redact))
    if planned.phase == "measure":
        context.tally.statuses[outcome.status] += 1
    elif planned.phase == "warmup":
        context.tally.refusals.add(cell.cell, refusal(trial, exchanges, outcome))
    row = {name: values[0] for name, values in rows["trials"].items()}
    context.stopping.ended(planned, cell, row, untold(exchanges))
    progress.trial_done(cell, planned, outcome, (trial.t_end - trial.t_origin) / 1e6)
    _stop_on_plugin_error(outcome, cell, planned, context.redact)
    if isinstance(trial.error, asyncio.CancelledError):
        raise trial.error
    return sum(len(answer.events) for _, answer in exchanges)


def _judged(trial: Trial, exchanges: Sequence[Exchange], scenario: Scenario) -> Outcome:
    return judge_own(trial) if scenario.client == "own" else judge(trial, exchanges, recovers=scenario.recovers)


def _exchange(attempt: Attempt) -> Exchange:
    return attempt, decode(attempt.reads, attempt.headers, asked_stream=attempt.asked_stream, path=attempt.path)


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


async def _timed(trial: Trial, scenario: Scenario, link: Link, ask: Ask, context: Context, *, alone: bool) -> None:
    """The trial in a task of its own, so that the tap can tell whose requests it sees. Never raises."""
    task = asyncio.create_task(_observed(trial, scenario, link, ask, context, alone=alone))
    try:
        await task
    except asyncio.CancelledError as error:
        task.cancel()
        await asyncio.wait([task])
        trial.error = error
    except Exception as error:  # noqa: BLE001  (an observer or `setup` failed)
        trial.error = error
    finally:
        trial.t_end = trial.t_end or perf_counter_ns()
        trial.t_origin = trial.t_origin or trial.t_end
        link.tap.forget(trial)
        await link.tap.close_cold(trial)
        if link.sync_tap is not None:
            link.sync_tap.close_cold(trial)


def _cancelling() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


async def _observed(trial: Trial, scenario: Scenario, link: Link, ask: Ask, context: Context, *, alone: bool) -> None:
    """Observers around, the clock only around the scenario's function."""
    current_trial.set(trial)
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(prepared(scenario, link.client_of(scenario), ask, context.deadline_s))
        for observer in context.hooks.observe(trial=trial):
            await stack.enter_async_context(observer)
        try:
            async with asyncio.timeout(context.deadline_s) as scope:
                await _call(trial, scenario, link.client_of(scenario), ask, alone=alone)
        except TimeoutError as error:
            trial.error = (
                Deadline(f"not done after {context.deadline_s:g} s (--deadline)") if scope.expired() else error
            )
        except asyncio.CancelledError as error:
            if _cancelling():
                raise
            trial.error = RuntimeError("the scenario cancelled its own task").with_traceback(error.__traceback__)
        except Exception as error:  # noqa: BLE001  (whatever it is, it becomes the trial's row)
            trial.error = error
        finally:
            trial.t_end = trial.t_end or perf_counter_ns()


async def _call(trial: Trial, scenario: Scenario, client: Any, ask: Ask, *, alone: bool) -> None:
    def on_piece(piece: Any) -> None:
        trial.pieces.append((perf_counter_ns(), piece))

    clock = _clock(trial, alone=alone)
    trial.result = await consume(scenario, trial.delivery, client, ask, on_piece, clock=clock)


@contextmanager
def _clock(trial: Trial, *, alone: bool) -> Iterator[None]:
    """The trial's time and CPU, around the scenario's function in whichever thread that runs."""
    cpu = process_time_ns()
    trial.t_origin = perf_counter_ns()
    try:
        yield
    finally:
        if not trial.over:  # else it was left behind in its thread
            trial.t_end = perf_counter_ns()
            trial.cpu_ns = process_time_ns() - cpu if alone else None


def _with_useful(outcome: Outcome, trial: Trial, scenario: Scenario) -> Outcome:
    """Ask of every piece whether it was useful; a plugin that cannot say is at fault."""
    try:
        trial.useful = [bool(scenario.useful(piece)) for _, piece in trial.pieces]
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


def _planned_columns(planned: PlannedTrial, cell: Cell, context: Context) -> dict[str, Any]:
    """What the plan already knew of the trial."""
    of_trial = ("trial_id", "cell", "pair", "block", "order", "phase", "arm", "delivery", "ask", "nonce")
    of_cell = ("scenario", "params", "api", "target", "model", "client", "load")
    prompt = context.prompts[cell.scenario][planned.ask]
    return {
        **{name: getattr(planned, name) for name in of_trial},
        **{name: getattr(cell, name) for name in of_cell},
        "ask_id": str(prompt["id"]) if isinstance(prompt, Mapping) and "id" in prompt else None,
    }


def _stop_on_plugin_error(outcome: Outcome, cell: Cell, planned: PlannedTrial, redact: Callable[[str], str]) -> None:
    if planned.phase == "warmup" and outcome.status == "scenario_error":
        what = redact(outcome.error or "")
        raise BenchError(f"scenario {cell.scenario!r} failed in warm-up ({planned.delivery}): {what}")


def _drain_orphans(link: Link, context: Context) -> int:
    """Journal the requests that belong to no trial; their cell is invalid."""
    orphans, link.tap.orphans = link.tap.orphans, []
    rows = [attempt_row(None, *_exchange(orphan), None, context.t0) for orphan in orphans]
    if rows:
        context.journal.write(redacted({"attempts": columns_of("attempts", rows)}, context.redact))
    return len(rows)
