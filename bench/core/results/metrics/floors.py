"""Define the metrics of what the instrument itself adds. `bench.analysis.checks.floor` makes their rows."""

from __future__ import annotations

from bench.core.results.metrics.metric import STREAMED, Metric, ReportPlace

METRICS = (
    Metric(
        "floor_ttft",
        "ms",
        "Calibration: read of the first token's event - the simulator's send of it. As all floors, what the instrument "
        "itself adds, by load; never subtracted.",
        deliveries=STREAMED,
        places=(ReportPlace("floors", 1, "first token"), ReportPlace("calibration", 1, "first token")),
    ),
    Metric(
        "floor_ttfu",
        "ms",
        "Calibration: first useful piece at the caller - the simulator's send of its event.",
        deliveries=STREAMED,
        places=(ReportPlace("floors", 2, "first useful"), ReportPlace("calibration", 2, "first useful piece")),
    ),
    Metric(
        "floor_gap",
        "ms",
        "Calibration: gap between two successive deltas as read - as sent, without its sign, over all gaps of all ok "
        "trials.",
        deliveries=STREAMED,
        places=(ReportPlace("floors", 3, "gap"), ReportPlace("calibration", 3, "gap")),
    ),
    Metric(
        "floor_total",
        "ms",
        "Calibration: the scenario's function was through - the simulator's send of the terminal event, or of the "
        "blocking body.",
        places=(
            ReportPlace("floors", 4, "whole, streamed"),
            ReportPlace("floors", 5, "whole, blocking", delivery="blocking"),
            ReportPlace("calibration", 4, "whole, streamed"),
            ReportPlace("calibration", 5, "whole, blocking", delivery="blocking"),
        ),
    ),
    Metric(
        "floor_cpu_per_event",
        "ms/event",
        "Calibration: CPU time of the client process / SSE events, by trial. Above c=1 only the mean of the whole "
        "process is known, blocking trials included.",
        deliveries=STREAMED,
        places=(ReportPlace("floors", 6, "CPU per event"), ReportPlace("calibration", 6, "CPU per event")),
    ),
)
