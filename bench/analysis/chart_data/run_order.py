"""The trials of a cell in the order of the run."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from bench.analysis.per_trial import MS
from bench.core.chart_data import RunPoint

MOST_POINTS = 600
"""Of a cell, both deliveries together: more are a blot, and a large page."""
S = 1e9


def run_order(offered: pd.DataFrame, seed: Sequence[int]) -> tuple[tuple[RunPoint, ...], int]:
    """(points by time, of how many trials): all of them, or a seeded sample of each as likely."""
    begun = offered[offered["t_origin"].notna()]
    of = len(begun)
    if of > MOST_POINTS:
        begun = begun.iloc[np.random.default_rng(list(seed)).choice(of, MOST_POINTS, replace=False)]
    return tuple(sorted(_points(begun), key=lambda point: (point.seconds, point.trial_id))), of


def _points(begun: pd.DataFrame) -> list[RunPoint]:
    origin = begun["t_origin"].to_numpy(dtype=np.float64)
    end = begun["t_end"].to_numpy(dtype=np.float64, na_value=np.nan)
    arrived = (begun["status"] == "ok").to_numpy(dtype=bool) & ~np.isnan(end)
    rows = zip(origin.tolist(), end.tolist(), arrived.tolist(), begun["delivery"], begun.index, strict=True)
    return [
        RunPoint(start / S, str(delivery), (over - start) / MS if there else None, int(number))
        for start, over, there, delivery, number in rows
    ]
