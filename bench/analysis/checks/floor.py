"""Compute what the instrument itself adds: the calibration's readings against the simulator's own send times.

Floors stand beside the results and are never subtracted from any.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.cell.arm import Arm, GapSample, delta_gaps
from bench.analysis.cell.deltas import read_lags, with_send_times
from bench.analysis.tables import RunFrames
from bench.core.results.labels import cell_key
from bench.core.results.metrics.client import OWN
from bench.core.results.metrics.metric import MS, QUANTILES
from bench.core.results.row import CellKey, Row

Way = tuple[str, str]
"""Client and load: each is an instrument of its own."""
FLOORS = 3
"""An effect below this many floors is too small for this instrument to resolve."""
NOT_ALONE = "n/a (several trials at a time share the process)"


@dataclass(frozen=True)
class Resolution:
    """The smallest differences that this instrument can show at one load, in ms. None: it was not calibrated."""

    gain_ms: float | None = None
    """Floor of times to the first useful piece."""
    total_ms: float | None = None
    """Floor of times to the whole answer."""


NOT_CALIBRATED = Resolution()


def floor_rows(frames: RunFrames) -> list[Row]:
    """Make the rows of the floors by client and load; none without a calibration.

    Of the calibration cells that have both deliveries; the others differ in their packets, to test a claim.
    """
    both = ["streamed", "blocking"]
    cells = [c for c in frames.plan["cells"] if c.get("role") == "calibration" and c.get("deliveries") == both]
    return [row for cell in cells for row in _cell_floor_rows(frames, cell)]


def _cell_floor_rows(frames: RunFrames, cell: dict[str, object]) -> Iterator[Row]:
    offered = frames.calibration[frames.calibration["cell"] == cell["cell"]]
    trials = offered[offered["status"] != "cancelled"]
    streamed, blocking = (
        Arm(cell_key(cell), name, trials[trials["delivery"] == name]) for name in ("streamed", "blocking")
    )
    if trials.empty:
        return
    tables = dict(frames.tables)
    ttft = read_lags(streamed.ok, tables)
    useful = ttft + (streamed.ok["t_first_useful"] - streamed.ok["t_first_token"]) / MS
    sample = streamed.sample_note
    yield from streamed.quantiles("floor_ttft", ttft, sample)
    yield from streamed.quantiles("floor_ttfu", useful, sample)
    yield from _gap_rows(streamed, tables)
    yield from streamed.quantiles("floor_total", _since_last_frame(streamed.ok, tables))
    yield from blocking.quantiles("floor_total", _since_last_frame(blocking.ok, tables))
    counters = frames.tables["cells"]
    yield from _cpu_rows(streamed, counters[counters["cell"] == cell["cell"]])


def _since_last_frame(trials: pd.DataFrame, tables: dict[str, pd.DataFrame]) -> pd.Series[float]:
    """Compute the ms from the send of the last frame (terminal event or whole body) to when the caller has it."""
    attempts = tables["attempts"].loc[tables["attempts"]["trial_id"].isin(trials.index), ["trial_id", "client_id"]]
    sent = tables["truth"].merge(attempts, on="client_id").groupby("trial_id")["t_sent"].max()
    last: pd.Series[float] = (trials["t_end"] - sent.reindex(trials.index)) / MS
    return last.dropna()


def _gap_rows(arm: Arm, tables: dict[str, pd.DataFrame]) -> Iterator[Row]:
    """Make the rows of how much longer or shorter gaps were read than sent."""
    both = with_send_times(tables["events"][tables["events"]["trial_id"].isin(arm.ok.index)], tables)
    read, sent = delta_gaps(both), delta_gaps(both.assign(t_read=both["t_sent"]))
    apart = GapSample(read.owner, np.abs(read.ms - sent.ms))
    note = "; ".join(filter(None, (f"n counts trials; {read.ms.size} gaps", arm.sample_note)))
    for name, q in QUANTILES.items():
        yield arm.row("floor_gap", name, apart.quantile(q), read.trials, note=note)


def _cpu_rows(arm: Arm, counters: pd.DataFrame) -> Iterator[Row]:
    """Make the rows of CPU per event: by trial where each was alone, else only of the whole process."""
    alone = arm.ok.dropna(subset=["cpu_ns"])
    if len(alone):
        yield from arm.quantiles("floor_cpu_per_event", alone["cpu_ns"] / alone["events"] / MS)
        return
    yield arm.absent("floor_cpu_per_event", NOT_ALONE)
    cpu, events, n = counters["cpu_ns"].sum(), counters["events"].sum(), len(arm.ok)
    if events > 0:
        note = "whole process, blocking trials included"
        yield arm.number("floor_cpu_per_event", "mean", float(cpu) / float(events) / MS, n, note=note)
    else:
        yield arm.absent("floor_cpu_per_event", "n/a (no events)", "mean", n)


def way(key: CellKey) -> Way:
    """Name the floors that a cell is held against, by client and load.

    A client of its own has none, so the SDK's count.
    """
    return key.client if key.client != OWN else "sdk", key.load


def resolution(rows: Sequence[Row], load: str, client: str = "sdk") -> Resolution:
    """Return three floors of that client at that load, by the medians: what the instrument adds to every trial.

    What it adds now and then widens the intervals instead. The gain compares a streamed time to the first useful piece
    with a blocking total, the overhead two totals; each is given the larger of its two floors, as if one had it all.
    """
    mine = (row for row in rows if (row.client, row.load, row.statistic) == (client, load, "p50"))
    medians = {(row.metric, row.delivery): row.estimate for row in mine}
    useful, whole = medians.get(("floor_ttfu", "streamed")), medians.get(("floor_total", "streamed"))
    body = medians.get(("floor_total", "blocking"))
    return Resolution(gain_ms=_floors(useful, body), total_ms=_floors(whole, body))


def _floors(*medians: float | None) -> float | None:
    known = [median for median in medians if median is not None]
    return FLOORS * max(known) if len(known) == len(medians) else None
