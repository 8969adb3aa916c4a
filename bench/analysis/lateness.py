"""How late the event loop was while trials were in flight, from its heartbeats. Pure functions on arrays."""

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
        """The share of beats later than this: as beats come evenly, the share of time. 0 without beats."""
        return float(np.mean(self.lags > limit)) if self.lags.size else 0.0

    def touched(self, limit: float) -> int:
        """Trials that met a longer pause."""
        return int(np.sum(self.pauses > limit))


def every_beat(t: Floats, lag: Floats, period: float) -> tuple[Floats, Floats]:
    """(due, answered) of all beats. One that comes periods late stands for those missed meanwhile, each less late.

    Without them a long pause would count as one late beat, as few as come in a whole run.
    """
    missed = np.floor(lag / period).astype(np.int64) + 1
    first = np.repeat(np.cumsum(missed) - missed, missed)
    place = np.arange(missed.sum()) - first
    return np.repeat(t - lag, missed) + place * period, np.repeat(t, missed)


def lateness(due: Floats, answered: Floats, start: Floats, end: Floats) -> Lateness:
    """Beats against trials, all in ms on one clock, beats in order.

    Only the part of a pause inside a trial counts: what the client does between trials delays nothing.
    """
    lags, pauses = np.full(due.size, np.nan), np.zeros(start.size)
    for trial, (begun, ended) in enumerate(zip(start, end, strict=True)):
        met = slice(np.searchsorted(answered, begun, "right"), np.searchsorted(due, ended))
        inside = np.minimum(answered[met], ended) - np.maximum(due[met], begun)
        lags[met] = np.fmax(lags[met], inside)
        pauses[trial] = inside.max(initial=0.0)
    return Lateness(lags[~np.isnan(lags)], pauses)
