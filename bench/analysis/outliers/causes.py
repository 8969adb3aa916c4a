"""What was seen while an outlier ran, and not with the others of its cell. It may be the cause; nothing proves it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from bench.analysis.checks.guard import LATE_MS
from bench.analysis.outliers.context import Attempt, Far, Seen, seen
from bench.analysis.per_trial import MS
from bench.analysis.tables import RunFrames

MATTERS = 0.1
"""What took a smaller part of the excess over the median explains nothing."""
LONGER = 1.5
"""Times the median of output tokens."""
USUAL = 0.5
"""What at least so large a share of the others met too makes no trial another one."""
SAID = {"gc_pause": "garbage collection took {}", "loop_lag": "the event loop was {} late"}
"""Of the probes `seen.PAUSES`."""


def causes(frames: RunFrames, listed: Sequence[Far]) -> Mapping[Far, str]:
    """Of each what was seen, joined by commas; empty where nothing was."""
    return {one.far: ", ".join(_said(one)) for one in seen(frames, listed)}


def _said(one: Seen) -> Iterator[str]:
    if one.far.trial_id == one.others.first:
        yield "the first trial of its cell"
    yield from _begun(one)
    yield from _retries(one)
    yield from _connections(one)
    yield from (SAID[name].format(_ms(ms)) for name, ms in one.pauses.items() if _matters(one, ms, LATE_MS))
    if one.far.metric == "total":
        yield from _answer(one)


def _matters(one: Seen, ms: float, least: float = 0.0) -> bool:
    """Is it a good part of what the trial took more than others? Not so for NaN."""
    return ms > max(least, MATTERS * one.far.excess)


def _ms(value: float) -> str:
    return f"{value:.0f} ms" if value >= 100 else f"{value:.3g} ms"


def _begun(one: Seen) -> Iterator[str]:
    """Open loop: the time from which a trial counts is that of the schedule."""
    late = (one.trial.t_call - one.trial.t_origin) / MS
    if _matters(one, late, LATE_MS):
        yield f"begun {_ms(late)} late"


def _retries(one: Seen) -> Iterator[str]:
    number = sum(attempt.attempt > 0 for attempt in one.attempts)
    both = pairwise(one.attempts)
    waited = sum((later.t_start - earlier.t_end) / MS for earlier, later in both if later.attempt > 0)
    if number > one.others.retries:
        after = f" after {_ms(waited)} of back-off" if waited > 0 else ""
        yield f"{number} {'retry' if number == 1 else 'retries'}{after}"


def _connections(one: Seen) -> Iterator[str]:
    took = sum(filter(math.isfinite, (_connect_ms(attempt) for attempt in one.attempts)))
    if one.others.opened < USUAL and _matters(one, took):
        yield f"a new connection ({_ms(took)})"


def _connect_ms(attempt: Attempt) -> float:
    ready = attempt.t_connected if math.isnan(attempt.t_tls) else attempt.t_tls
    return (ready - attempt.t_connect) / MS


def _answer(one: Seen) -> Iterator[str]:
    """What comes after the first token."""
    stalled, tokens, usual = one.trial.stall_ns / MS, one.trial.output_tokens, one.others.tokens
    if _matters(one, stalled):
        yield f"stalled for {_ms(stalled)}"
    if tokens > LONGER * usual:
        yield f"a longer answer ({tokens:.0f} tokens, median {usual:.3g})"
