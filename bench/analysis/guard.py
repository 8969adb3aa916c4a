"""Was the client in time? The cells in which it was not, and how busy the machine was, from the probes of a run."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import pandas as pd

from bench.analysis.frames import RunFrames
from bench.summary import CellKey, Row


@dataclass(frozen=True)
class Guarded:
    """What the guard says of one cell."""

    rows: tuple[Row, ...] = ()
    """`loop_lag`, `send_lag`, `cpu_share`, `gc_pause`."""
    saturated: str = ""
    """How the client was late, with numbers, and what helps; empty where it kept up."""
    notes: tuple[str, ...] = ()
    """What touched a few of its trials, so its tails."""


def guard_cell(frames: RunFrames, cell: int, key: CellKey, lags: pd.Series[float]) -> Guarded:
    """Judge one cell; `lags`: the read lag of each trial in ms, where the truth is known."""
    del frames, cell, key, lags
    return Guarded()


def machine_lines(frames: RunFrames) -> list[str]:
    """How busy the machine was, where that matters: a sentence each."""
    del frames
    return []


def busy(frames: RunFrames) -> Mapping[str, float]:
    """Shares of the run's time: `steal`, `pressure`; only what the system tells."""
    del frames
    return {}
