"""The events that carry an answer, and when the simulator sent them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.core.results.metrics.metric import MS
from bench.records.schema import TOKEN_KINDS

DELTA_KINDS = TOKEN_KINDS - {"item"}
"""An item comes whole: it is a first token, and no delta."""


def non_empty(events: pd.DataFrame) -> pd.DataFrame:
    """Select the non-empty deltas. A `.done` event is no delta: it only repeats the text of its deltas."""
    return events[_is_delta(events)]


def _is_delta(events: pd.DataFrame) -> pd.Series[bool]:
    repeats = events["type"].str.endswith(".done").fillna(value=False).astype(bool)
    return (events["kind"].isin(DELTA_KINDS) & (events["chars"] > 0)).fillna(value=False).astype(bool) & ~repeats


class DeltaGaps(NamedTuple):
    """From each non-empty delta to the next of the same attempt."""

    trial: NDArray[np.int64]
    answer: NDArray[np.int64]
    """Number of the attempt among these, ascending."""
    ns: NDArray[np.int64]


def gaps_of(events: pd.DataFrame) -> DeltaGaps:
    """Find the gaps between the deltas of these events, by trial, request and attempt in the order of arrival."""
    delta = _is_delta(events).to_numpy()
    order = ["trial_id", "request", "attempt", "seq"]
    columns = {name: events[name].to_numpy(dtype=np.int64)[delta] for name in (*order, "t_read")}
    place = np.lexsort([columns[name] for name in reversed(order)])
    trial, request, attempt, t = (columns[name][place] for name in ("trial_id", "request", "attempt", "t_read"))
    same = (np.diff(trial) == 0) & (np.diff(request) == 0) & (np.diff(attempt) == 0)
    return DeltaGaps(trial[1:][same], np.cumsum(~same)[same], np.diff(t)[same])


def with_send_times(events: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Join `t_sent` (ns) from the simulator's log: event n of an attempt is frame n of its answer.

    Events that the log does not have are dropped.
    """
    attempts = tables["attempts"][["trial_id", "request", "attempt", "client_id"]]
    attempts = attempts[attempts["trial_id"].isin(events["trial_id"].unique())]
    truth = tables["truth"].rename(columns={"frame": "seq"})[["client_id", "seq", "type", "t_sent"]]
    truth = truth[truth["client_id"].isin(attempts["client_id"].dropna())]
    return events.merge(attempts, on=["trial_id", "request", "attempt"]).merge(truth, on=["client_id", "seq", "type"])


def read_lags(trials: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.Series[float]:
    """Compute the ms from the simulator's send to this client's read of the first token's event, by trial_id.

    Event n of an attempt is frame n of its response, and of the same type; what does not match is left out, and so is
    a trial whose events were not stored.
    """
    streamed = trials.loc[(trials["delivery"] == "streamed") & trials["stored"], "t_first_token"]
    attempts = tables["attempts"][["trial_id", "request", "attempt", "client_id"]]
    tokens = tables["events"][tables["events"]["chars"] > 0].merge(streamed.reset_index(), on="trial_id")
    first = tokens[tokens["t_read"] == tokens["t_first_token"]].drop_duplicates("trial_id")
    seen = first.merge(attempts[attempts["trial_id"].isin(first["trial_id"])], on=["trial_id", "request", "attempt"])
    truth = tables["truth"][tables["truth"]["client_id"].isin(seen["client_id"].dropna())]
    both = seen[_FRAME].merge(truth, left_on=["client_id", "seq", "type"], right_on=["client_id", "frame", "type"])
    lag: pd.Series[float] = both.set_index("trial_id")["t_read"].sub(both["t_sent"].to_numpy()) / MS
    return lag.dropna()


_FRAME = ["trial_id", "client_id", "seq", "type", "t_read"]
