"""Run one planned trial: ask, time, judge, store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from functools import partial
from time import perf_counter_ns, process_time_ns
from typing import Any

from bench.clients.decode.decode import decode
from bench.clients.sdk.tap import current_trial
from bench.core.ask import make_ask
from bench.core.errors import BenchError
from bench.core.params import instance
from bench.core.scenario import Ask, Prompt, Scenario
from bench.core.trial import Attempt, Deadline, Interruption, Shed, Trial, TrialLost
from bench.plan.plan import Cell, PlannedTrial
from bench.records.journal import columns_of
from bench.run.context import Context, Progress, Running
from bench.run.outcome.judge import Exchange, Outcome, invalid, judge, judge_own, plugin_fault
from bench.run.outcome.unsupported import refusal
from bench.run.stopping.ledger import untold
from bench.run.trial.call import consume
from bench.run.trial.rows import redacted, stored, trial_rows
from bench.run.trial.scenario_setup import prepared


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
    if isinstance(trial.error, TrialLost):
        running.out = True  # begin no more: `_deferred` ends the run
    if isinstance(trial.error, asyncio.CancelledError | TrialLost) and running.deferred:
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
    if isinstance(error, TrialLost):
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
        await link.release(trial, client)
        if running.deferred and trial.attempts:
            trial.t_call = max(trial.t_origin, trial.attempts[0].t_start)


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
            if _cancelling() or isinstance(error, Interruption):
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
