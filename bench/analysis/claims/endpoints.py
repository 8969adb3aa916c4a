"""Group cells by endpoint, which is what counts and limits requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.analysis.claims.parts import unusable
from bench.core.load import ALONE
from bench.core.results.summary import Cell


@dataclass(frozen=True)
class EndpointCells:
    """A model at a target, by one API."""

    name: str
    target: str
    model: str
    simulated: bool
    cells: tuple[int, ...]
    """Numbers of the cells from which something may be concluded."""
    alone: tuple[int, ...]
    """Of these, those that ran one trial at a time."""
    left_out: str
    """Which cells were left out, and why; or empty."""


def endpoints(cells: Sequence[Cell]) -> list[EndpointCells]:
    """Group these cells by endpoint, in their order."""
    groups: dict[tuple[str, str, str], list[Cell]] = {}
    for cell in cells:
        groups.setdefault((cell.key.target, cell.key.model, cell.key.api), []).append(cell)
    return [_endpoint(f"{model} at {target} ({api})", group) for (target, model, api), group in groups.items()]


def _endpoint(name: str, cells: Sequence[Cell]) -> EndpointCells:
    usable = tuple(cell for cell in cells if not unusable(cell))
    reasons = [f"{cell.label} is left out: {unusable(cell)}" for cell in cells if unusable(cell)]
    return EndpointCells(
        name=name,
        target=cells[0].key.target,
        model=cells[0].key.model,
        simulated=cells[0].simulated,
        cells=tuple(cell.number for cell in usable),
        alone=tuple(cell.number for cell in usable if cell.key.load == ALONE.label),
        left_out="; ".join(reasons),
    )
