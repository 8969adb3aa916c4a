"""What the analysis hands to the reports: one plain, frozen value. No DataFrame inside, nothing computed later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any, NamedTuple


class CellKey(NamedTuple):
    """What tells one cell from another, in the order of the columns of `summary.csv`."""

    scenario: str
    params: str
    api: str
    target: str
    model: str
    client: str
    load: str
    """`c=8`: eight at a time. Memory rows: `tokens=8000`, the length of the answer."""


@dataclass(frozen=True)
class Row:
    """One number of `summary.csv`, which is a public format: these columns, in this order."""

    scenario: str
    params: str
    api: str
    target: str
    model: str
    client: str
    load: str
    delivery: str
    """`streamed`, `blocking` or `paired`."""
    metric: str
    unit: str
    """`ms` for times; `ratio` and `share` are fractions (0.02 is 2 %)."""
    statistic: str
    """`p50`, `p90`, `p95`, `p99`, `mean`, `sum`, `share`, `slope` or `hl`."""
    n: int
    """What the number rests on: offered trials for latencies, pairs for paired metrics."""
    failed: int
    """Failed trials (or excluded pairs) behind the number: +∞ in a latency, left out of anything else."""
    estimate: float | None
    """None: may not be printed, `note` says why. May be infinite."""
    low: float | None
    """95 % interval; None where there is none. May be infinite, as `high`."""
    high: float | None
    note: str

    @property
    def key(self) -> CellKey:
        """The cell this number belongs to."""
        return CellKey(self.scenario, self.params, self.api, self.target, self.model, self.client, self.load)


COLUMNS = tuple(field.name for field in fields(Row))


@dataclass(frozen=True)
class Ecdf:
    """A distribution over all offered trials: failures never arrive, so the curve may end below 1."""

    offered: int
    values: tuple[float, ...]
    """ms of the trials that arrived, ascending."""


@dataclass(frozen=True)
class Cell:
    """One row of the report, with what its tables of numbers do not say."""

    number: int
    key: CellKey
    label: str
    """Short and unique in this run: the scenario and whatever else differs between cells."""
    host: str
    simulated: bool
    description: str
    useful: str
    """A sentence: what counts as the first useful piece."""
    pairs: int
    """Pairs of which both trials were offered."""
    first_useful: Ecdf
    blocking_total: Ecdf
    invalid: str
    """Why its numbers may not be believed; empty when they may."""
    verdict: str
    notes: tuple[str, ...]
    unpaired: str = ""
    """Why it has no pairs whatever was asked for; empty where it may have some."""
    unsupported: str = ""
    """What its target said in the warm-up, where it was not measured for that; else empty."""


@dataclass(frozen=True)
class MemoryCurve:
    """Peak client memory by answer length, for one scenario, delivery and meter."""

    scenario: str
    params: str
    delivery: str
    meter: str
    points: tuple[tuple[int, int], ...]
    """(output tokens, peak bytes above the base)."""
    slope: float | None
    """Bytes per token of the fitted line; None where none could be fitted."""
    intercept: float | None


@dataclass(frozen=True)
class Failure:
    """A failed trial, with what it takes to find it in the server's log."""

    trial_id: int
    cell: str
    delivery: str
    status: str
    client_id: str
    server_id: str
    error: str


@dataclass(frozen=True)
class Summary:
    """Everything that a report shows."""

    manifest: Mapping[str, Any]
    headline: str
    """Host, model, and whether it is SIMULATED or real."""
    answer: str
    trust: tuple[str, ...]
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    rows: tuple[Row, ...]
    memory: tuple[MemoryCurve, ...]
    failures: tuple[Failure, ...]
    environment: Mapping[str, str]
    """The manifest's versions and machine, flat and sorted."""

    def row(self, cell: Cell, delivery: str, metric: str, statistic: str, unit: str = "") -> Row | None:
        """The number of a cell, or None when the run has none; `unit` where a metric comes in two."""
        found = self._index.get((cell.key, delivery, metric, statistic), ())
        return next((row for row in found if unit in {"", row.unit}), None)

    def memory_row(self, cell: Cell, delivery: str, metric: str) -> Row | None:
        """A number of the memory pass: it belongs to the scenario, whatever the target."""
        same = (row for row in self.rows if (row.metric, row.delivery) == (metric, delivery))
        return next((row for row in same if row.key[:2] == cell.key[:2]), None)

    @cached_property
    def _index(self) -> Mapping[tuple[CellKey, str, str, str], tuple[Row, ...]]:
        index: dict[tuple[CellKey, str, str, str], tuple[Row, ...]] = {}
        for row in self.rows:
            name = (row.key, row.delivery, row.metric, row.statistic)
            index[name] = (*index.get(name, ()), row)
        return index


@dataclass(frozen=True)
class Reporter:
    """Turns a Summary into the text of one file."""

    name: str
    filename: str | None
    """Name of the file in the run folder; None: it is only printed."""
    render: Callable[[Summary], str | bytes]
