"""Carry out `bench conformance`."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence

from bench.core.errors import NotEnough
from bench.simulator.conformance_set import ConformanceStream, choose, load
from bench.testing.conformance.check import judge, lags, tolerance
from bench.testing.conformance.run import RecordedTrial, conduct
from bench.testing.conformance.table import Conclusion, as_json, as_table

WRONG = 1
AGAIN = 2
"""A stream whose times are off is measured this many times as often again: in the median a hiccup of the machine weighs
less and less, a wrong mark stays."""


def conformance(names: Sequence[str], repeat: int, *, json: bool) -> int:
    """Measure the named streams, or all, and print the results. Returns the exit code: 0 if all are right, else 1.

    Raises `NotEnough` if only times are wrong and the machine is too busy to decide.
    """
    known = load()
    streams = choose(known, names)
    taken = conduct(streams, known, repeat)
    p95, allowed = tolerance([lag for stream in streams for lag in lags(stream, taken[stream.model])])
    taken = with_more_of_late(streams, known, taken, repeat, allowed)
    results = [judge(stream, taken[stream.model], allowed) for stream in streams]
    conclusion = Conclusion(results=results, repeat=repeat, read_lag_p95=p95, tolerance=allowed)
    print(as_json(conclusion) if json else as_table(conclusion, color=sys.stdout.isatty()))  # noqa: T201
    if conclusion.busy:
        raise NotEnough("inconclusive: this machine is too busy; run again when it is idle")
    return 0 if conclusion.right == len(results) else WRONG


def with_more_of_late(
    streams: Sequence[ConformanceStream],
    known: Mapping[str, ConformanceStream],
    taken: Mapping[str, Sequence[RecordedTrial]],
    repeat: int,
    allowed: float,
) -> Mapping[str, Sequence[RecordedTrial]]:
    """Return all trials, with further ones of the streams of which only times are off."""
    found = [(stream, judge(stream, taken[stream.model], allowed)) for stream in streams]
    late = [stream for stream, result in found if result.late and not result.wrong]
    if not late:
        return taken
    more = conduct(late, known, AGAIN * repeat)
    return {model: [*first, *more.get(model, ())] for model, first in taken.items()}
