"""Which trials stand for the others: the median, the p95 and the worst of the streamed ones."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.stats.intervals import minimum_n

Which = Literal["median", "p95", "worst"]
NEVER_RAN = ("cancelled", "shed", "lost")
"""They say nothing of how a request went."""


@dataclass(frozen=True)
class Chosen:
    """A streamed trial, and the blocking one of its pair where that ran."""

    which: Which
    streamed: int
    blocking: int | None

    @property
    def trial_ids(self) -> Iterator[int]:
        """Of both."""
        yield from (number for number in (self.streamed, self.blocking) if number is not None)


def chosen(offered: pd.DataFrame) -> Sequence[Chosen]:
    """Of one cell's trials (indexed by trial_id), each at most once.

    By total, failed ones last. Where the events of the trial at that rank were not stored, the next by rank of which
    they were stands for it.
    """
    ran = offered[~offered["status"].isin(NEVER_RAN) & offered["t_origin"].notna() & offered["t_end"].notna()]
    streamed, blocking = (ran[ran["delivery"] == delivery] for delivery in ("streamed", "blocking"))
    ranked = streamed.loc[by_total(streamed)]
    partners = {int(pair): int(trial_id) for trial_id, pair in zip(blocking.index, blocking["pair"], strict=True)}
    found: dict[int, Chosen] = {}
    for which, place in _places(ranked["stored"].to_numpy(dtype=bool)):
        trial_id = int(ranked.index[place])
        found.setdefault(trial_id, Chosen(which, trial_id, partners.get(int(ranked["pair"].iloc[place]))))
    return tuple(found.values())


def by_total(trials: pd.DataFrame) -> NDArray[np.int64]:
    """Their ids, the fastest first and the failed last; each by its time, of equal ones the earlier first."""
    took = (trials["t_end"] - trials["t_origin"]).to_numpy(dtype=np.int64)
    failed = (trials["status"] != "ok").to_numpy(dtype=bool)
    ids = trials.index.to_numpy(dtype=np.int64)
    return ids[np.lexsort((ids, took, failed))]


def _places(stored: NDArray[np.bool_]) -> Iterator[tuple[Which, int]]:
    """The place of each among the ranked; none where no trial was stored."""
    n, kept = stored.size, np.flatnonzero(stored)
    ranks: dict[Which, int] = {"median": math.ceil(n / 2), "worst": n}
    if n >= minimum_n(0.95):
        ranks = {"median": ranks["median"], "p95": math.ceil(0.95 * n), "worst": n}
    for which, rank in ranks.items() if kept.size else ():
        yield which, int(kept[np.argmin(np.abs(kept - (rank - 1)))])
