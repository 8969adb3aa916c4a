"""The steady part of a load: how many finish in a second, how many are in flight, and whether that grows. Pure.

A segment is one delivery of a cell under load, up to the drain. Its steady window begins when the load is up and ends
with the last start, so that neither the filling nor the drain is in a rate:

- closed loop: from the start that first makes as many as are asked for at a time, behind the ramp;
- open loop: from the first start behind the ramp, and after it for as long as nine of ten trials took, for until then
  the server fills up; at most half of the segment.

One at a time there are no segments: each trial counts with the time it took, and the pauses between are left out.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis import intervals
from bench.analysis.intervals import FEWEST_CLUSTERS, Estimate
from bench.analysis.resampling import cluster_bootstrap
from bench.analysis.serial import widened
from bench.load import Load

Floats = NDArray[np.float64]

S = 1e9
"""Nanoseconds."""
SLICES = 24
"""Parts of a window: how much they differ is what the intervals rest on."""
FILLED = 0.9
MOST_FILLING = 0.5
"""Of a segment."""
TOGETHER = "n/a (both deliveries ran at the same time)"
NOT_STEADY = "n/a (no segment was steady: it takes more trials than run at a time)"


@dataclass(frozen=True)
class Segment:
    """One delivery of a cell under load, with the trials of its ramp; all in s since the run's start."""

    call: Floats
    """When each trial that was begun was begun; those of the ramp too."""
    end: Floats
    """When it ended; infinite where that is not known."""
    intended: Floats
    """Open loop: when each measured trial was to begin, in order; of a closed loop the starts themselves."""
    begun: Floats
    """Of those: when it was begun; NaN where it was shed."""
    start: float
    """The steady window."""
    stop: float

    @property
    def seconds(self) -> float:
        """Length of the steady window."""
        return self.stop - self.start

    def edges(self) -> Floats:
        """The window in parts of equal length."""
        return np.linspace(self.start, self.stop, SLICES + 1)


def segments(measured: pd.DataFrame, beside: pd.DataFrame, load: Load) -> list[Segment]:
    """The segments of an arm that have a steady window.

    `measured`: its offered trials; `beside`: those of the ramp and those cancelled, which were in flight too.
    """
    others = dict(list(beside[_USED].groupby("block")))
    found = (_segment(part, others.get(block), load) for block, part in measured[_USED].groupby("block", sort=True))
    return [segment for segment in found if segment is not None]


_USED = ["block", "status", "t_origin", "t_call", "t_end"]


def _segment(measured: pd.DataFrame, beside: pd.DataFrame | None, load: Load) -> Segment | None:
    whole = measured if beside is None else pd.concat([measured, beside])
    sent = whole[(whole["status"] != "shed") & whole["t_origin"].notna()]
    call, end = begun(sent), np.nan_to_num(_s(sent["t_end"]), nan=np.inf)
    planned = measured[measured["t_origin"].notna()].sort_values("t_origin")
    if not call.size or planned.empty:
        return None
    shed = (planned["status"] == "shed").to_numpy(dtype=bool)
    intended, starts = _s(planned["t_origin"]), np.where(shed, np.nan, begun(planned))
    start = (
        _filled(intended, call, end) if load.open_loop else max(starts[0], _all_at_work(call, load.concurrency or 1))
    )
    stop = float(intended[-1] if load.open_loop else np.nanmax(starts, initial=-np.inf))
    return Segment(call, end, intended, starts, start, stop) if stop > start else None


def begun(trials: pd.DataFrame) -> Floats:
    """When each was really begun, in s; older runs have only the origin."""
    return _s(trials["t_call"].fillna(trials["t_origin"]))


def _s(times: pd.Series[float]) -> Floats:
    return np.asarray(times.to_numpy(dtype=np.float64, na_value=np.nan) / S, dtype=np.float64)


def _all_at_work(call: Floats, slots: int) -> float:
    """When the first so many had begun; never, if there were fewer."""
    return float(np.sort(call)[slots - 1]) if call.size >= slots else math.inf


def _filled(intended: Floats, call: Floats, end: Floats) -> float:
    """Until then the server was still filling up."""
    took = (end - call)[np.isfinite(end)]
    filling = float(np.quantile(took, FILLED)) if took.size else 0.0
    return float(intended[0] + min(filling, MOST_FILLING * (intended[-1] - intended[0])))


def per_second(parts: Sequence[Segment], ends: Floats, weights: Floats) -> tuple[Estimate, int]:
    """Σ weights of what ended inside the steady windows / their length, and how many those are.

    The interval is of a bootstrap over equal parts of the windows, widened where parts that follow each other are
    alike: trials of one segment share what the server does, so they are no independent samples of a rate.
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
    return _widened(cluster_bootstrap(sums, lengths), sums / lengths), counted


def _widened(estimate: Estimate, in_time: Floats) -> Estimate:
    """As `serial.widened`, in the words for parts of a window."""
    wide = widened(estimate, in_time)
    return wide if wide == estimate else replace(wide, note="parts that follow each other are alike: interval widened")


def in_flight(parts: Sequence[Segment]) -> tuple[Estimate, Estimate]:
    """(mean, slope a second) of the trials in flight, over the steady windows.

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
    steady = slope if slope.value is None else _widened(slope, y - slope.value * x)
    return Estimate(float((means * seconds).sum() / seconds.sum())), steady


def _means(part: Segment) -> Floats:
    """In flight during each part of the window, on average."""
    edges = part.edges()
    inside: Floats = np.diff(_served(part.call, edges) - _served(part.end, edges)) / np.diff(edges)
    return inside


def _served(times: Floats, edges: Floats) -> Floats:
    """Σ of how long before each edge the times lie, those after it left out."""
    ordered = np.sort(times)
    place = np.searchsorted(ordered, edges, side="right")
    total = np.concatenate([[0.0], np.cumsum(np.where(np.isfinite(ordered), ordered, 0.0))])
    served: Floats = place * edges - total[place]
    return served


def start_rates(parts: Sequence[Segment]) -> tuple[float | None, float | None]:
    """(what the schedule asked for, what was begun) a second, over the trials that were to begin in the windows.

    The time of both counts from the first of them; that of the second to the last start, where that came later.
    """
    asked = begun_ = seconds = late = 0.0
    for part in parts:
        inside = (part.intended >= part.start) & (part.intended <= part.stop)
        due, real = part.intended[inside], part.begun[inside]
        if due.size < 2:
            continue
        asked, seconds = asked + due.size - 1, seconds + due[-1] - due[0]
        begun_ += int(np.isfinite(real[1:]).sum())
        late += max(due[-1], np.nanmax(real, initial=-np.inf)) - due[0]
    return (float(asked / seconds), float(begun_ / late)) if seconds > 0 and late > 0 else (None, None)


def mixed(measured: pd.DataFrame) -> bool:
    """Did both deliveries run in one segment, as in runs of older versions? Then no rate belongs to one of them."""
    blocks = measured.groupby("block")["delivery"].nunique()
    return bool((blocks > 1).any())


def rests_on(parts: Sequence[Segment]) -> str:
    """What the numbers rest on: `2 steady windows, 9.8 s in all`."""
    seconds = sum(part.seconds for part in parts)
    return f"{len(parts)} steady window{'' if len(parts) == 1 else 's'}, {seconds:.3g} s in all" if parts else ""
