"""What the SDK adds. `bench.analysis.cell.sdk_cost` gives the rows: they take two cells."""

from __future__ import annotations

from bench.core.results.metrics.metric import STREAMED, Metric, ReportPlace

METRICS = (
    Metric(
        "sdk_ttft",
        "ms",
        "What the SDK adds: TTFT of the cell of client `sdk` - that of client `wire`, Hodges-Lehmann over the ok "
        "trials of both, unpaired (Mann-Whitney interval).",
        of="cell",
        deliveries=STREAMED,
        places=(ReportPlace("clients", 1, "first token", "later by", delivery="", statistic="hl"),),
    ),
    Metric(
        "sdk_ttfu",
        "ms",
        "The same for the first useful piece.",
        of="cell",
        places=(ReportPlace("clients", 2, "first useful", "later by", delivery="", statistic="hl"),),
    ),
    Metric(
        "sdk_total",
        "ms",
        "The same for the total.",
        of="cell",
        places=(ReportPlace("clients", 3, "whole", "later by", delivery="", statistic="hl"),),
    ),
    Metric(
        "sdk_cpu_per_event",
        "ms/event",
        "The same for `cpu_per_event`: of `wire` it is the process that reads, for that is what its stamps wait for.",
        of="cell",
        deliveries=STREAMED,
    ),
)
