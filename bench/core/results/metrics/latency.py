"""How long until something arrives, from the trial's origin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import MS, QUANTILES, STREAMED, Metric, ReportPlace
from bench.core.results.metrics.row_kinds import latency

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.cell.arm import Arm
    from bench.core.results.row import Row


def _since_origin(mark: str) -> Callable[[pd.DataFrame], pd.Series[float]]:
    return lambda trials: (trials[mark] - trials["t_origin"]) / MS


def _first_useful(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Make quantiles in which an ok trial that never gave anything useful is +∞, as a failed one."""
    values = arm.ok_values[metric.name]
    never = arm.failures + int(values.isna().sum())
    yield from arm.quantiles(metric.name, values, arm.never_useful, infinite=never)


_latency = partial(Metric, unit="ms", of="offered", rows=latency, csv_order=1)
METRICS = (
    _latency(
        "ttft",
        formula="First content, reasoning, refusal or tool-argument delta of any attempt - origin.",
        deliveries=STREAMED,
        per_trial=_since_origin("t_first_token"),
        on_wire=True,
        quantiles=1,
        compared=tuple(QUANTILES),
        places=(
            ReportPlace("times", 2, "first token", "streamed"),
            ReportPlace("loads", 1, "TTFT", "p50"),
            ReportPlace("loads", 2, "TTFT", "p90", statistic="p90"),
            ReportPlace("loads", 3, "TTFT", "p99", statistic="p99"),
        ),
    ),
    _latency(
        "ttft_visible",
        formula="The same without reasoning: first token a user may see - origin.",
        deliveries=STREAMED,
        per_trial=_since_origin("t_first_visible"),
        on_wire=True,
        quantiles=2,
    ),
    _latency(
        "ttfu",
        formula="First useful piece at the caller (each scenario says what is useful) - origin. Blocking: the whole "
        "parsed answer - origin. An ok answer without a useful piece is +∞.",
        per_trial=_since_origin("t_first_useful"),
        rows=_first_useful,
        quantiles=3,
        compared=tuple(QUANTILES),
        places=(ReportPlace("times", 1, "first useful", "streamed"),),
    ),
    _latency(
        "first_event",
        formula="First SSE data event of any kind - origin; pings are no events.",
        deliveries=STREAMED,
        per_trial=_since_origin("t_first_event"),
        on_wire=True,
        quantiles=4,
    ),
    _latency(
        "total",
        formula="The scenario's function was through - origin, failed attempts and back-off included.",
        per_trial=_since_origin("t_end"),
        quantiles=5,
        compared=tuple(QUANTILES),
        places=(
            ReportPlace("times", 3, "whole", "streamed"),
            ReportPlace("times", 4, "whole", "blocking", delivery="blocking"),
            ReportPlace("loads", 4, "whole", "p50", delivery=""),
        ),
    ),
)
