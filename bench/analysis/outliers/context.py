"""Collect what was recorded while an outlier ran, and what is usual among the others of its cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import pandas as pd

from bench.analysis.checks.guard import LATE_MS, workers
from bench.analysis.tables import RunFrames
from bench.core.results.metrics.metric import MS

PAUSES = ("gc_pause", "loop_lag")
"""Probes that tell for how long the client stood still."""


class FarTrial(NamedTuple):
    """An outlier, before its cause is looked for."""

    trial_id: int
    cell: int
    delivery: str
    metric: str
    ms: float
    median: float
    distance: float
    """Interquartile ranges above the upper quartile."""

    @property
    def excess(self) -> float:
        """Return how far the trial is above the median, in ms."""
        return self.ms - self.median


class OutlierTimes(NamedTuple):
    """Of `trials`; NaN where it is not known."""

    t_origin: float
    t_call: float
    stall_ns: float
    output_tokens: float


class OutlierAttempt(NamedTuple):
    """Of `attempts`; NaN where it is not known."""

    attempt: float
    t_start: float
    t_connect: float
    t_connected: float
    t_tls: float
    t_end: float


@dataclass(frozen=True)
class UsualTrial:
    """What is usual among the ok trials of a cell and delivery."""

    retries: float
    tokens: float
    """Medians; NaN where they are not known."""
    opened: float
    """Share of them that opened a connection."""
    first: int
    """The cell's first measured trial, in either delivery."""


@dataclass(frozen=True)
class OutlierContext:
    """What was recorded of an outlier."""

    far: FarTrial
    trial: OutlierTimes
    attempts: Sequence[OutlierAttempt]
    """Those that had begun when it was over."""
    others: UsualTrial
    pauses: Mapping[str, float]
    """The longest of each kind that it met, in ms."""


def outlier_contexts(frames: RunFrames, listed: Sequence[FarTrial]) -> Iterator[OutlierContext]:
    """Yield the context of each outlier, in order."""
    attempts, trial_ids = frames.tables["attempts"], [far.trial_id for far in listed]
    opened = attempts.loc[attempts["t_connect"].notna(), "trial_id"].dropna()
    arms = sorted({(far.cell, far.delivery) for far in listed})
    others = {arm: _usual(frames, *arm, opened) for arm in arms}
    pauses = {cell: _long_pauses(frames.tables["probes"], cell) for cell, _ in arms}
    tried = _attempts(attempts, trial_ids)
    trials = frames.trials.loc[trial_ids]
    known = (OutlierTimes(*row) for row in _numbers(trials[list(OutlierTimes._fields)]))
    for far, trial, worker in zip(listed, known, workers(trials), strict=True):
        end = trial.t_origin + far.ms * MS
        met = _pauses_met(pauses[far.cell], worker, trial.t_origin, end)
        begun = [attempt for attempt in tried.get(far.trial_id, []) if not attempt.t_start >= end]
        yield OutlierContext(far, trial, begun, others[far.cell, far.delivery], met)


def _usual(frames: RunFrames, cell: int, delivery: str, opened: pd.Series[int]) -> UsualTrial:
    mine = frames.trials[(frames.trials["cell"] == cell).fillna(value=False)]
    ok = mine[((mine["status"] == "ok") & (mine["delivery"] == delivery)).fillna(value=False)]
    begun = mine["t_origin"].to_numpy(dtype=np.float64, na_value=np.inf)
    return UsualTrial(
        retries=_median(ok["attempts"] - ok["requests"]),
        tokens=_median(ok["output_tokens"]),
        opened=float(ok.index.isin(opened).mean()),
        first=int(mine.index[int(begun.argmin())]),
    )


def _median(values: pd.Series[float]) -> float:
    return float(values.dropna().astype("float64").median())


def _attempts(attempts: pd.DataFrame, trial_ids: Sequence[int]) -> dict[int, list[OutlierAttempt]]:
    """Return the attempts of each trial, in order."""
    mine = attempts[attempts["trial_id"].isin(trial_ids)].sort_values(["trial_id", "request", "attempt"])
    found: dict[int, list[OutlierAttempt]] = {}
    for trial_id, row in zip(mine["trial_id"].tolist(), _numbers(mine[list(OutlierAttempt._fields)]), strict=True):
        found.setdefault(int(trial_id), []).append(OutlierAttempt(*row))
    return found


def _numbers(rows: pd.DataFrame) -> list[list[float]]:
    numbers: list[list[float]] = rows.to_numpy(dtype=np.float64, na_value=np.nan).tolist()
    return numbers


def _long_pauses(probes: pd.DataFrame, cell: int) -> pd.DataFrame:
    """Select the long pauses that were noted while this cell ran; most beats are in time."""
    long = probes["name"].isin(list(PAUSES)) & (probes["cell"] == cell) & (probes["value"] > LATE_MS)
    return probes[long.fillna(value=False)]


def _pauses_met(pauses: pd.DataFrame, worker: str, start: float, end: float) -> Mapping[str, float]:
    """Return of each kind the longest part inside the trial (`start` to `end`, ns), in its own process; in ms."""
    own = pauses[workers(pauses) == worker]
    over, lasted = (own[name].to_numpy(dtype=np.float64) for name in ("t", "value"))
    inside = (np.minimum(over, end) - np.maximum(over - lasted * MS, start)) / MS
    return {name: float(inside[(own["name"] == name).to_numpy()].max(initial=0.0)) for name in PAUSES}
