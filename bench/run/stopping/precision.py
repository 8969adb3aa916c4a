"""Decide for `--precision` whether a cell is measured closely enough, by the width of its intervals alone.

A run that looks whether a difference is significant and stops when it is, finds one in a quarter of all runs in which
there is none. The width of an interval says nothing about where it lies, so looking at it costs almost nothing
(tests/unit/run/stopping/test_stopping.py has both).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from bench.stats.intervals import Estimate
from bench.plan.settings import FIRST_LOOK
from bench.stats.same_work import same_work, too_many_excluded


def next_look(pairs: int) -> int:
    """Return the number of pairs at which to look next: 30, 42, 59, 83, 117, … (1.4 times as many, rounded up)."""
    return -(-pairs * 7 // 5)


class TrialTimes(NamedTuple):
    """The times of a trial in ns from its origin, except `began` (from the run's start), and what it answered."""

    began: int
    delivery: str
    ok: bool
    useful: int | None
    total: int
    result: str | None
    tokens: int | None


def trial_times(row: Mapping[str, Any]) -> TrialTimes:
    """Read the times from a row of the table `trials`."""
    useful = row["t_first_useful"]
    return TrialTimes(
        row["t_origin"],
        row["delivery"],
        row["status"] == "ok",
        None if useful is None else useful - row["t_origin"],
        row["t_end"] - row["t_origin"],
        row["result_sha256"],
        row["output_tokens"],
    )


@dataclass
class CellWidth:
    """The pairs of one cell that have ended, and the width of what they say."""

    simulated: bool
    deliveries: int
    pairs: list[Sequence[TrialTimes]] = field(default_factory=list)
    """The pairs whose trials have all ended."""
    met: bool = False
    """Measured closely enough, at the last look."""
    _open: dict[int, TrialTimes] = field(default_factory=dict)
    _look: int = FIRST_LOOK

    def add(self, pair: int, trial: TrialTimes) -> None:
        """Add a measured trial of this pair that has ended."""
        trials = [trial, *([self._open.pop(pair)] if pair in self._open else [])]
        if len(trials) < self.deliveries:
            self._open[pair] = trial
        else:
            self.pairs.append(trials)

    def look(self, precision: float) -> None:
        """Update `met`. Call it freely: it computes the width at 30 pairs, then at 1.4 times as many, and so on."""
        if self.met or len(self.pairs) < self._look:
            return
        width = self.half_width()
        self.met = width is not None and width < math.log1p(precision)
        while self._look <= len(self.pairs):
            self._look = next_look(self._look)

    def half_width(self) -> float | None:
        """Return half the width of the wider of the report's two 95 % intervals, as a logarithm; None without them.

        Of pairs these are log(first useful / blocking total) and log(streamed total / blocking total); of one delivery
        the medians of its first useful and total.
        """
        samples = self._ratios() if self.deliveries > 1 else self._times()
        if samples is None:
            return None
        halves = [_half(self._estimate(sample)) for sample in samples]
        known = [half for half in halves if half is not None]
        return max(known) if len(known) == len(halves) else None

    def _estimate(self, sample: Sequence[float]) -> Estimate:
        from bench.stats.intervals import quantile_ci  # noqa: PLC0415  (scipy, which only --precision needs)
        from bench.stats.serial_correlation import shift_in_time  # noqa: PLC0415  (scipy, which only --precision needs)

        return shift_in_time(sample) if self.deliveries > 1 else quantile_ci(sample, 0.5)

    def _ratios(self) -> tuple[list[float], list[float]] | None:
        """Return the logarithms of both ratios over the pairs that the report compares; None if it compares none."""
        pairs = [sorted(pair, key=lambda trial: trial.delivery, reverse=True) for pair in self.pairs]
        ok = [(s, b) for s, b in pairs if s.ok and b.ok and s.useful]
        if too_many_excluded(len(pairs) - len(ok), len(pairs)):  # the report prints no comparison then
            return None
        same = sorted((s, b) for s, b in ok if did_same_work(s, b, simulated=self.simulated))  # in the order of time
        useful = [math.log(s.useful / b.total) for s, b in same if s.useful]
        return useful, [math.log(s.total / b.total) for s, b in same]

    def _times(self) -> tuple[list[float], list[float]]:
        """Return the logarithms of both times of every trial, infinite for failed ones."""
        trials = [trial for pair in self.pairs for trial in pair]
        useful = [math.log(trial.useful) if trial.ok and trial.useful else math.inf for trial in trials]
        return useful, [math.log(trial.total) if trial.ok else math.inf for trial in trials]


def did_same_work(s: TrialTimes, b: TrialTimes, *, simulated: bool) -> bool:
    """Return True if both trials did the same work, by the rule of the report."""
    equal = s.result is not None and s.result == b.result
    return same_work(equal, s.tokens or 0, b.tokens or 0, simulated=simulated)


def _half(estimate: Estimate) -> float | None:
    if estimate.low is None or estimate.high is None or not math.isfinite(estimate.high - estimate.low):
        return None
    return (estimate.high - estimate.low) / 2
