"""What the client itself costs: its CPU per event, and how late it reads what the simulator has sent."""

from __future__ import annotations

import pandas as pd

from bench.analysis import intervals
from bench.analysis.cellrows import OWN, OWN_CLIENT, Arm, floats
from bench.analysis.intervals import Estimate
from bench.analysis.metrics import QUANTILES
from bench.analysis.trials import MS
from bench.summary import Row

_FRAME = ["trial_id", "client_id", "seq", "type", "t_read"]


def cpu_row(streamed: Arm, cells: pd.DataFrame) -> Row:
    """CPU per event: of the streamed trials where each was measured alone, else of the cell's process."""
    if streamed.key.client == OWN:
        return streamed.row("cpu_per_event", "mean", Estimate(note=OWN_CLIENT), 0)
    if streamed.ok.empty:
        return streamed.row("cpu_per_event", "mean", Estimate(note="n/a (no streamed trial was ok)"), 0)
    own = streamed.ok.dropna(subset=["cpu_ns", "events"])
    if len(own) == len(streamed.ok) and own["events"].sum() > 0:
        cpu, events, n, note = own["cpu_ns"].sum(), own["events"].sum(), len(own), "streamed trials alone"
    else:
        cpu, events = cells["cpu_ns"].sum(), cells["events"].sum()
        n, note = len(streamed.trials), "whole process, blocking trials included"
    value = Estimate(float(cpu) / float(events) / MS) if events > 0 else Estimate(note="n/a (no events)")
    return streamed.row("cpu_per_event", "mean", value, n, note=note)


def read_lags(trials: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.Series[float]:
    """ms from the simulator's send to this client's read of the first token's event, by trial_id.

    Event n of an attempt is frame n of its response, and of the same type; what does not match is left out.
    """
    streamed = trials[trials["delivery"] == "streamed"]
    attempts = tables["attempts"][["trial_id", "request", "attempt", "client_id"]]
    first = tables["events"].merge(streamed["t_first_token"].reset_index(), on="trial_id")
    first = first[(first["t_read"] == first["t_first_token"]) & (first["chars"] > 0)].drop_duplicates("trial_id")
    seen = first.merge(attempts, on=["trial_id", "request", "attempt"])[_FRAME]
    both = seen.merge(tables["truth"], left_on=["client_id", "seq", "type"], right_on=["client_id", "frame", "type"])
    lag: pd.Series[float] = both.set_index("trial_id")["t_read"].sub(both["t_sent"].to_numpy()) / MS
    return lag.dropna()


def read_lag_rows(streamed: Arm, lags: pd.Series[float]) -> list[Row]:
    """Quantiles of the read lag of the cell's ok trials; none where no truth is known."""
    mine = floats(lags[lags.index.isin(streamed.ok.index)])
    if not mine.size:
        return []
    return [streamed.row("read_lag", name, intervals.quantile_ci(mine, q), mine.size) for name, q in QUANTILES.items()]
