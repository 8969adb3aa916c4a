"""Decide between pairs, by interval widths and costs alone, when a run has measured enough or spent its budget."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any

from bench.plan.cost.budget import Budget
from bench.plan.plan import FEWEST_AA, FEWEST_CHECKED, Phase, PlannedCell, PlannedTrial
from bench.run.stopping.ledger import Ledger
from bench.run.stopping.precision import CellWidth, trial_times


@dataclass
class Stopping:
    """The stopping rule: the runner asks it before each group and pair, and reports each trial that has ended.

    Made without arguments, it stops nothing and counts only the time.
    """

    precision: float | None = None
    """Half-width of a cell's intervals that is narrow enough, as a fraction; None: the plan is carried out."""
    budgets: Sequence[Budget] = ()
    ledger: Ledger = field(default_factory=Ledger)
    clock: Callable[[], int] = field(default=perf_counter_ns, repr=False)
    widths: dict[int, CellWidth] = field(default_factory=dict)
    """By cell that has measured trials."""
    out_of: Budget | None = None
    """The budget that ended the run."""
    _aa: int = 0
    """A/A pairs begun."""
    _known: Counter[int] = field(default_factory=Counter)
    """Calibration pairs begun, by cell."""
    _first: int | None = None
    _last: int = 0
    _open: dict[int, tuple[int, int]] = field(default_factory=dict)
    """By pair in flight: when it began, and how many of its trials are left."""
    _longest: dict[int, int] = field(default_factory=dict)
    """By cell, ns of its longest pair."""

    def __post_init__(self) -> None:
        if self.precision is not None:
            import bench.stats.serial_correlation  # noqa: F401, PLC0415  (scipy, which only --precision needs; loaded before the run)

    def begin(self) -> None:
        """Start the time budget now, where other processes begin the trials."""
        self._first = self._last = self.clock()

    def look(self) -> None:
        """Update which cells are measured closely enough. Takes some ms, so call it while no trial is timed."""
        if self.precision is not None:
            for width in self.widths.values():
                width.look(self.precision)

    def wants(self, phase: Phase, cell: int) -> bool:
        """Return False if further trials of this cell and phase are of no use: it is measured closely enough.

        A/A pairs of such a cell go on while the whole run has too few to decide. The calibration ends with the last
        cell, and not before it has `FEWEST_CHECKED` pairs.
        """
        if self.precision is None or phase == "warmup":
            return True
        if phase == "calibrate":
            few = self._known[cell] < FEWEST_CHECKED
            return few or not all(width.met for width in self.widths.values())
        if cell not in self.widths or not self.widths[cell].met:
            return True
        return phase == "aa" and self._aa < FEWEST_AA

    def allows(self, pair: Sequence[PlannedTrial]) -> bool:
        """Reserve the most this pair can cost. Return False, which ends the run, if the pair could exceed a budget."""
        now = self.clock()
        if self._first is None:
            self._first = self._last = now
        self.out_of = self.out_of or self._late(now, pair[0].cell) or self.ledger.exceeded_by(pair)
        if self.out_of:
            return False
        self.ledger.set_aside(pair)
        self._open[pair[0].pair] = now, len(pair)
        self._aa += pair[0].phase == "aa"
        self._known[pair[0].cell] += pair[0].phase == "calibrate"
        return True

    def trial_ended(
        self, planned: PlannedTrial, cell: PlannedCell, row: Mapping[str, Any], without_usage: int = 0
    ) -> None:
        """Count a trial that has ended; `row` is its row of the table `trials`.

        `without_usage`: how many of its answers may be charged but did not report their usage.
        """
        self._last = self.clock()
        self._time(planned)
        self.ledger.settle(planned, row, without_usage)
        if planned.phase != "measure" or (self.precision is None and not self.budgets):  # nobody would ask for it
            return
        width = self.widths.setdefault(cell.cell, CellWidth(cell.simulated, len(cell.deliveries)))
        width.add(planned.pair, trial_times(row))

    @property
    def seconds(self) -> float:
        """Seconds from the first trial to the end of the last."""
        return (self._last - (self._first or self._last)) / 1e9

    def _late(self, now: int, cell: int) -> Budget | None:
        """Return the time budget that a pair of this cell would exceed if it took as long as the longest so far."""
        seconds = (now - (self._first or now) + self._longest.get(cell, 0)) / 1e9
        return next((one for one in self.budgets if one.kind == "time" and seconds > one.amount), None)

    def _time(self, planned: PlannedTrial) -> None:
        if planned.pair not in self._open:
            return
        began, left = self._open.pop(planned.pair)
        if left > 1:
            self._open[planned.pair] = began, left - 1
        else:
            self._longest[planned.cell] = max(self._longest.get(planned.cell, 0), self._last - began)
