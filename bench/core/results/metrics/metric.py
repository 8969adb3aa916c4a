"""Declare a metric. Nothing here imports pandas, for the measuring process reads the definitions too."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.cell.arm import Arm
    from bench.analysis.load.arm import LoadArm
    from bench.analysis.measured_cell import MeasuredCell
    from bench.core.results.row import Row

MS = 1e6
"""Nanoseconds."""
STREAMED = ("streamed",)
PAIRED = ("paired",)
QUANTILES = {"p50": 0.5, "p90": 0.9, "p95": 0.95, "p99": 0.99}


class ReportPlace(NamedTuple):
    """Where a report shows a metric: a column of a table, or a line of a list."""

    table: Literal["times", "costs", "costs in short", "loads", "clients", "checks", "floors", "calibration"]
    """`costs in short` is the terminal's; `calibration` is of `bench calibrate`; the others are in every report."""
    order: int
    """Ascending from left to right, or from top to bottom."""
    top: str
    bottom: str = ""
    """The head of a column, in two lines."""
    delivery: str = "streamed"
    """Empty: of each delivery that the line is about."""
    statistic: str = "p50"
    unit: str = ""
    """Which one, where the metric comes in two."""


@dataclass(frozen=True)
class Metric:
    """One metric of the reports.

    `rows`, `load_rows` and `cell_rows` make its numbers: of each delivery of a cell, of each delivery under load, or of
    a cell as a whole. A metric without any of them gets its rows from the check that its file names, or beside another
    metric of its file.
    """

    name: str
    unit: str
    formula: str
    better: Literal["lower", "higher", "neither"] = "lower"
    of: Literal["offered", "ok", "pairs", "cell", "memory"] = "ok"
    """What its numbers are taken over. `offered`: a failure counts as +∞."""
    deliveries: tuple[str, ...] = ("streamed", "blocking")
    per_trial: Callable[[pd.DataFrame], pd.Series[float]] | None = None
    """The number of each trial, from the columns of the table `trials`; null where a trial has none."""
    rows: Callable[[Metric, Arm], Iterable[Row]] | None = None
    load_rows: Callable[[Metric, LoadArm], Iterable[Row]] | None = None
    cell_rows: Callable[[Metric, MeasuredCell], Iterable[Row]] | None = None
    csv_order: int = 100
    """Where its rows stand in `summary.csv` among those made by the same kind of function; equal ones as listed."""
    on_wire: bool = False
    """Read from the bytes of the answer, so not known of a scenario with a client of its own."""
    members: bool = False
    """Its rows have names with a dot, as `failures.timeout`."""
    quantiles: int = 0
    """Place among the metrics whose quantiles the report lists for each cell; 0: not listed."""
    compared: tuple[str, ...] = ()
    """Statistics that a comparison shows; `compare.json` has all."""
    places: tuple[ReportPlace, ...] = ()
