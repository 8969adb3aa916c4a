"""What the client itself costs, and how late it was."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import MS, PAIRED, STREAMED, Metric, ReportPlace

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.measured_cell import MeasuredCell
    from bench.core.results.row import Row

OWN = "own"
OWN_CLIENT = "n/a (own client)"
SHOWN = ("p50", "p90", "p99")


def _cpu_rows(_: Metric, cell: MeasuredCell) -> Iterator[Row]:
    """Make CPU per event: of the streamed trials where each was measured alone, else of the cell's process.

    Σ CPU / Σ events with the interval of a bootstrap over trials, and the median trial; of a process neither is known.
    """
    ok = cell.streamed_arm.ok
    if cell.streamed_arm.trials.empty:
        return
    if cell.key.client == OWN or ok.empty:
        why = OWN_CLIENT if cell.key.client == OWN else "n/a (no streamed trial was ok)"
        yield from (cell.streamed_arm.absent("cpu_per_event", why, statistic) for statistic in ("mean", "p50"))
        return
    known = ok.dropna(subset=["cpu_ns", "events"])
    alone = len(known) == len(ok) and known["events"].sum() > 0
    yield from _trials_cpu(cell, known) if alone else _process_cpu(cell)


def _trials_cpu(cell: MeasuredCell, known: pd.DataFrame) -> Iterator[Row]:
    cpu, events, note = known["cpu_ns"] / MS, known["events"], "streamed trials alone"
    yield cell.streamed_arm.ratio_of_sums("cpu_per_event", cpu, events, note)
    each = (cpu / events)[events > 0]
    yield from cell.streamed_arm.quantiles("cpu_per_event", each, note, shown=("p50",))


def _process_cpu(cell: MeasuredCell) -> Iterator[Row]:
    cpu, events = cell.counters["cpu_ns"].sum() / MS, cell.counters["events"].sum()
    n, whole = len(cell.streamed_arm.trials), "whole process, blocking trials included"
    if events > 0:
        yield cell.streamed_arm.number("cpu_per_event", "mean", float(cpu) / float(events), n, note=whole)
    else:
        yield cell.streamed_arm.absent("cpu_per_event", "n/a (no events)", "mean", n)
    yield cell.streamed_arm.absent("cpu_per_event", "n/a (known of the whole process only)", n=n)


def _read_lag_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    """Make the quantiles of the ok trials' read lag; no rows where true send times are unknown."""
    mine = cell.read_lags[cell.read_lags.index.isin(cell.streamed_arm.ok.index)]
    if len(mine) and len(cell.streamed_arm.trials):
        yield from cell.streamed_arm.quantiles(metric.name, mine, cell.streamed_arm.sample_note)


def _loop_lag_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    """Make quantiles without an interval: one pause delays several beats, so they are no independent samples."""
    if cell.has_probes:
        for row in cell.cell_maker.quantiles(metric.name, cell.lateness.lags, shown=SHOWN):
            note = row.note if row.estimate is None else "no interval: beats are not independent"
            yield replace(row, low=None, high=None, note=note)


def _gc_pause_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    if cell.has_probes:
        pauses = cell.probes(metric.name)
        yield cell.cell_maker.number(metric.name, "sum", float(pauses.sum()), pauses.size)


def _send_lag_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    attempts = cell.frames.tables["attempts"]
    warm = attempts["reused"].fillna(value=False).astype(bool)
    mine = attempts.loc[attempts["trial_id"].isin(cell.frames.trials.index) & warm, ["t_sent", "t_start"]]
    lags = ((mine["t_sent"] - mine["t_start"]) / MS).dropna()
    if len(lags):
        yield from cell.cell_maker.quantiles(metric.name, lags, shown=SHOWN)


def _cpu_share_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    if cell.cpu_share is not None:
        yield cell.cell_maker.number(metric.name, "share", cell.cpu_share, len(cell.frames.trials))


CPU_PER_EVENT = Metric(
    "cpu_per_event",
    "ms/event",
    "CPU time of the client process / SSE events read: the ratio of the sums, and the median trial's ratio. At "
    "c=1 of the streamed trials alone; above, of all measured trials of the cell (no median).",
    of="cell",
    deliveries=STREAMED,
    cell_rows=_cpu_rows,
    csv_order=2,
    compared=("mean",),
    places=(
        ReportPlace("costs", 6, "CPU", "per event", statistic="mean"),
        ReportPlace("costs in short", 5, "CPU", "per event", statistic="mean"),
        ReportPlace("clients", 4, "CPU/event", "sdk", statistic="mean"),
        ReportPlace("clients", 5, "CPU/event", "wire", statistic="mean"),
    ),
)
READ_LAG = Metric(
    "read_lag",
    "ms",
    "Socket read that completed the first token's event - the simulator's own send time of that frame "
    "(one clock): what this instrument adds.",
    deliveries=STREAMED,
    cell_rows=_read_lag_rows,
    csv_order=3,
    quantiles=13,
)
LATENESS = (
    Metric(
        "loop_lag",
        "ms",
        "For how long the client's event loop kept a trial waiting: lateness of a heartbeat due every 10 ms, "
        "those missed in a long pause counted. Idle loops are 1-2 ms late.",
        of="cell",
        deliveries=PAIRED,
        cell_rows=_loop_lag_rows,
        csv_order=5,
        quantiles=14,
        places=(ReportPlace("calibration", 7, "event loop", delivery=""),),
    ),
    Metric(
        "send_lag",
        "ms",
        "Last byte of the request written - request handed to the transport, on connections that were open.",
        of="cell",
        deliveries=PAIRED,
        cell_rows=_send_lag_rows,
        csv_order=7,
        quantiles=15,
    ),
    Metric(
        "cpu_share",
        "share",
        "CPU time of the client process / wall time, while the cell's trials ran; 1 is a whole CPU.",
        of="cell",
        deliveries=PAIRED,
        cell_rows=_cpu_share_rows,
        csv_order=8,
        places=(ReportPlace("checks", 5, "CPU of the client, of one core", delivery="paired", statistic="share"),),
    ),
    Metric(
        "gc_pause",
        "ms",
        "Pauses of Python's garbage collector over 1 ms while the cell's trials ran, summed; n counts pauses.",
        of="cell",
        deliveries=PAIRED,
        cell_rows=_gc_pause_rows,
        csv_order=6,
        places=(ReportPlace("checks", 6, "pauses for garbage collection", delivery="paired", statistic="sum"),),
    ),
)
