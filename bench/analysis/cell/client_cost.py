"""What the client itself costs: its CPU per event, and how late it reads what the simulator has sent."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.analysis.cell.rows import OWN, OWN_CLIENT, Arm, floats, of_sample
from bench.analysis.per_trial import MS
from bench.core.metrics import QUANTILES
from bench.core.row import Row
from bench.stats import intervals
from bench.stats.bootstrap import cluster_bootstrap
from bench.stats.intervals import Estimate

_FRAME = ["trial_id", "client_id", "seq", "type", "t_read"]


def cpu_rows(streamed: Arm, cells: pd.DataFrame) -> Iterator[Row]:
    """CPU per event: of the streamed trials where each was measured alone, else of the cell's process.

    Σ CPU / Σ events with the interval of a bootstrap over trials, and the median trial; of a process neither is known.
    """
    if streamed.key.client == OWN:
        yield from _no_cpu(streamed, OWN_CLIENT)
    elif streamed.ok.empty:
        yield from _no_cpu(streamed, "n/a (no streamed trial was ok)")
    else:
        own = streamed.ok.dropna(subset=["cpu_ns", "events"])
        alone = len(own) == len(streamed.ok) and own["events"].sum() > 0
        yield from _trials_cpu(streamed, own) if alone else _process_cpu(streamed, cells)


def _no_cpu(streamed: Arm, why: str) -> Iterator[Row]:
    for statistic in ("mean", "p50"):
        yield streamed.row("cpu_per_event", statistic, Estimate(note=why), 0)


def _trials_cpu(streamed: Arm, own: pd.DataFrame) -> Iterator[Row]:
    cpu, events = floats(own["cpu_ns"]) / MS, floats(own["events"])
    of_all, note = cluster_bootstrap(cpu, events), "streamed trials alone"
    if of_all.value is None:
        of_all, note = Estimate(float(cpu.sum() / events.sum())), f"{note}; interval {of_all.note}"
    yield streamed.row("cpu_per_event", "mean", of_all, len(own), note=note)
    read = events > 0
    median = intervals.quantile_ci(cpu[read] / events[read], 0.5)
    yield streamed.row("cpu_per_event", "p50", median, int(read.sum()), note="streamed trials alone")


def _process_cpu(streamed: Arm, cells: pd.DataFrame) -> Iterator[Row]:
    cpu, events, n = cells["cpu_ns"].sum() / MS, cells["events"].sum(), len(streamed.trials)
    value = Estimate(float(cpu) / float(events)) if events > 0 else Estimate(note="n/a (no events)")
    yield streamed.row("cpu_per_event", "mean", value, n, note="whole process, blocking trials included")
    yield streamed.row("cpu_per_event", "p50", Estimate(note="n/a (known of the whole process only)"), n)


def read_lags(trials: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.Series[float]:
    """ms from the simulator's send to this client's read of the first token's event, by trial_id.

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


def read_lag_rows(streamed: Arm, lags: pd.Series[float]) -> list[Row]:
    """Quantiles of the read lag of the cell's ok trials; none where no truth is known."""
    mine = floats(lags[lags.index.isin(streamed.ok.index)])
    if not mine.size:
        return []
    note = of_sample(streamed.ok)
    return [
        streamed.row("read_lag", name, intervals.quantile_ci(mine, q), mine.size, note=note)
        for name, q in QUANTILES.items()
    ]
