"""Choose the trials that stand for a cell: the median, the p95 and the worst of its streamed ones."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Literal, NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.stats.intervals import minimum_n

Which = Literal["median", "p95", "worst"]
"""By its total among the streamed trials (failed ones are the worst); p95 only from 72 trials on."""
NEVER_RAN = ("cancelled", "shed", "lost")
"""Statuses that say nothing of how a request went."""


class TypicalTrial(NamedTuple):
    """The ids of a streamed trial, and of the blocking one of its pair where that ran."""

    which: Which
    streamed: int
    blocking: int | None


def typical_trials(offered: pd.DataFrame) -> list[TypicalTrial]:
    """Choose among the trials of one cell (indexed by trial_id), each at most once.

    Trials are ranked by total, failed ones last. Where the events of the trial at a rank were not stored, the nearest
    rank with stored events stands in.
    """
    ran = offered[~offered["status"].isin(NEVER_RAN) & offered["t_origin"].notna() & offered["t_end"].notna()]
    streamed, blocking = (ran[ran["delivery"] == delivery] for delivery in ("streamed", "blocking"))
    ranked = streamed.loc[_ids_by_total(streamed)]
    partners = {int(pair): int(trial_id) for trial_id, pair in zip(blocking.index, blocking["pair"], strict=True)}
    found: dict[int, TypicalTrial] = {}
    for which, place in _places(ranked["stored"].to_numpy(dtype=bool)):
        trial_id = int(ranked.index[place])
        found.setdefault(trial_id, TypicalTrial(which, trial_id, partners.get(int(ranked["pair"].iloc[place]))))
    return list(found.values())


def _ids_by_total(trials: pd.DataFrame) -> NDArray[np.int64]:
    """Order trial ids by (failed, total, id)."""
    took = (trials["t_end"] - trials["t_origin"]).to_numpy(dtype=np.int64)
    failed = (trials["status"] != "ok").to_numpy(dtype=bool)
    ids = trials.index.to_numpy(dtype=np.int64)
    return ids[np.lexsort((ids, took, failed))]


def _places(stored: NDArray[np.bool_]) -> Iterator[tuple[Which, int]]:
    """Yield (choice, place in the ranking) of the stored trial nearest to each choice; nothing without one."""
    n, kept = stored.size, np.flatnonzero(stored)
    ranks: dict[Which, int] = {"median": math.ceil(n / 2), "worst": n}
    if n >= minimum_n(0.95):
        ranks = {"median": ranks["median"], "p95": math.ceil(0.95 * n), "worst": n}
    for which, rank in ranks.items() if kept.size else ():
        yield which, int(kept[np.argmin(np.abs(kept - (rank - 1)))])
