"""What streaming gains and costs, pair by pair."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import PAIRED, Metric, ReportPlace

if TYPE_CHECKING:
    from bench.analysis.measured_cell import MeasuredCell
    from bench.core.results.row import Row


def _gain_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    if cell.is_paired:
        yield cell.pairs.difference_row(metric.name, "total_b", "ttfu_s", cell.seed)
        yield _negate(cell.pairs.ratio_row(metric.name, "ttfu_s", "total_b", cell.seed))


def _negate(row: Row) -> Row:
    """Turn the change of the time that is left into the share that is saved."""
    if row.estimate is None or row.low is None or row.high is None:
        return row
    return replace(row, estimate=-row.estimate, low=-row.high, high=-row.low)


def _overhead_rows(metric: Metric, cell: MeasuredCell) -> Iterator[Row]:
    if cell.is_paired:
        yield cell.pairs.difference_row(metric.name, "total_s", "total_b", cell.seed)
        yield cell.pairs.ratio_row(metric.name, "total_s", "total_b", cell.seed)


METRICS = (
    Metric(  # not compared: where all times became shorter it is less, which is nothing worse
        "gain",
        "ms, ratio",
        "Seen sooner by: blocking total - streamed TTFU, Hodges-Lehmann over pairs; as a ratio 1 - TTFU / "
        "blocking total, on the log scale.",
        better="higher",
        of="pairs",
        deliveries=PAIRED,
        cell_rows=_gain_rows,
        csv_order=4,
        places=(ReportPlace("times", 5, "seen sooner", "by", delivery="paired", statistic="hl", unit="ms"),),
    ),
    Metric(
        "overhead",
        "ms, ratio",
        "Streamed total - blocking total, Hodges-Lehmann over pairs; as a ratio streamed / blocking - 1, on "
        "the log scale.",
        of="pairs",
        deliveries=PAIRED,
        cell_rows=_overhead_rows,
        csv_order=4,
        compared=("hl",),
        places=(ReportPlace("times", 6, "finish", "vs blocking", delivery="paired", statistic="hl", unit="ratio"),),
    ),
)
