"""Make rows from the numbers of single trials in the usual ways. A metric names one of them as its `rows`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import Metric

if TYPE_CHECKING:
    from bench.analysis.cell.arm import Arm
    from bench.core.results.row import Row


def latency(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Make quantiles over all offered trials: failures are +∞, ok trials without the mark are left out."""
    if arm.delivery not in metric.deliveries:
        return
    values = arm.ok_values[metric.name]
    missing = int(values.isna().sum())
    if missing == len(values) > 0:
        yield arm.absent(metric.name, "n/a (no trial had one)")
    else:
        note = f"{missing} of {len(values)} ok trials had none: left out" if missing else ""
        yield from arm.quantiles(metric.name, values, note, infinite=arm.failures)


def quantiles(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Make quantiles over the ok trials that have the metric."""
    if arm.delivery in metric.deliveries:
        values = arm.ok_values[metric.name].dropna()
        yield from arm.quantiles(metric.name, values) if len(values) else [arm.absent(metric.name, no_pace(arm))]


def no_pace(arm: Arm) -> str:
    """Say why no ok trial has a pace."""
    at_once = bool((arm.ok["t_first_token"] == arm.ok["t_last_token"]).fillna(value=False).any())
    return "n/a (first and last token came in one read)" if at_once else "n/a (no ok trial has what it takes)"


def total(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Sum the number over the ok trials in which it is known."""
    if arm.delivery in metric.deliveries:
        yield arm.sum(metric.name, arm.ok_values[metric.name])


def total_of_all(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Sum the number over every trial that left a row, failed ones too."""
    yield arm.sum(metric.name, arm.values.loc[arm.trials["t_origin"].notna(), metric.name])
