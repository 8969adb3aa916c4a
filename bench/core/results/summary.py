"""What the analysis hands to the reports: one plain, frozen value. No DataFrame inside, nothing computed later."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any, Literal, TypeVar

if TYPE_CHECKING:
    from bench.core.results.comparison import Comparison, Ranking, RankingEntry
from bench.core.results.row import CellKey, Row

Data = TypeVar("Data")
CALIBRATION = "(calibration)"
"""`scenario` of the rows that tell the instrument's own floor; no plugin can take the name."""


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
    saturated: str = ""
    """How the client was late, and what helps; empty where it kept up. Such a cell has no verdict."""
    curves: Mapping[str, Ecdf] = field(default_factory=dict)
    """Further distributions of its streamed trials: `ttft` and `total`."""


@dataclass(frozen=True)
class Trust:
    """The verdict on whether the run can be believed."""

    verdict: Literal["VALID", "CAUTION", "INVALID", "UNCHECKED"]
    """`CAUTION`: read the sentence first; `UNCHECKED`: the run was too short to check itself, or told not to."""
    sentence: str
    """Why, for a reader who knows no statistics."""
    lines: tuple[str, ...]
    """What it rests on, with numbers, tests and intervals."""


ClaimVerdict = Literal["HOLDS", "REFUTED", "NOT ENOUGH DATA", "NOT TESTABLE HERE"]


@dataclass(frozen=True)
class ClaimPart:
    """A claim put to the test on one thing that it is said of."""

    subject: str
    """A cell, or a way of consuming the stream."""
    verdict: ClaimVerdict
    estimate: str
    """With its interval; empty where there is none."""
    n: int
    reason: str
    """Why this verdict, in a sentence: on which side it is outside, what is missing, where it is true."""
    curve: tuple[tuple[float, float, float, float], ...] = ()
    """Where it depends on the length: (output tokens, estimate, low, high), by length."""


@dataclass(frozen=True)
class Claim:
    """A statement about streaming, and what this run says to it."""

    name: str
    """Short and stable: `sooner`, `memory`, `usage`, `requests`, `packets`."""
    statement: str
    verdict: ClaimVerdict
    """The verdict over all parts: one refuted part refutes the claim; otherwise it holds only if every part does."""
    test: str
    """The test and its rule, for a reader who knows statistics."""
    parts: tuple[ClaimPart, ...]


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
class Knee:
    """Up to which load a sweep kept to its limits, in one delivery."""

    key: CellKey
    """Key of its cells; `load` is `c` (closed loop) or `rate` (open loop), each with its own knee."""
    delivery: str
    load: str
    """The highest load that passed, as `rate=10`; empty if none did."""
    size: float | None
    """The highest load that passed as a number: concurrent trials, or starts per second."""
    said: str
    """The knee in words, with the reason: `rate=10; rate=20 fails: …`."""
    n: int
    """Offered trials that the answer rests on: those of the load that ended the search."""


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
class Outlier:
    """An ok trial far from the others of its cell and delivery. Nothing is left out for being one."""

    trial_id: int
    cell: str
    delivery: str
    metric: str
    """`ttft` or `total`."""
    ms: float
    median: float
    """Median of its cell and delivery, in ms."""
    severe: bool
    """Beyond 3 interquartile ranges from the quartiles (Tukey), else beyond 1.5."""
    cause: str
    """What was seen at the same time: a new connection, a retry, a stall, a late event loop, …; empty if nothing."""
    client_id: str
    server_id: str


@dataclass(frozen=True)
class Summary:
    """Everything that a report shows."""

    manifest: Mapping[str, Any]
    headline: str
    """Host, model, and whether it is SIMULATED or real."""
    answer: str
    """One sentence that says whether streaming helps here, and what it costs."""
    trust: Trust
    notes: tuple[str, ...]
    cells: tuple[Cell, ...]
    rows: tuple[Row, ...]
    memory: tuple[MemoryCurve, ...]
    failures: tuple[Failure, ...]
    """The first failed trials; `unlisted` says how many more there were."""
    environment: Mapping[str, str]
    """The manifest's versions and machine, flat and sorted."""
    claims: tuple[Claim, ...] = ()
    unlisted: int = 0
    """Failed trials that are not in `failures`."""
    knees: tuple[Knee, ...] = ()
    """One for each delivery of each scenario that ran under load."""
    chart_data: Mapping[int, Mapping[type, Any]] = field(default_factory=dict)
    """What the charts of each cell are drawn from: plain values, by the cell's number and by the class of the value."""
    outliers: tuple[Outlier, ...] = ()
    """Ok trials far from the others, the farthest first; `outliers_unlisted` says how many more there are."""
    outliers_unlisted: int = 0
    rankings: tuple[Ranking, ...] = ()
    """Rankings of targets or models that did the same work."""
    comparisons: tuple[Comparison, ...] = ()
    """Comparisons of this run's other targets or models with the one that was named as the baseline."""

    def row(self, cell: Cell | RankingEntry, delivery: str, metric: str, statistic: str, unit: str = "") -> Row | None:
        """Return the number of a cell, or None when the run has none; `unit` where a metric comes in two."""
        found = self._index.get((cell.key, delivery, metric, statistic), ())
        return next((row for row in found if unit in {"", row.unit}), None)

    def cell_data(self, cell: Cell, kind: type[Data]) -> Data | None:
        """Return the cell's chart data of this class, or None when there are none."""
        return self.chart_data.get(cell.number, {}).get(kind)

    def floor(
        self, load: str, delivery: str, metric: str, statistic: str = "p50", *, client: str = "sdk"
    ) -> Row | None:
        """Return what this client itself adds at this load: `floor_…` of the calibration, or None without one."""
        same = (row for row in self.rows if row.scenario == CALIBRATION and row.metric == metric)
        wanted = (load, delivery, statistic, client)
        return next((row for row in same if (row.load, row.delivery, row.statistic, row.client) == wanted), None)

    def memory_row(self, cell: Cell, delivery: str, metric: str) -> Row | None:
        """Return a number of the memory pass: it belongs to the scenario, whatever the target."""
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
    always: bool = True
    """Written with every report; else only where `--export` names it."""
