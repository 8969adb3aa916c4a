"""Find the steady part of a load: how many finish in a second, how many are in flight, and whether that grows.

A segment is one delivery of a cell under load, up to the drain. Its steady window begins when the load is up and ends
with the last start, so that neither the filling nor the drain is in a rate:

- closed loop: from the start that first makes as many as are asked for at a time, behind the ramp;
- open loop: from the first start behind the ramp, and after it for as long as nine of ten of the first quarter took,
  for until then the server fills up; at most half of the segment.

In open loop a rate is what ended inside the windows by their length. In closed loop it is Little's law: how many were
in flight, divided by how long a trial took. At concurrency 1 the number in flight is 1; there are no segments, and
pauses are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import special

from bench.core.load import Load
from bench.stats import intervals
from bench.stats.intervals import ALPHA, FEWEST_CLUSTERS, Estimate
from bench.stats.serial_correlation import widen

Floats = NDArray[np.float64]
S = 1e9
"""Nanoseconds."""
SLICES = 24
"""Parts of a window: how much they differ is what the intervals rest on."""
FEWEST_BATCHES = 6
WIDEST = 3.0
EARLY = 8
"""Trials at least, of which it is seen how long the server takes to fill up."""
FILLED = 0.9
MOST_FILLING = 0.5
"""Of a segment."""
TOGETHER = "n/a (both deliveries ran at the same time)"
NOT_STEADY = "n/a (no segment was steady: it takes more trials than run at a time)"


@dataclass(frozen=True)
class SteadySegment:
    """One delivery of a cell under load, with the trials of its ramp; all in s since the run's start."""

    call: Floats
    """When each trial that was begun was begun; those of the ramp too."""
    end: Floats
    """When it ended; infinite where that is not known."""
    intended: Floats
    """Open loop: when each measured trial was to begin, in order; of a closed loop the starts themselves."""
    start_times: Floats
    """Of those: when it was begun; NaN where it was shed."""
    start: float
    """The steady window."""
    stop: float

    @property
    def seconds(self) -> float:
        """Length of the steady window."""
        return self.stop - self.start

    def edges(self) -> Floats:
        """Return the edges of equal parts of the window."""
        return np.linspace(self.start, self.stop, SLICES + 1)


def segments(measured: pd.DataFrame, beside: pd.DataFrame, load: Load) -> list[SteadySegment]:
    """Find the segments of an arm that have a steady window.

    `measured`: its offered trials; `beside`: those of the ramp and those cancelled, which were in flight too.
    """
    others = dict(list(beside[_USED].groupby("block")))
    found = (_segment(part, others.get(block), load) for block, part in measured[_USED].groupby("block", sort=True))
    return [segment for segment in found if segment is not None]


_USED = ["block", "status", "t_origin", "t_call", "t_end"]


def _segment(measured: pd.DataFrame, beside: pd.DataFrame | None, load: Load) -> SteadySegment | None:
    whole = measured if beside is None else pd.concat([measured, beside])
    sent = whole[(whole["status"] != "shed") & whole["t_origin"].notna()]
    call, end = start_times(sent), np.nan_to_num(_s(sent["t_end"]), nan=np.inf)
    planned = measured[measured["t_origin"].notna()].sort_values("t_origin")
    if not call.size or planned.empty:
        return None
    shed = (planned["status"] == "shed").to_numpy(dtype=bool)
    intended, starts = _s(planned["t_origin"]), np.where(shed, np.nan, start_times(planned))
    slots = load.concurrency or 1
    full = float(np.sort(call)[slots - 1]) if call.size >= slots else math.inf  # when as many ran as were asked for
    start = _fill_end(intended, call, end) if load.open_loop else max(starts[0], full)
    stop = float(intended[-1] if load.open_loop else np.nanmax(starts, initial=-np.inf))
    return SteadySegment(call, end, intended, starts, start, stop) if stop > start else None


def start_times(trials: pd.DataFrame) -> Floats:
    """Return when each trial was really begun, in s; older runs have only the origin."""
    return _s(trials["t_call"].fillna(trials["t_origin"]))


def _s(times: pd.Series[float]) -> Floats:
    return np.asarray(times.to_numpy(dtype=np.float64, na_value=np.nan) / S, dtype=np.float64)


