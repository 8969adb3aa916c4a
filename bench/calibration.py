"""Streams of known send times, read in between by the client that measures: what the instrument itself adds."""

from __future__ import annotations

from bench.plan import Cell
from bench.scenario import Scenario

TARGET = "(calibration)"
"""Its link has connections of its own, to the simulator."""


def calibration_scenarios() -> list[Scenario]:
    """The scenarios of the calibration cells."""
    return []


def calibration_cells(first: int, concurrency: int) -> list[Cell]:
    """The calibration cells of a run, numbered from `first`."""
    del first, concurrency
    return []
