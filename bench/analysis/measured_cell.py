"""One cell of a run as the metrics see it: its trials, and what is computed from them once."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import pandas as pd

from bench.analysis.cell.arm import Arm, Floats, RowMaker, arm_trials, floats, recorded_rows
from bench.analysis.checks.drift import Drift, connections, order_effect
from bench.analysis.checks.floor import NOT_CALIBRATED, Resolution
from bench.analysis.checks.guard import cell_lateness, cpu_share
from bench.analysis.checks.lateness import Lateness
from bench.analysis.load.arm import LoadArm, plan_loads
from bench.analysis.pairs import Pairs, make_pairs
from bench.analysis.tables import RunFrames, cell_frames
from bench.core.load import parse_load
from bench.core.results.labels import cell_key
from bench.core.results.metrics.client import OWN, OWN_CLIENT
from bench.core.results.metrics.metric import Metric
from bench.core.results.metrics.registry import BY_NAME, csv_metrics
from bench.core.results.row import CellKey, Row


@dataclass(frozen=True)
class MeasuredCell:
    """One cell of a run."""

    run: RunFrames
    cell: Mapping[str, Any]
    """As the plan has it."""
    read_lags: pd.Series[float]
    """Of all trials of the run, in ms, where the truth is known."""
    resolution: Resolution = NOT_CALIBRATED

    @property
    def number(self) -> int:
        """Number of the cell in the plan."""
        return int(self.cell["cell"])

    @property
    def seed(self) -> int:
        """Seed of the run."""
        return int(self.run.plan["seed"])

    @cached_property
    def key(self) -> CellKey:
        """What tells the cell from others."""
        return cell_key(self.cell)

    @cached_property
    def frames(self) -> RunFrames:
        """The run with the trials of this cell only."""
        return cell_frames(self.run, self.number)

    @cached_property
    def streamed_arm(self) -> Arm:
        """The streamed trials."""
        return self._arm("streamed")

    @cached_property
    def blocking_arm(self) -> Arm:
        """The blocking trials."""
        return self._arm("blocking")

    def _arm(self, delivery: str) -> Arm:
        trials = self.frames.trials
        return Arm(self.key, delivery, arm_trials(trials, delivery), self.frames.tables)

    @property
    def cell_maker(self) -> RowMaker:
        """Makes the rows of what is known of both deliveries together."""
        return RowMaker(self.key, "paired")

    @cached_property
    def counters(self) -> pd.DataFrame:
        """Rows of the table `cells`."""
        return self.run.tables["cells"][self.run.tables["cells"]["cell"] == self.number]

    @property
    def has_probes(self) -> bool:
        """True if the run has probes, and the cell has trials."""
        return bool(len(self.run.tables["probes"]) and len(self.frames.trials))

    def probes(self, name: str) -> Floats:
        """Return the readings of one probe while trials of the cell ran."""
        probes = self.run.tables["probes"]
        return floats(probes[(probes["name"] == name) & (probes["cell"] == self.number)]["value"])

    @cached_property
    def lateness(self) -> Lateness:
        """How late the client's event loop was."""
        return cell_lateness(self.run, self.number)

    @property
    def cpu_share(self) -> float | None:
        """CPU time by wall time while the trials ran; None where none did."""
        return cpu_share(self.run, self.number)

    @cached_property
    def pairs(self) -> Pairs:
        """The pairs of streamed and blocking trials."""
        return make_pairs(self.key, self.streamed_arm, self.blocking_arm, simulated=bool(self.cell["simulated"]))

    @property
    def is_paired(self) -> bool:
        """True if the cell has trials of both deliveries."""
        return bool(len(self.streamed_arm.trials) and len(self.blocking_arm.trials))

    @cached_property
    def order(self) -> Drift:
        """The order effect. Under load there is none: a pair's trials are in two segments."""
        if not parse_load(self.key.load).sequential:
            return Drift()
        return order_effect(self.pairs, self.seed, self.resolution.total_ms, len(self.run.cells))

    @cached_property
    def connections(self) -> Drift:
        """Whether requests went over new or over open connections."""
        return connections(self.frames, self.number, self.key)

    def rows(self) -> Iterator[Row]:
        """Make all rows of the cell, in the order of `summary.csv`."""
        arms = [arm for arm in (self.streamed_arm, self.blocking_arm) if len(arm.trials)]
        for arm in arms:
            made = (row for metric in csv_metrics() if metric.rows for row in metric.rows(metric, arm))
            yield from map(_without_wire, made) if self.key.client == OWN else made
            yield from recorded_rows(arm, self.frames.tables["metrics"])
        if level := plan_loads(self.run).get(self.key.load):
            for arm in arms:
                load = LoadArm(arm, self.frames, level)
                yield from (row for one in csv_metrics() if one.load_rows for row in one.load_rows(one, load))
        yield from self.cell_rows(csv_metrics())

    def cell_rows(self, metrics: Iterable[Metric]) -> Iterator[Row]:
        """Make the rows of these metrics that are of the cell as a whole."""
        return (row for metric in metrics if metric.cell_rows for row in metric.cell_rows(metric, self))


def _without_wire(row: Row) -> Row:
    """Return the row of an own client, or why there is no such number."""
    metric = BY_NAME.get(row.metric)
    if metric is None or not metric.on_wire:
        return row
    return replace(row, n=0, estimate=None, low=None, high=None, note=OWN_CLIENT)
