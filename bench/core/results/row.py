"""A row of the summary and the key of its cell."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import NamedTuple


class CellKey(NamedTuple):
    """What tells one cell from another, in the order of the columns of `summary.csv`."""

    scenario: str
    params: str
    api: str
    target: str
    model: str
    client: str
    load: str
    """`c=8`: eight at a time; `rate=5`: five a second. Memory rows: `tokens=8000`, the length of the answer."""


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
    """`p50`, `p90`, `p95`, `p99`, `mean`, `sum`, `share`, `slope`, `hl`, `rate` (by time) or `level` (a load)."""
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
