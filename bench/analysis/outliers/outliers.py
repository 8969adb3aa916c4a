"""Find ok trials far from the others of their cell and delivery, by Tukey's fences. No number leaves them out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from bench.analysis.cell.arm import per_trial
from bench.analysis.ids import IDS, last_ids, printable
from bench.analysis.outliers.causes import causes
from bench.analysis.outliers.context import FarTrial
from bench.analysis.tables import RunFrames
from bench.core.results.summary import Outlier

MOST_OUTLIERS = 50
"""Listed; a million trials have ten thousand."""
FEWEST = 20
"""Trials from which quartiles are taken."""
MILD, SEVERE = 1.5, 3.0
"""Fences, in interquartile ranges above the upper quartile (Tukey, Exploratory Data Analysis, 2C)."""
METRICS = ("ttft", "total")


def outliers(frames: RunFrames, labels: Mapping[int, str]) -> tuple[tuple[Outlier, ...], int]:
    """Return the farthest outliers, and how many more there are; `labels` by the number of the cell.

    Only late ones: an early answer harms nobody. A trial that is far in both metrics is listed for the one in which
    it is farther. Where more than half of the trials took equally long there is no scale, and so no outlier.
    """
    parts = [part for cell in frames.cells for part in _cell_outliers(frames, cell["cell"])]
    if not parts:
        return (), 0
    far = pd.concat(parts).sort_values(["distance", "trial_id"], ascending=[False, True], kind="stable")
    far = far.drop_duplicates("trial_id")
    listed = [FarTrial(*row) for row in far.head(MOST_OUTLIERS).itertuples(index=False)]
    ids, cause_of = _ids(frames, [one.trial_id for one in listed]), causes(frames, listed)
    found = [
        Outlier(
            trial_id=one.trial_id,
            cell=labels.get(one.cell, ""),
            delivery=one.delivery,
            metric=one.metric,
            ms=one.ms,
            median=one.median,
            severe=one.distance > SEVERE,
            cause=cause_of[one],
            client_id=ids.get(one.trial_id, ("", ""))[0],
            server_id=ids.get(one.trial_id, ("", ""))[1],
        )
        for one in listed
    ]
    return tuple(found), len(far) - len(listed)


def _ids(frames: RunFrames, trial_ids: Sequence[int]) -> Mapping[int, tuple[str, str]]:
    """Return (client id, server id) of each trial that made a request."""
    ids = last_ids(frames.tables["attempts"], trial_ids)
    columns = ([printable(None if pd.isna(one) else one) for one in ids[name]] for name in IDS)
    return dict(zip(map(int, ids.index), zip(*columns, strict=True), strict=True))


def _cell_outliers(frames: RunFrames, cell: int) -> Iterator[pd.DataFrame]:
    trials = frames.trials[((frames.trials["cell"] == cell) & (frames.trials["status"] == "ok")).fillna(value=False)]
    values = per_trial(trials)[list(METRICS)]
    for delivery in ("streamed", "blocking"):
        mine = values[trials["delivery"] == delivery]
        for metric in METRICS:
            yield above_fence(mine[metric].dropna().astype("float64"), cell, delivery, metric)


def above_fence(values: pd.Series[float], cell: int, delivery: str, metric: str) -> pd.DataFrame:
    """Return the values (ms, by trial_id) above the upper fence, as rows of `FarTrial`."""
    quartiles = np.quantile(values, (0.25, 0.5, 0.75)) if len(values) >= FEWEST else np.zeros(3)
    low, median, high = (float(quartile) for quartile in quartiles)
    scale = high - low
    far = values[values > high + MILD * scale] if scale > 0 else values.iloc[:0]
    return pd.DataFrame(
        {
            "trial_id": far.index.to_numpy(dtype=np.int64),
            "cell": cell,
            "delivery": delivery,
            "metric": metric,
            "ms": far.to_numpy(dtype=np.float64),
            "median": median,
            "distance": (far.to_numpy(dtype=np.float64) - high) / (scale or 1),
        }
    )
