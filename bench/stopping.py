"""When a run has measured enough, or may spend no more: decided between pairs, by widths and costs alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.plan import Cell, PlannedTrial


@dataclass
class Stopping:
    """Asked by the runner before each group and each pair, told of each trial that ended."""

    said: list[str] = field(default_factory=list)
    """What ended the run, or cells of it, early: sentences for the report."""

    def wants(self, group: Sequence[PlannedTrial]) -> bool:
        """Is this group (a pair, or a segment) of any use still? False: its cell has been measured closely enough."""
        del group
        return True

    def allows(self, pair: Sequence[PlannedTrial]) -> bool:
        """May this pair be sent? False ends the run: it could exceed the budget. What it may cost is set aside."""
        del pair
        return True

    def ended(self, planned: PlannedTrial, cell: Cell, row: Mapping[str, Any]) -> None:
        """A trial has ended; `row` is its row of the table `trials`."""
