"""`bench run` as a table of contents."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from bench import session
from bench.choice import Choice, Settings, ask_before_spending, choose, describe, headline
from bench.errors import EXIT_INTERRUPTED
from bench.plan import Plan
from bench.progress import say
from bench.records import Journal
from bench.show import show


def run(settings: Settings, argv: Sequence[str], *, confirm: Callable[[str], bool]) -> int:
    """The whole command: choose, check, plan, measure, store, report. Returns the exit code."""
    choice = choose(settings)
    notes: list[str] = []
    plan = choice.plan(settings, {}, notes.append)
    if settings.dry_run:
        sys.stdout.write(describe(plan, choice, settings))
        return 0
    session.check_out(settings.out)
    ask_before_spending(plan, choice, settings, confirm)
    with session.simulator_for(choice, settings) as (reachable, truth):
        endpoints = session.check_endpoints(reachable)
        models = {name: endpoint.checked.models[0] for name, endpoint in endpoints.items()}
        plan = reachable.plan(settings, models, lambda _: None)
        return _measure(plan, reachable, endpoints, settings, argv, truth, notes)


def _measure(
    plan: Plan,
    choice: Choice,
    endpoints: dict[str, session.Endpoint],
    settings: Settings,
    argv: Sequence[str],
    truth: Path,
    notes: list[str],
) -> int:
    for note in notes:
        say(note)
    folder = session.begin(plan, choice, settings, argv, notes)
    say(f"{headline(plan)}: {len(plan.trials)} trials into {folder.folder}")
    journal = Journal(folder.folder)
    whole = session.measure_trials(folder, plan, choice, endpoints, settings, journal)
    memory_notes: list[str] = []
    if whole and settings.memory:
        whole, memory_notes = session.measure_memory(choice, journal)
    ended = session.FINISHED if whole else session.INTERRUPTED
    session.end(folder, journal, truth, ended=ended, notes=memory_notes)
    show(folder.folder, [reporter for reporter, _ in choice.registry.reporters.values()])
    return EXIT_INTERRUPTED if not whole else 0
