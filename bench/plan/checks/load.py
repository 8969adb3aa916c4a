"""Refuse options for load that do not go together, before anything is loaded or sent."""

from __future__ import annotations

import re

from bench.core.errors import BenchError
from bench.core.load import Load
from bench.core.slo import check_slos
from bench.core.target import SIM
from bench.plan.checks import open_file_limit as fdlimit
from bench.plan.options.option import options_of
from bench.plan.schedule import asked_and_segment
from bench.plan.settings import Settings

_ADDRESS = re.compile(r"([a-z]+://)?[^\s/:]+:\d{1,5}|([a-z]+://)?\[[^\s/]+\]:\d{1,5}")


def check_load(settings: Settings) -> None:
    """Raise BenchError, in one line, where an option would change nothing or the machine cannot carry the load."""
    check_slos(settings.slos)
    if settings.duration is not None and settings.requests is not None:
        raise BenchError("--duration and --requests: give one of them")
    default = Settings()
    for name, option in options_of(Settings).items():
        given = getattr(settings, name) != getattr(default, name)
        if given and option.needs == "load" and not settings.under_load:
            raise BenchError(
                f"{option.flag} is for trials under load; add --concurrency 8 or --rate 5, or leave it out"
            )
        if given and option.needs == "rate" and not settings.rates:
            raise BenchError(f"{option.flag} is for open loop; add --rate 5, or leave it out")
    if settings.duration is not None and settings.ramp * settings.rounds >= settings.duration:
        raise BenchError(
            f"--ramp {settings.ramp:g} s comes {settings.rounds} times in each delivery's {settings.duration:g} s "
            "(--duration) and leaves nothing to measure; make it shorter, or --duration longer"
        )
    _check_ramp(settings)
    _check_workers(settings)
    if settings.shared_prefix and settings.input_tokens is None and settings.prompts is None:
        raise BenchError("--shared-prefix is for made-up prompts or --prompts; add --input-tokens 512")
    if settings.scheduler is None:  # else each worker looks for itself
        fdlimit.check(most_streams(settings), settings.workers, simulated=on_simulator(settings))


def _check_workers(settings: Settings) -> None:
    """Raise BenchError for a wrong scheduler, and for what several workers cannot do."""
    if settings.scheduler is not None and not _ADDRESS.fullmatch(settings.scheduler):
        raise BenchError(f"--scheduler {settings.scheduler!r} is no address; write for instance tcp://host:8786")
    if settings.workers > 1 and settings.scheduler is not None:
        raise BenchError("--workers and --scheduler: give one of them; all workers of the scheduler measure")
    if settings.several_processes and (settings.precision is not None or settings.budgets):
        option = "--workers" if settings.scheduler is None else "--scheduler"
        raise BenchError(f"{option} with --precision or --budget: nobody sees all trials; use --requests or --duration")


def _check_ramp(settings: Settings) -> None:
    """Raise BenchError where a ramp leaves no request after it in open loop."""
    for rate in settings.rates if settings.duration is None else ():
        _, number = asked_and_segment(Load(rate=rate), settings.requests, settings.most_pairs, settings.rounds)
        if number <= rate * settings.ramp / 2:
            raise BenchError(
                f"--ramp {settings.ramp:g} s: at rate={rate:g} all {number} trials of a segment would begin within it; "
                "make it shorter, or give --duration or more --requests"
            )


def on_simulator(settings: Settings) -> bool:
    """Return True where no target but the embedded simulator is named."""
    return not settings.base_url and set(settings.targets) <= {SIM}


def most_streams(settings: Settings) -> int:
    """Return the number of streams that may be open at a time."""
    closed = [load.concurrency or 0 for load in settings.loads]
    return max([*closed, settings.max_in_flight if settings.rates else 0])
