"""Run one planned trial. The functions stand in the order of its way: ask, call, time, judge, store."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from time import perf_counter_ns, process_time_ns
from typing import Any

from bench.clients.decode.decode import decode
from bench.clients.sdk.attempt_log import current_trial
from bench.core.ask import make_ask
from bench.core.errors import BenchError
from bench.core.params import instance
from bench.core.scenario import Ask, Prompt, Scenario
from bench.core.trial import Attempt, Deadline, Interruption, Shed, Trial, TrialLost
from bench.plan.plan import PlannedCell, PlannedTrial
from bench.records.journal import columns_of
from bench.run.context import Context, Running
from bench.run.outcome.judge import Exchange, Outcome, invalid, judge, judge_own, plugin_fault
from bench.run.outcome.unsupported import refusal
from bench.run.progress import Progress
from bench.run.stopping.ledger import answers_without_usage
from bench.run.trial.call import consume
from bench.run.trial.rows import keeps_events, redact_rows, trial_rows
from bench.run.trial.scenario_setup import scenario_setup


async def run_trial(planned: PlannedTrial, running: Running, context: Context, progress: Progress) -> int:
    """Run, judge and journal one trial. Return the number of its events.

    A cancelled trial that had begun is journalled; then the cancellation is raised again.
    """
    scenario = context.scenarios[running.cell.scenario]
    trial = _new_trial(planned, running, scenario)
    start = _Start(planned, running, trial, context)
    ask = _ask(planned, running.cell, context, trial)
    if not running.is_deferred:
        start(perf_counter_ns())
    await _time_or_shed(trial, scenario, running, ask, context)
    if isinstance(trial.error, asyncio.CancelledError | TrialLost) and not await _has_begun(trial, start, running):
        if isinstance(trial.error, TrialLost):
            return 0  # trials that had begun are lost too, and have rows
        raise trial.error
    start(trial.t_origin)
    exchanges = list(map(exchange_of, trial.attempts))
    outcome = _judge(trial, exchanges, scenario)
    _store(planned, start.phase, trial, exchanges, outcome, running.cell, context, progress)
    if isinstance(trial.error, asyncio.CancelledError):
        raise trial.error
    return sum(len(answer.events) for _, answer in exchanges)


def _new_trial(planned: PlannedTrial, running: Running, scenario: Scenario) -> Trial:
    cell = running.cell
    trial = Trial(planned.trial_id, cell.scenario, planned.delivery, cell.target, cell.model, planned.phase)
    trial.cold = scenario.connection == "cold"
    trial.deferred, trial.due = running.is_deferred, planned.due
    trial.on_read = partial(running.outstanding.remove, planned.trial_id)
    trial.t_intend = None if planned.due is None else running.t_group + planned.due
    return trial


class _Start:
    """Journals the start of a trial, once: from then on the trial counts as offered."""

    def __init__(self, planned: PlannedTrial, running: Running, trial: Trial, context: Context) -> None:
        self._planned, self._running, self._context, self._t_intend = planned, running, context, trial.t_intend
        self.t_begun: int | None = None
        self.phase = planned.phase
        """Decided when the trial begins: its rows of `starts` and `trials` must agree on it."""
        trial.on_fired = self

    def __call__(self, t_begun: int) -> None:
        if self.t_begun is not None:
            return
        self.t_begun = t_begun
        planned = {name: getattr(self._planned, name) for name in ("trial_id", "cell", "pair", "block", "delivery")}
        self.phase = self._running.phase(self._planned, self._t_intend or t_begun)
        row = {**planned, "phase": self.phase, "t_start": t_begun - self._context.t0}
        self._context.journal.write({"starts": columns_of("starts", [row])})


def _ask(planned: PlannedTrial, cell: PlannedCell, context: Context, trial: Trial) -> Ask:
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


async def _time_or_shed(trial: Trial, scenario: Scenario, running: Running, ask: Ask, context: Context) -> None:
    """Time the trial, or shed it: in open loop a trial that finds too many in flight is not sent."""
    limit = running.most_in_flight(context.max_in_flight)
    # the load generator applies the limit to deferred trials itself
    if trial.t_intend is not None and not running.is_deferred and running.in_flight >= limit:
        trial.error = Shed(f"{limit} were in flight (--max-in-flight)")
        trial.t_origin = trial.t_end = trial.t_intend
        return
    running.in_flight += 1
    try:
        await _time(trial, scenario, running, ask, context)
    finally:
        running.in_flight -= 1


async def _time(trial: Trial, scenario: Scenario, running: Running, ask: Ask, context: Context) -> None:
    """Run the trial in a task of its own, so that the tap can tell whose requests it sees. Never raises."""
    link, client = running.link, running.cell.client
    if running.is_deferred and link.wire is not None:
        link.wire.attach(trial)
    task = asyncio.create_task(_observe(trial, scenario, link.client_of(scenario, client), ask, context, running))
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
        await link.release(trial, client)
        if running.is_deferred and trial.attempts:
            trial.t_call = max(trial.t_origin, trial.attempts[0].t_start)


async def _observe(trial: Trial, scenario: Scenario, client: Any, ask: Ask, context: Context, running: Running) -> None:
    """Enter setup and observers, then call the scenario's function within the deadline."""
    current_trial.set(trial)
    async with AsyncExitStack() as stack:
        ask = await stack.enter_async_context(scenario_setup(scenario, client, ask, context.deadline_s))
        for observer in context.hooks.observe(trial=trial):
            await stack.enter_async_context(observer)
        try:
            async with asyncio.timeout(_seconds(trial, context)) as scope:
                await _call(trial, scenario, client, ask, alone=running.is_alone)
        except TimeoutError as error:
            trial.error = (
                Deadline(f"not done after {context.deadline_s:g} s (--deadline)") if scope.expired() else error
            )
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if (task is not None and task.cancelling()) or isinstance(error, Interruption):
                raise
            trial.error = RuntimeError("the scenario cancelled its own task").with_traceback(error.__traceback__)
        except Exception as error:  # noqa: BLE001  (whatever it is, it becomes the trial's row)
            trial.error = error
        finally:
            trial.t_end = trial.t_end or trial.now()


