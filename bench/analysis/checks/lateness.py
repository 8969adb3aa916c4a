"""Compute from heartbeats how late the event loop was while trials were in flight."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Lateness:
    """What the trials of a cell met; all in ms."""

    lags: Floats
    """Of every beat that was due or pending while a trial was in flight: for how long it kept that trial waiting."""
    pauses: Floats
    """Of every trial the longest of them; 0 without a beat in it."""

    def share(self, limit: float) -> float:
        """Return the share of beats later than `limit`: a share of time, as beats come evenly. 0 without beats."""
        return float(np.mean(self.lags > limit)) if self.lags.size else 0.0

    def paused_trials(self, limit: float) -> int:
        """Count the trials that met a longer pause."""
        return int(np.sum(self.pauses > limit))


def every_beat(t: Floats, lag: Floats, period: float) -> tuple[Floats, Floats]:
    """Return (due, answered) of all beats. A beat that comes periods late stands for those missed, each less late.

    Without them a long pause would count as one late beat, as few as come in a whole run.
    """
    missed = np.floor(lag / period).astype(np.int64) + 1
    first = np.repeat(np.cumsum(missed) - missed, missed)
    place = np.arange(missed.sum()) - first
    return np.repeat(t - lag, missed) + place * period, np.repeat(t, missed)


def lateness(due: Floats, answered: Floats, start: Floats, end: Floats) -> Lateness:
    """Hold beats against trials, all in ms on one clock, beats in order.

    Only the part of a pause inside a trial counts: what the client does between trials delays nothing.
    """
    order = np.argsort(start, kind="stable")
    lags = _longest_in_a_trial(due, answered, start[order], end[order])
    return Lateness(lags[~np.isnan(lags)], _longest_of_a_trial(due, answered, start, end))


def _longest_in_a_trial(due: Floats, answered: Floats, start: Floats, end: Floats) -> Floats:
    """Find each beat's longest part inside any one trial; NaN outside of all. Trials are sorted by their start."""
    begun = np.searchsorted(start, answered)
    before = np.minimum(np.searchsorted(start, due, side="right"), begun)
    last = np.concatenate([[-np.inf], np.maximum.accumulate(end)])[before]  # of those that had begun, the last end
    lags = np.where(last > due, np.minimum(answered, last) - due, np.nan)
    for beat in np.flatnonzero((begun > before) & ~(last >= answered)):  # some began in it, and none had it whole
        these = slice(before[beat], begun[beat])
        lags[beat] = np.fmax(lags[beat], np.max(np.minimum(answered[beat], end[these]) - start[these]))
    return lags


def _longest_of_a_trial(due: Floats, answered: Floats, start: Floats, end: Floats) -> Floats:
    """Return for each trial the longest time that a late beat lasted inside the trial; 0 without one."""
    first, beyond = np.searchsorted(answered, start, side="right"), np.searchsorted(due, end)
    inner, outer = np.searchsorted(due, start), np.searchsorted(answered, end, side="right")
    longest = _range_max(answered - due, inner, outer)  # beats as a whole inside the trial
    at_start = np.minimum(inner, beyond) > first  # pending when it began: the last one stays longest
    at = inner[at_start] - 1
    longest[at_start] = np.fmax(longest[at_start], np.minimum(answered[at], end[at_start]) - start[at_start])
    at_end = np.maximum(outer, first) < beyond  # unanswered when it ended: the first one was due longest
    at = outer[at_end]
    longest[at_end] = np.fmax(longest[at_end], end[at_end] - np.maximum(due[at], start[at_end]))
    return longest


def _range_max(values: Floats, first: NDArray[np.intp], beyond: NDArray[np.intp]) -> Floats:
    """Return the largest of values[first:beyond] for each range, at least 0.

    A table of the maxima of 2ᵏ neighbours answers each range with two look-ups.
    """
    found, sizes = np.zeros(first.size), beyond - first
    row, width = values, 1
    while row.size:
        mine = np.flatnonzero((sizes >= width) & (sizes < 2 * width))
        both = np.maximum(row[first[mine]], row[beyond[mine] - width])
        found[mine] = np.maximum(both, 0.0)
        row, width = np.maximum(row[:-width], row[width:]) if row.size > width else row[:0], 2 * width
    return found
