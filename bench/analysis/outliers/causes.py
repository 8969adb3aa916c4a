"""Name what was seen with an outlier, and not with the others of its cell. Nothing proves that it is the cause."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from bench.analysis.checks.guard import LATE_MS
from bench.analysis.outliers.context import FarTrial, OutlierAttempt, OutlierContext, outlier_contexts
from bench.analysis.tables import RunFrames
from bench.core.results.metrics.metric import MS

MATTERS = 0.1
"""What took a smaller part of the excess over the median explains nothing."""
LONGER = 1.5
"""Times the median of output tokens."""
USUAL = 0.5
"""What at least so large a share of the others met too makes no trial another one."""
PAUSE_TEXTS = {"gc_pause": "garbage collection took {}", "loop_lag": "the event loop was {} late"}
"""Of the probes `context.PAUSES`."""


def causes(frames: RunFrames, listed: Sequence[FarTrial]) -> Mapping[FarTrial, str]:
    """Return what was seen with each, joined by commas; "" where nothing was."""
    return {one.far: ", ".join(_causes(one)) for one in outlier_contexts(frames, listed)}


def _causes(one: OutlierContext) -> Iterator[str]:
    if one.far.trial_id == one.others.first:
        yield "the first trial of its cell"
    late = (one.trial.t_call - one.trial.t_origin) / MS  # open loop: a trial counts from its time in the schedule
    if _matters(one, late, LATE_MS):
        yield f"begun {_ms(late)} late"
    yield from _retries(one)
    took = sum(filter(math.isfinite, map(_connect_ms, one.attempts)))
    if one.others.opened < USUAL and _matters(one, took):
        yield f"a new connection ({_ms(took)})"
    yield from (PAUSE_TEXTS[name].format(_ms(ms)) for name, ms in one.pauses.items() if _matters(one, ms, LATE_MS))
    if one.far.metric == "total":  # what comes after the first token
        stalled, tokens, usual = one.trial.stall_ns / MS, one.trial.output_tokens, one.others.tokens
        if _matters(one, stalled):
            yield f"stalled for {_ms(stalled)}"
        if tokens > LONGER * usual:
            yield f"a longer answer ({tokens:.0f} tokens, median {usual:.3g})"


def _matters(one: OutlierContext, ms: float, least: float = 0.0) -> bool:
    """Return True if `ms` is a good part of what the trial took more than others; False for NaN."""
    return ms > max(least, MATTERS * one.far.excess)


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _retries(one: OutlierContext) -> Iterator[str]:
    number = sum(attempt.attempt > 0 for attempt in one.attempts)
    both = pairwise(one.attempts)
    waited = sum((later.t_start - earlier.t_end) / MS for earlier, later in both if later.attempt > 0)
    if number > one.others.retries:
        after = f" after {_ms(waited)} of back-off" if waited > 0 else ""
        yield f"{number} {'retry' if number == 1 else 'retries'}{after}"


def _connect_ms(attempt: OutlierAttempt) -> float:
    ready = attempt.t_connected if math.isnan(attempt.t_tls) else attempt.t_tls
    return (ready - attempt.t_connect) / MS