def _fill_end(intended: Floats, call: Floats, end: Floats) -> float:
    """Return until when the server filled up: by the first quarter, for behind a growing queue all take longer."""
    first = np.argsort(call)[: max(EARLY, call.size // 4)]
    took = (end - call)[first][np.isfinite(end[first])]
    filling = float(np.quantile(took, FILLED)) if took.size else 0.0
    return float(intended[0] + min(filling, MOST_FILLING * (intended[-1] - intended[0])))


def ended_per_second(parts: Sequence[SteadySegment], ends: Floats, weights: Floats) -> tuple[Estimate, int]:
    """Compute the rate of an open loop (Σ weights of trials that ended in the steady windows / their length) and its n.

    The interval is that of equal parts of the windows: trials of one segment share what the server does, so they are no
    independent samples of a rate.
    """
    if not parts:
        return Estimate(note=NOT_STEADY), 0
    order = np.argsort(ends)
    ordered, heavy = ends[order], np.concatenate([[0.0], np.cumsum(weights[order])])
    edges = [part.edges() for part in parts]
    places = [np.searchsorted(ordered, one, side="right") for one in edges]
    sums = np.concatenate([np.diff(heavy[place]) for place in places])
    lengths = np.concatenate([np.diff(one) for one in edges])
    counted = int(sum(place[-1] - place[0] for place in places))
    if counted < FEWEST_CLUSTERS:
        few = f"no interval: {counted} of {FEWEST_CLUSTERS} ended inside"
        return Estimate(float(sums.sum() / lengths.sum()), note=few), counted
    return ratio(sums, lengths), counted


def worked_per_second(trials: pd.DataFrame, weights: Floats, slots: int, flight: float) -> tuple[Estimate, int]:
    """Compute the rate of a closed loop: in flight · Σ weights / Σ time that trials took (Little's law); and its n.

    As many run at a time begin and end together, so a count over a window of a few answers would depend on where its
    ends fall. The interval is that of batches of trials that ran together: as many as run at a time, in order.
    """
    took = _s(trials["t_end"]) - start_times(trials)
    known = np.isfinite(took) & (took > 0)
    if not known.any():
        return Estimate(note=NOT_STEADY), 0
    batches = _batches(trials["block"].to_numpy(dtype=np.int64)[known], start_times(trials)[known], slots)
    sums, seconds = (np.array([x[known][batch].sum() for batch in batches]) for x in (weights, took / flight))
    return ratio(sums, seconds), int(known.sum())


def _batches(block: NDArray[np.int64], start: Floats, slots: int) -> list[NDArray[np.intp]]:
    """Group trials of the same block that began after each other, at least `slots` in each batch.

    Returns their places.
    """
    order = np.lexsort((start, block))
    of_block = np.split(order, np.flatnonzero(np.diff(block[order])) + 1)
    return [part for one in of_block for part in np.array_split(one, max(1, min(SLICES, one.size // slots)))]


def ratio(above: Floats, below: Floats) -> Estimate:
    """Estimate Σ above / Σ below over batches in the order of time, with Student's interval on the log scale.

    Wider where batches that follow each other are alike; none from fewer than `FEWEST_BATCHES`, or where it would reach
    further than a factor of `WIDEST`.
    """
    n, value = above.size, float(above.sum() / below.sum())
    if n < FEWEST_BATCHES:
        return Estimate(value, note=f"no interval: {n} of {FEWEST_BATCHES} batches of trials")
    if value <= 0:
        return Estimate(value, note="no interval: there was none")
    error = math.sqrt(n / (n - 1) * float(np.sum((above - value * below) ** 2))) / float(above.sum())
    reach, middle = float(special.stdtrit(n - 1, 1 - ALPHA / 2)) * error, math.log(value)
    found = widen(Estimate(middle, middle - reach, middle + reach), above / below)
    reach = (found.high or 0.0) - middle
    if reach > math.log(WIDEST):
        return Estimate(value, note=f"no interval: the {n} batches of trials differ too much")
    note = "batches that follow each other are alike: interval widened" if found.note else ""
    return Estimate(value, value * math.exp(-reach), value * math.exp(reach), note)


def in_flight(parts: Sequence[SteadySegment]) -> tuple[Estimate, Estimate]:
    """Estimate (mean, slope a second) of the trials in flight, over the steady windows.

    The mean is the integral over the window by its length. The slope is Theil-Sen's over the parts of all windows, each
    window less its own mean, with an interval that is widened where parts that follow each other are alike.
    """
    if not parts:
        return Estimate(note=NOT_STEADY), Estimate(note=NOT_STEADY)
    found = [(part.edges(), _means(part)) for part in parts]
    seconds = np.array([part.seconds for part in parts])
    means = np.array([float(values.mean()) for _, values in found])
    x = np.concatenate([(edges[:-1] + edges[1:]) / 2 - edges[0] for edges, _ in found])
    y = np.concatenate([values - values.mean() for _, values in found])
    slope, _ = intervals.theil_sen(x, y)
    steady = slope if slope.value is None else widen(slope, y - slope.value * x)
    return Estimate(float((means * seconds).sum() / seconds.sum())), steady


def _means(part: SteadySegment) -> Floats:
    """Compute the mean number in flight during each part of the window."""
    edges = part.edges()
    inside: Floats = np.diff(_time_before(part.call, edges) - _time_before(part.end, edges)) / np.diff(edges)
    return inside


def _time_before(times: Floats, edges: Floats) -> Floats:
    """Sum how long before each edge the times lie; later ones are left out."""
    ordered = np.sort(times)
    place = np.searchsorted(ordered, edges, side="right")
    total = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(ordered), ordered, 0.0))])
    served: Floats = place * edges - total[place]
    return served


def start_rates(parts: Sequence[SteadySegment]) -> tuple[float | None, float | None]:
    """Return (starts asked for, starts made) a second, over the trials that were to begin in the windows.

    The time of both counts from the first of them; that of the second to the last start, where that came later.
    """
    asked = begun_ = seconds = late = 0.0
    for part in parts:
        inside = (part.intended >= part.start) & (part.intended <= part.stop)
        due, real = part.intended[inside], part.start_times[inside]
        if due.size < 2:
            continue
        asked, seconds = asked + due.size - 1, seconds + due[-1] - due[0]
        begun_ += int(np.isfinite(real[1:]).sum())
        late += max(due[-1], np.nanmax(real, initial=-np.inf)) - due[0]
    return (float(asked / seconds), float(begun_ / late)) if seconds > 0 and late > 0 else (None, None)


def is_mixed(measured: pd.DataFrame) -> bool:
    """Return True if both deliveries ran in one segment, as in older versions: then no rate belongs to one of them."""
    blocks = measured.groupby("block")["delivery"].nunique()
    return bool((blocks > 1).any())


def rests_on(parts: Sequence[SteadySegment]) -> str:
    """Write what the numbers rest on: `2 steady windows, 9.8 s in all`."""
    seconds = sum(part.seconds for part in parts)
    return f"{len(parts)} steady window{'' if len(parts) == 1 else 's'}, {seconds:.3g} s in all" if parts else ""
