"""The events that carry an answer, and when the simulator sent them."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd

from bench.clients.events import TOKEN_KINDS

DELTA_KINDS = TOKEN_KINDS - {"item"}
"""An item comes whole: it is a first token, and no delta."""


def non_empty(events: pd.DataFrame) -> pd.DataFrame:
    """Those of the events that are non-empty deltas. A `.done` event only repeats what its deltas said."""
    repeats = events["type"].str.endswith(".done").fillna(value=False).astype(bool)
    return events[events["kind"].isin(DELTA_KINDS) & (events["chars"] > 0) & ~repeats]


def with_send_times(events: pd.DataFrame, tables: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """The events of which the simulator's log tells `t_sent` (ns): event n of an attempt is frame n of its answer."""
    attempts = tables["attempts"][["trial_id", "request", "attempt", "client_id"]]
    attempts = attempts[attempts["trial_id"].isin(events["trial_id"].unique())]
    truth = tables["truth"].rename(columns={"frame": "seq"})[["client_id", "seq", "type", "t_sent"]]
    truth = truth[truth["client_id"].isin(attempts["client_id"].dropna())]
    return events.merge(attempts, on=["trial_id", "request", "attempt"]).merge(truth, on=["client_id", "seq", "type"])
