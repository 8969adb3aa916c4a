"""Match the cells of two runs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from bench.core.results.row import CellKey
from bench.core.results.summary import Cell, Summary

NAMES = ("target", "model")
"""What may have another name in the other run."""
OF_MEMORY = "tokens="
"""`load` of the numbers of the memory pass: they belong to a scenario, and always to the simulator."""


@dataclass(frozen=True)
class Alignment:
    """How the keys of the baseline are read in the current run."""

    renamed: Mapping[str, tuple[str, str]]
    """Field → (name in the baseline, name in the current run), where each run has a single one."""

    def rename(self, key: CellKey) -> CellKey:
        """Return the key of the baseline's cell as the current run would have it."""
        if key.load.startswith(OF_MEMORY):
            return key
        names = {field: new for field, (old, new) in self.renamed.items() if getattr(key, field) == old}
        return key._replace(**names)

    @property
    def sentences(self) -> tuple[str, ...]:
        """Sentences on which names were taken for each other."""
        return tuple(f"{field}: {old} is compared with {new}" for field, (old, new) in self.renamed.items())


def align(baseline: Iterable[Cell], current: Iterable[Cell]) -> Alignment:
    """Match the names: where each run has one target (or model), the two are taken for each other."""
    sides = [[cell.key for cell in cells] for cells in (baseline, current)]
    found = {}
    for field in NAMES:
        old, new = ({getattr(key, field) for key in keys} for keys in sides)
        if len(old) == len(new) == 1 and old != new:
            found[field] = (*old, *new)
    return Alignment(found)


def unmatched_cells(alignment: Alignment, baseline: Summary, current: Summary) -> Iterator[str]:
    """Yield the cells that only one of the runs has, in words."""
    theirs = {alignment.rename(cell.key): cell for cell in baseline.cells}
    ours = {cell.key: cell for cell in current.cells}
    for side, cells, other in (("baseline", theirs, ours), ("current run", ours, theirs)):
        for key, cell in cells.items():
            if key not in other:
                # what a label may leave out because it is the same all over its own run
                place = f"{cell.key.target}/{cell.key.model}, {cell.key.client}, {cell.key.load}"
                yield f"only in the {side}: {cell.label} ({place})"
