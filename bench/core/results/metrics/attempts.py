"""What failures and retries cost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import MS, Metric, ReportPlace
from bench.core.results.metrics.row_kinds import total_of_all

if TYPE_CHECKING:
    from bench.analysis.cell.arm import Arm
    from bench.core.results.row import Row


def _failure_rows(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Count the offered that failed, with their share, and each class that occurred."""
    n = len(arm.trials)
    yield arm.number(metric.name, "sum", arm.failures, n)
    yield arm.share(metric.name, arm.failures, n)
    classes = arm.trials["status"].value_counts()
    for status in sorted(set(classes.index) - {"ok"}):
        yield arm.number(f"{metric.name}.{status}", "sum", float(classes[status]), n, unit="")


METRICS = (
    Metric(
        "attempts",
        "",
        "HTTP tries, hidden retries of the SDK included, summed over all trials that ended.",
        per_trial=lambda trials: trials["attempts"],
        rows=total_of_all,
        csv_order=7,
        on_wire=True,
        places=(
            ReportPlace("costs", 2, "attempts", "in all", delivery="", statistic="sum"),
            ReportPlace("costs in short", 1, "attempts", "in all", delivery="", statistic="sum"),
        ),
    ),
    Metric(
        "backoff",
        "ms",
        "Time waited between the attempts of one request, summed over all trials that ended.",
        per_trial=lambda trials: trials["backoff_ns"] / MS,
        rows=total_of_all,
        csv_order=7,
        on_wire=True,
        places=(
            ReportPlace("costs", 3, "back-off", "in all", delivery="", statistic="sum"),
            ReportPlace("costs in short", 2, "back-off", "in all", delivery="", statistic="sum"),
        ),
    ),
    Metric(
        "failures",
        "",
        "Offered trials that did not end ok: their number, their share (with an exact interval), and as "
        "`failures.CLASS` the number of each class.",
        of="offered",
        rows=_failure_rows,
        csv_order=9,
        members=True,
        compared=("share",),
        places=(ReportPlace("costs", 1, "failed", delivery="", statistic="sum"),),
    ),
)
