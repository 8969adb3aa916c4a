"""What of the options for load does not go together: said before anything is loaded or sent."""

from __future__ import annotations

from bench import fdlimit
from bench.choice import Settings
from bench.errors import BenchError
from bench.slo import parse_slos
from bench.target import SIM


def check_load(settings: Settings) -> None:
    """BenchError, in one line, where an option would change nothing or the machine cannot carry the load."""
    parse_slos(settings.slos)
    loaded = [load for load in settings.loads if not load.alone]
    if settings.duration is not None and settings.requests is not None:
        raise BenchError("--duration and --requests: give one of them")
    asked = [
        (settings.duration is not None, "--duration"),
        (settings.requests is not None, "--requests"),
        (settings.ramp > 0, "--ramp"),
        (settings.workers > 1, "--workers"),
        (settings.scheduler is not None, "--scheduler"),
    ]
    for given, option in asked:
        if given and not loaded:
            raise BenchError(f"{option} is for trials under load; add --concurrency 8 or --rate 5, or leave it out")
    if settings.duration is not None and settings.ramp * 2 >= settings.duration:
        raise BenchError(
            f"--ramp {settings.ramp:g} s comes twice in each delivery's {settings.duration:g} s (--duration) and leaves "
            "nothing to measure; make it shorter, or --duration longer"
        )
    if settings.workers > 1 and (settings.precision is not None or settings.budgets):
        raise BenchError(
            "--workers with --precision or --budget: nobody sees all trials; use --requests or --duration"
        )
    if settings.shared_prefix and settings.input_tokens is None and settings.prompts is None:
        raise BenchError("--shared-prefix is for made-up prompts or --prompts; add --input-tokens 512")
    fdlimit.check(most_streams(settings), settings.workers, simulated=on_simulator(settings))


def on_simulator(settings: Settings) -> bool:
    """Is nothing but the embedded simulator named as a target?"""
    return not settings.base_url and set(settings.targets) <= {SIM}


def most_streams(settings: Settings) -> int:
    """Streams that may be open at a time."""
    closed = [load.concurrency or 0 for load in settings.loads]
    return max([*closed, settings.max_in_flight if settings.rates else 0])
