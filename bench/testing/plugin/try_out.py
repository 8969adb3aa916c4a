"""Carry out `bench try`: one streamed and one blocking trial, each piece printed as it comes."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, closing, suppress
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

from bench.core.errors import BenchError, NotEnough, RunInvalid
from bench.core.plugins.hookspecs import hookimpl
from bench.core.text.terminal import say
from bench.core.trial import Trial
from bench.plan.choice import Choice, choose, simulator_notes
from bench.plan.consent import ask_before_spending, headline
from bench.plan.plan import Plan, PlannedCell
from bench.plan.settings import Settings
from bench.records.journal import Journal, journal_rows
from bench.run.assignment import Assignment, run_here
from bench.run.folder import Run
from bench.run.preflight.endpoints import CheckedTarget, checked_plan
from bench.run.progress import Progress

Row = Mapping[str, Any]
LONGEST = 80
"""The most characters of a piece that are printed."""
COLD = "the first request of a process also pays for the SDK's own start, 0.2 to 0.6 s; `bench run` warms up first"


def try_out(settings: Settings, *, confirm: Callable[[str], bool]) -> None:
    """Carry out the command. Nothing stays on disk.

    Raises `RunInvalid` if a request belonged to no trial, `NotEnough` if a trial was not ok.
    """
    settings = replace(settings, pairs=1, warmup=1)
    choice = choose(settings)
    for note in simulator_notes(settings):
        say(note)
    ask_before_spending(_parts(choice.plan(settings, {}, say), choice)[1], choice, settings, confirm)
    with TemporaryDirectory() as folder:
        scratch = Path(folder)
        with checked_plan(choice, settings, scratch / "truth.jsonl") as (plan, reachable, endpoints):
            say(headline(plan))
            run_part = partial(_run_part, choice=reachable, endpoints=endpoints, settings=settings)
            warm, shown = _parts(plan, reachable)
            with suppress(BenchError):  # what is wrong with the scenario shows in the trials below
                run_part(warm, scratch / "warm")
            reachable.registry.manager.register(_Watch())
            run = run_part(shown, scratch / "shown")
        trials, metrics = journal_rows(run.folder, "trials"), journal_rows(run.folder, "metrics")
    for cell in plan.cells:
        cell_trials = [row for row in trials if row["cell"] == cell.cell]
        _print("\n".join(["", *_table(cell, cell_trials, metrics)]))
    if not warm.trials:
        say(COLD)
    _judge(run, trials)


def _run_part(
    plan: Plan, folder: Path, choice: Choice, endpoints: Mapping[str, CheckedTarget], settings: Settings
) -> Run:
    """Run a part of the plan and journal it in a new folder."""
    folder.mkdir()
    run = Run(folder=folder, t0=perf_counter_ns(), manifest={})
    with closing(Journal(folder)) as journal:
        assignment = Assignment(
            run=run,
            plan=plan,
            choice=choice,
            endpoints=endpoints,
            settings=replace(settings, store_text=True),
            journal=journal,
            reporter=Progress(),
        )
        asyncio.run(run_here(assignment))
    return run


class _Watch:
    """An observer that prints a trial while it runs."""

    @hookimpl
    def observe(self, trial: Trial) -> AbstractAsyncContextManager[None]:
        return _show_trial(trial)


@asynccontextmanager
async def _show_trial(trial: Trial) -> AsyncIterator[None]:
    _print(f"\n{trial.scenario}, {trial.delivery}, {trial.model} on {trial.target}")
    trial.pieces = _PrintedPieces(trial)
    yield
    if trial.delivery == "blocking" and trial.error is None:
        _print(_line(trial.t_end - trial.t_origin, trial.result))


class _PrintedPieces(list[tuple[int, Any]]):
    """The pieces of a trial: each is printed after it was stamped, so no stamp includes the printing."""

    def __init__(self, trial: Trial) -> None:
        super().__init__()
        self._trial = trial

    def append(self, stamped: tuple[int, Any]) -> None:
        super().append(stamped)
        time, piece = stamped
        _print(_line(time - self._trial.t_origin, piece))


def _line(after: int, value: object) -> str:
    text = repr(value)
    return f"{after / 1e6:10.1f} ms  {text if len(text) <= LONGEST else text[: LONGEST - 1] + '…'}"


def _print(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def _parts(plan: Plan, choice: Choice) -> tuple[Plan, Plan]:
    """Split a plan into its warm-up, only of free targets, and one trial of each delivery, streamed first."""
    free = {target.name for target, _ in choice.targets if target.free}
    warm = [t for t in plan.trials if t.phase == "warmup" and plan.cells[t.cell].target in free]
    shown = [t for t in plan.trials if t.phase == "measure"]
    shown.sort(key=lambda trial: (trial.cell, trial.delivery != "streamed"))
    return replace(plan, trials=tuple(warm)), replace(plan, trials=tuple(shown))


def _table(cell: PlannedCell, trials: Sequence[Row], metrics: Sequence[Row]) -> list[str]:
    """Return the lines of one cell's table: a column for each delivery."""
    head = f"{cell.scenario} {cell.params}".rstrip()
    rows = [
        (head, [trial["delivery"] for trial in trials]),
        ("first token", [_ms(trial, "t_first_token") for trial in trials]),
        ("first useful", [_ms(trial, "t_first_useful") for trial in trials]),
        ("whole", [_ms(trial, "t_end") for trial in trials]),
        ("pieces", [_number(trial["pieces"] or None) for trial in trials]),
        ("attempts", [_number(trial["attempts"]) for trial in trials]),
        ("result, characters", [_number(trial["result_chars"]) for trial in trials]),
        ("status", [trial["status"] for trial in trials]),
        *_metric_rows(trials, metrics),
    ]
    wide = max(len(label) for label, _ in rows)
    lines = [f"{label:<{wide}}" + "".join(f"  {value:>14}" for value in values) for label, values in rows]
    errors = [f"{trial['delivery']}: {trial['error']}" for trial in trials if trial["error"]]
    return [*lines, *errors, f"results: {_equal(trials)}"]


def _metric_rows(trials: Sequence[Row], metrics: Sequence[Row]) -> Iterator[tuple[str, list[str]]]:
    """Yield the rows of the plugin's own metrics; of a metric that was recorded several times, the last value."""
    ids = [trial["trial_id"] for trial in trials]
    found = {(row["trial_id"], row["name"]): row for row in metrics if row["trial_id"] in ids}
    for name in dict.fromkeys(name for _, name in found):
        values = [found.get((number, name)) for number in ids]
        yield name, [f"{row['value']:,.6g} {row['unit']}".rstrip() if row else "–" for row in values]


def _ms(trial: Row, stamp: str) -> str:
    if trial[stamp] is None or (stamp == "t_first_token" and trial["delivery"] == "blocking"):
        return "–"
    return f"{(trial[stamp] - trial['t_origin']) / 1e6:,.1f} ms"


def _number(value: int | None) -> str:
    return "–" if value is None else f"{value:,}"


def _equal(trials: Sequence[Row]) -> str:
    found = [trial["result_sha256"] for trial in trials if trial["status"] == "ok"]
    if len(found) < 2:
        return "one only, nothing to compare" if found else "none"
    return "equal" if len(set(found)) == 1 else "different; on the simulator both deliveries should give the same"


def _judge(run: Run, trials: Sequence[Row]) -> None:
    if run.tally.orphans:
        raise RunInvalid(f"{run.tally.orphans} requests belonged to no trial: send all of them inside the functions")
    if failed := [row for row in trials if row["status"] != "ok"]:
        raise NotEnough(f"{len(failed)} of {len(trials)} trials failed")