def _seconds(trial: Trial, context: Context) -> float | None:
    """Return what is left of the deadline; None for a deferred trial, whose deadline the load generator keeps."""
    if trial.deferred:
        return None  # in this process the trial may wait for its turn
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
    """Stamp the trial's time and CPU around the scenario's function, in the thread that runs it."""
    cpu = process_time_ns()
    if not trial.deferred:  # the load generator says when a deferred trial began
        trial.t_call = perf_counter_ns()
        trial.t_origin = trial.t_call if trial.t_intend is None else trial.t_intend
    try:
        yield
    finally:
        if not trial.over:  # else it was left behind in its thread
            trial.t_end = trial.now()
            trial.cpu_ns = process_time_ns() - cpu if alone else None


async def _has_begun(trial: Trial, start: _Start, running: Running) -> bool:
    """Settle a trial that was cancelled or whose load generator is gone. Return False if it had not begun.

    A trial that had not begun has no row.
    """
    if isinstance(trial.error, TrialLost):
        running.out = True  # begin no more: `_run_in_shooter` ends the run
    elif ending := running.abort():
        await asyncio.wait([ending])
    if running.is_deferred:
        if start.t_begun is None:
            return False
        trial.t_origin = trial.t_call = start.t_begun
        trial.t_end = perf_counter_ns()  # the trial's own clock has stopped at its last read
    return True


def exchange_of(attempt: Attempt) -> Exchange:
    """Return an attempt with its answer, decoded now unless the client has decoded it."""
    return attempt, attempt.answer or decode(
        attempt.reads, attempt.headers, asked_stream=attempt.asked_stream, path=attempt.path
    )


def _judge(trial: Trial, exchanges: Sequence[Exchange], scenario: Scenario) -> Outcome:
    """Judge what the server sent, then ask the scenario which pieces were useful and whether the result is valid."""
    own = scenario.client == "own"
    outcome = judge_own(trial) if own else judge(trial, exchanges, recovers=scenario.recovers)
    useful = scenario.useful
    try:
        trial.useful = [bool(useful(piece)) for _, piece in trial.pieces]
    except Exception as error:  # noqa: BLE001  (whatever it is, it becomes the trial's row)
        trial.useful = [False] * len(trial.pieces)
        return plugin_fault(error)
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


def _store(
    planned: PlannedTrial,
    phase: str,
    trial: Trial,
    exchanges: Sequence[Exchange],
    outcome: Outcome,
    cell: PlannedCell,
    context: Context,
    progress: Progress,
) -> None:
    """Journal the trial and count it. Raise `BenchError` if the plugin is at fault in the warm-up."""
    kept = phase == "calibrate" or keeps_events(planned.trial_id, context.events)
    known = planned_columns(planned, cell, context.prompts[cell.scenario][planned.ask])
    columns = {**known, "phase": phase, "worker": context.worker, "stored": kept}
    rows = trial_rows(columns, trial, exchanges, outcome, t0=context.t0, store_text=context.store_text)
    if not kept:
        del rows["events"], rows["pieces"]
    context.journal.write(redact_rows(rows, context.redact))
    refused = refusal(trial, exchanges, outcome)
    if phase == "measure":
        context.tally.statuses[outcome.status] += 1
    elif planned.phase == "warmup":
        context.tally.refusals.add(cell.cell, refused)
    row = {name: values[0] for name, values in rows["trials"].items()}
    context.stopping.trial_ended(planned, cell, row, answers_without_usage(exchanges))
    progress.trial_done(cell, planned, row)
    if planned.phase == "warmup" and outcome.status == "scenario_error" and not refused:
        error = context.redact(outcome.error or "")
        raise BenchError(f"scenario {cell.scenario!r} failed in warm-up ({planned.delivery}): {error}")


def planned_columns(planned: PlannedTrial, cell: PlannedCell, prompt: Prompt) -> dict[str, Any]:
    """Return the columns of the table `trials` that the plan already knows."""
    names = ("trial_id", "cell", "pair", "block", "order", "phase", "arm", "delivery", "ask", "nonce")
    cell_names = ("scenario", "params", "api", "target", "model", "client", "load")
    return {
        **{name: getattr(planned, name) for name in names},
        **{name: getattr(cell, name) for name in cell_names},
        "ask_id": str(prompt["id"]) if isinstance(prompt, Mapping) and "id" in prompt else None,
    }
