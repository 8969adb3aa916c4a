"""Compute from streams of one length how much sooner a shorter answer would have been useful."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.deltas import non_empty
from bench.stats import intervals

Curve = tuple[tuple[float, float, float, float], ...]
"""(output tokens, estimate, low, high), by length."""
EACH = 32
"""Up to this many tokens every length is a point."""
STEP = 1.15
"""Above `EACH` tokens, each length is this much longer than the length before."""
REACHED = 0.5
"""Lengths that fewer of the trials reach are left out: those few are not like the others."""


def gain_curve(ok: pd.DataFrame, events: pd.DataFrame) -> Curve:
    """Compute 1 - TTFU / (when token k came), the median over trials with its interval, by k. `ok`: streamed trials.

    Had the answer ended with token k, a blocking call would have brought it at about that time. A delta stands for
    output tokens / deltas of its trial. Trials of several requests or attempts have other waits in them: left out.
    """
    plain = ok[(ok["requests"] == 1) & (ok["attempts"] == 1) & (ok["deltas"] > 0) & (ok["output_tokens"] > 0)]
    plain = plain.dropna(subset=["t_first_useful", "t_first_token"])
    if plain.empty:
        return ()
    stamps = _delta_times(events, plain.index)
    known = plain.loc[plain.index.isin(stamps.keys()), ["output_tokens", "t_first_useful", "t_origin"]].astype(float)
    gains = [
        _gains(stamps[number] - origin, int(tokens), useful - origin)
        for number, tokens, useful, origin in known.itertuples(name=None)
    ]
    return tuple(_points(gains))


def _delta_times(events: pd.DataFrame, trials: pd.Index[int]) -> dict[object, NDArray[np.float64]]:
    """Return when each delta of a trial was read, by trial."""
    deltas = non_empty(events[events["trial_id"].isin(trials)]).sort_values(["trial_id", "seq"])
    return {number: group["t_read"].to_numpy(float) for number, group in deltas.groupby("trial_id")}


def _gains(deltas: NDArray[np.float64], n: int, useful: float) -> NDArray[np.float64]:
    """Compute the gain at k = 1, 2, … n tokens of one trial from when its deltas and its first useful piece came.

    Lengths that end before the first useful piece have no gain.
    """
    whole = deltas[np.ceil(np.arange(1, n + 1) * deltas.size / n).astype(int) - 1]
    gains: NDArray[np.float64] = 1 - useful / np.maximum(whole, useful)
    return gains


def _points(gains: list[NDArray[np.float64]]) -> Iterator[tuple[float, float, float, float]]:
    sizes = np.array([one.size for one in gains])
    for k in _grid(int(sizes.max(initial=0))):
        there = [float(one[k - 1]) for one in gains if one.size >= k]
        if len(there) < REACHED * len(gains):
            return
        e = intervals.quantile_ci(there, 0.5)
        if e.value is not None and e.low is not None and e.high is not None:
            yield float(k), e.value, e.low, e.high


def _grid(most: int) -> Iterator[int]:
    """Yield every length up to `EACH`, then lengths ever wider apart, and last the longest."""
    k = 1
    while k < most:
        yield k
        k = k + 1 if k < EACH else int(np.ceil(k * STEP))
    if most:
        yield most


def true_range(curve: Curve, least: float, most: float) -> tuple[float, float] | None:
    """Return the shortest and the longest length whose interval lies within; None if there is none."""
    inside = [tokens for tokens, _, low, high in curve if low >= least and high <= most]
    return (inside[0], inside[-1]) if inside else None
