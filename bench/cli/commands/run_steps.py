"""Carry out `bench run`: choose, check, plan, ask, measure, store, report."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.analysis.stopping_line import stopping_line
from bench.cli.conditions import with_conditions
from bench.core.errors import EXIT_INTERRUPTED, BenchError, NotEnough, RunInvalid
from bench.core.results.summary import Trust
from bench.core.text.terminal import say
from bench.gate.check_early import check_early
from bench.plan.baseline import check_named
from bench.plan.choice import ANY_MODEL, Choice, choose, scenario_cells, simulator_notes
from bench.plan.consent import ask_before_spending, describe, headline
from bench.plan.plan import FEWEST_CHECKED, Plan
from bench.plan.settings import Settings
from bench.records.journal import Journal
from bench.reports.files import ResolvedOutput, resolve_output
from bench.reports.output import Output
from bench.run import folder, measure
from bench.run.preflight.endpoints import checked_plan
from bench.run.stopping.ending import ending
from bench.run.stopping.limits import stopping_for
from bench.run.workers.dask.cluster import with_cluster_size


def run(settings: Settings, output: Output, argv: Sequence[str], *, confirm: Callable[[str], bool]) -> int:
    """Return the exit code. Every user's mistake is a BenchError before anything is written."""
    output = with_conditions(output, settings.config)
    choice = choose(settings)
    check_early(output.fail_on, choice, output, delivery=settings.delivery)
    resolved = resolve_output(output, choice.registry.all_reporters, settings.out)
    if settings.scheduler is not None and not settings.dry_run:
        settings = with_cluster_size(settings)
    notes = simulator_notes(settings)
    plan = choice.plan(settings, {}, notes.append)
    for note in notes:
        say(note)
    check_named(output.within_run, scenario_cells(plan), open_model=ANY_MODEL)
    if settings.dry_run:
        sys.stdout.write(describe(plan, choice, settings))
        return 0
    folder.check_out(settings.out)
    ask_before_spending(plan, choice, settings, confirm)
    _end_on_kill()
    with TemporaryDirectory() as scratch:
        return _measure(choice, settings, resolved, argv, notes, Path(scratch) / "truth.jsonl")


def _end_on_kill() -> None:
    """Let SIGTERM end the run as Ctrl-C does, with a report on what was measured.

    In the background of a shell script SIGINT is ignored, and then neither of them would end it.
    """
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: signal.raise_signal(signal.SIGINT))


def _measure(
    choice: Choice, settings: Settings, output: ResolvedOutput, argv: Sequence[str], notes: Sequence[str], truth: Path
) -> int:
    with checked_plan(choice, settings, truth) as (plan, reachable, endpoints):
        check_named(output.options.within_run, scenario_cells(plan))
        capped = {name: endpoint.checked.length for name, endpoint in endpoints.items()}
        stopping = stopping_for(plan, reachable, settings, capped)
        run = folder.begin(
            plan,
            reachable,
            endpoints,
            settings,
            argv=argv,
            notes=notes,
            baseline=output.options.within_run,
        )
        run.stopping = stopping
        most = "at most " if settings.precision is not None or settings.budgets else ""
        say(f"{headline(plan)}: {_size(plan, most)} into {run.folder}")
        journal = Journal(run.folder)
        try:
            whole = measure.measure_trials(run, plan, reachable, endpoints, settings, journal)
        except BenchError:
            folder.discard_unmeasured(run, journal)
            raise
    ended = ending(stopping, plan, [target for target, _ in choice.targets], whole=whole, lost=run.lost)
    if ended["reason"] in {"precision", "budget"}:
        say(stopping_line({"stopping": ended}))
    missing: list[str] = []
    if whole and settings.memory and not run.lost:
        whole, missing = measure.measure_memory(choice, journal, consumers=plan.pairs >= FEWEST_CHECKED)
    notes = [*run.tally.unsupported.values(), *run.notes, *missing]
    how = run.lost or ("finished" if whole else "interrupted")
    folder.end(run, journal, truth, ended=how, stopping=ended, notes=notes, sampled=settings.events < 1)
    from bench.cli.present import show  # noqa: PLC0415  (pandas: not in the measuring process)

    try:
        shown = show(run.folder, output)
    except KeyboardInterrupt:
        say(f"bench: interrupted while it made the report; the records are whole: bench report {run.folder}")
        return EXIT_INTERRUPTED
    if not whole:
        return EXIT_INTERRUPTED
    _judge(run, shown.summary.trust)
    return shown.exit_code


def _size(plan: Plan, most: str) -> str:
    return f"{most}{plan.size} trials" if plan.size is not None else f"trials for {most}{plan.seconds:.0f} s of load"


def _judge(run: folder.Run, trust: Trust) -> None:
    """Raise the error whose exit code says that the report, which stands either way, answers no question."""
    tally = run.tally
    if run.lost:
        raise RunInvalid(f"{run.lost}; {run.folder}/report.md has what was measured until then")
    if tally.orphans:
        raise RunInvalid(f"{tally.orphans} requests belonged to no trial (a plugin sends outside of its functions?)")
    if tally.unsupported and not tally.statuses:
        raise RunInvalid(
            f"{'; '.join(tally.unsupported.values())}: nothing was left to measure; try another --model or --api, or "
            "say `lacks` for that target in bench.toml"
        )
    if run.stopping.out_of and not tally.statuses:
        raise NotEnough(f"the budget of {run.stopping.out_of.text} ended the run in its warm-up; give more")
    if not tally.statuses:
        raise NotEnough("no trial was measured: all began within the --ramp; make it shorter, or give more --requests")
    if not tally.statuses["ok"]:
        counts = ", ".join(f"{count} {status}" for status, count in sorted(tally.statuses.items()))
        raise NotEnough(f"no trial was ok ({counts}); {run.folder}/report.md lists them")
    if trust.verdict == "INVALID":
        raise RunInvalid(f"the run is INVALID: {trust.sentence} {run.folder}/report.md says more")
