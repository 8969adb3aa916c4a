"""Pauses in a stream. `bench.core.stalls` has the rule for what counts as one."""

from __future__ import annotations

from bench.core.results.metrics.metric import MS, STREAMED, Metric
from bench.core.results.metrics.pace import stream_ms
from bench.core.results.metrics.row_kinds import quantiles, total

METRICS = (
    Metric(
        "stall_share",
        "share",
        "Σ (gap - median gap) over stalled gaps / (last token - first token); stalled: over 200 ms, or over "
        "50 ms and five times the trial's median gap.",
        deliveries=STREAMED,
        per_trial=lambda trials: trials["stall_ns"] / MS / stream_ms(trials),
        rows=quantiles,
        csv_order=3,
        on_wire=True,
        quantiles=10,
    ),
    Metric(
        "stalls",
        "",
        "Number of stalled gaps.",
        deliveries=STREAMED,
        per_trial=lambda trials: trials["stalls"],
        rows=total,
        csv_order=8,
        on_wire=True,
    ),
)
STALL_MS = Metric(
    "stall_ms",
    "ms",
    "Σ (gap - median gap) over stalled gaps: what the pauses cost a trial; 0 where no gap is stalled.",
    deliveries=STREAMED,
    per_trial=lambda trials: trials["stall_ns"] / MS,
    rows=quantiles,
    csv_order=4,
    on_wire=True,
    quantiles=11,
)
