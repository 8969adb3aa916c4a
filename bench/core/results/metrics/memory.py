"""Memory of the client during a call. The memory pass gives the rows: `bench.analysis.memory`."""

from __future__ import annotations

from bench.core.results.metrics.metric import Metric, ReportPlace

METRICS = (
    Metric(
        "memory_peak",
        "bytes",
        "Peak of Python's own blocks (tracemalloc) during a call above the base before it, median at the "
        "longest length, on the simulator.",
        of="memory",
        compared=("p50",),
        places=(ReportPlace("costs", 4, "memory peak", "Python / RSS", delivery=""),),
    ),
    Metric(
        "memory_slope",
        "bytes/token",
        "Theil-Sen slope of that peak over the output length.",
        of="memory",
    ),
    Metric(
        "memory_peak.rss",
        "bytes",
        "The same for the resident size of the process.",
        of="memory",
        compared=("p50",),
        places=(ReportPlace("costs in short", 3, "memory peak", "RSS", delivery=""),),
    ),
    Metric(
        "memory_slope.rss",
        "bytes/token",
        "Theil-Sen slope of the resident size over the output length.",
        of="memory",
        compared=("slope",),
        places=(
            ReportPlace("costs", 5, "RSS slope", "bytes per token", delivery="", statistic="slope"),
            ReportPlace("costs in short", 4, "memory slope", "B per token", delivery="", statistic="slope"),
        ),
    ),
)
