"""`bench doctor`: choose the endpoints, ask for consent, examine them, and show the diagnosis."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.core.errors import EXIT_INTERRUPTED, BenchError
from bench.core.scenario import API_NAMES
from bench.core.target import expanded_headers, key_for
from bench.core.text.terminal import say
from bench.doctor.diagnosis import Hop
from bench.doctor.endpoints import DoctorEndpoint, announce, ask_before_spending, choose
from bench.doctor.probe.examine import Examination, Patient, examine
from bench.doctor.probe.source import simulator_at
from bench.doctor.reports.html import render_html
from bench.doctor.reports.json import render_json
from bench.doctor.reports.markdown import render_markdown
from bench.doctor.reports.terminal import render_terminal
from bench.doctor.requests import Manner
from bench.doctor.settings import DoctorSettings
from bench.records.redact import Redactor, redact_argv
from bench.records.write import write_whole
from bench.reports.files import open_page
from bench.run.preflight.preflight import preflight
from bench.run.progress import progress
from bench.simulator.process import running

if TYPE_CHECKING:
    from bench.doctor.diagnosis import Diagnosis

PAGE = Path("doctor.html")
"""Where `--open` writes the page that `--html` does not name."""
WIDEST = 100


def doctor(settings: DoctorSettings, argv: Sequence[str], *, confirm: Callable[[str], bool]) -> int:
    """Carry the command out and return its exit code."""
    chosen = choose(settings)
    announce(chosen, settings)
    if settings.dry_run:
        return 0
    ask_before_spending(chosen, settings, confirm)
    if settings.sim_behind:
        asyncio.run(check_simulator(settings.sim))
    found, notes, interrupted = Examination(), list[str](), False
    with start_simulators(chosen) as (reachable, reference):
        patients, sent = asyncio.run(admit(reachable, settings, notes))
        total = sum(question.api in patient.apis for patient in patients for question in settings.questions)
        with progress(total, "requests") as reporter:
            try:
                asyncio.run(
                    examine(
                        patients,
                        settings.questions,
                        found,
                        reference_url=reference,
                        deadline_s=settings.deadline,
                        seed=settings.seed,
                        step=reporter.step,
                        simulator=settings.sim if settings.sim_behind else None,
                    )
                )
            except KeyboardInterrupt:
                interrupted = True
                notes.append(f"Interrupted after {len(found.readings)} of {total} answers: this is what they say.")
    if not found.readings:
        raise KeyboardInterrupt
    from bench.doctor.conclude import conclude  # noqa: PLC0415  (scipy: after the last request)

    again = shlex.join(repeat_command(redact_argv(argv)))
    diagnosis = conclude(patients, found, again=again, requests=sent, notes=notes)
    show(diagnosis, settings)
    return EXIT_INTERRUPTED if interrupted else diagnosis.exit_code


def repeat_command(argv: Sequence[str]) -> list[str]:
    """Return the command line without the options for the page and the consent."""
    kept, skips = [], False
    for word in argv:
        if not (skips or word in {"-y", "--yes", "--open", "--html"} or word.startswith("--html=")):
            kept.append(word)
        skips = word == "--html"
    return kept


@contextmanager
def start_simulators(chosen: Sequence[DoctorEndpoint]) -> Iterator[tuple[Sequence[DoctorEndpoint], str]]:
    """Start the simulators of `sim` and of the reference stream; yield the endpoints, and the latter's URL."""
    with ExitStack() as stack:
        reference = stack.enter_context(running())
        if any(one.target.simulated for one in chosen):
            simulator = stack.enter_context(running())  # one of its own: the reference stream must not hold it up
            chosen = [
                replace(one, target=replace(one.target, base_url=simulator.base_url)) if one.target.simulated else one
                for one in chosen
            ]
        yield chosen, reference.base_url


async def check_simulator(simulator: str) -> None:
    """Raise `BenchError` where no simulator is at that URL, before any gateway is asked."""
    async with simulator_at(simulator):
        pass


async def admit(
    chosen: Sequence[DoctorEndpoint], settings: DoctorSettings, notes: list[str]
) -> tuple[list[Patient], int]:
    """Run the preflight of each endpoint; return them with the number of requests that took.

    Raises `BenchError` for what hinders all other requests.
    """
    patients, sent = [], 0
    for one in chosen:
        key, headers = key_for(one.target, os.environ), expanded_headers(one.target, os.environ)
        models = [one.model] if one.model else None
        checked = await preflight(one.target, models, set(settings.apis), key=key, headers=headers)
        apis = [api for api in settings.apis if api not in checked.missing]
        missing = [f"{one.name}: no {API_NAMES[api]} there" for api in settings.apis if api in checked.missing]
        if not apis:
            raise BenchError(f"{'; '.join(missing)}: nothing to examine (its base URL may have to end in /v1)")
        others = [line for line in checked.notices if "try --api" not in line]
        for line in [*missing, *others]:
            say(line)
        notes += [f"{line[:1].upper()}{line[1:]}." for line in missing]
        sent += 1 + len(apis)
        manner = Manner(
            model=checked.models[0],
            temperature=checked.temperature,
            length=checked.length,
            extra=one.target.extra_body,
            simulated=one.simulated,
        )
        hop = Hop(name=one.name, base_url=one.target.base_url or "", model=checked.models[0])
        redact = Redactor([key, *headers.values()])
        patients.append(Patient(hop=hop, key=key, headers=headers, manner=manner, apis=apis, redact=redact))
    return patients, sent


def show(diagnosis: Diagnosis, settings: DoctorSettings) -> None:
    """Print the diagnosis in the form that was asked for, and write the page if one was."""
    if settings.form == "json":
        print(render_json(diagnosis).decode(), end="")  # noqa: T201
    elif settings.form == "markdown":
        print(render_markdown(diagnosis), end="")  # noqa: T201
    else:
        color = sys.stdout.isatty()
        width = shutil.get_terminal_size().columns if color else WIDEST
        print(render_terminal(diagnosis, width=width, color=color), end="")  # noqa: T201
    if settings.html or settings.open_html:
        _write_page(diagnosis, settings)


def _write_page(diagnosis: Diagnosis, settings: DoctorSettings) -> None:
    page = settings.html or PAGE
    try:
        write_whole({page: render_html(diagnosis).encode()})
    except OSError as error:
        raise BenchError(f"--html {page}: cannot be written ({error.strerror}); name another file") from error
    say(f"page: {page}")
    if settings.open_html:
        open_page(page)
