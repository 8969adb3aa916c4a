"""The figures of a cell while it is measured, by the functions of the report: the last view shows what that will say.

Of more than 2,000 pairs `sooner` is of a random part, as in the report, but of another one.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.run.liveview.messages import Told
from bench.run.liveview.state import CellState
from bench.run.stopping.precision import MOST_EXCLUDED, same_work
from bench.stats.intervals import Estimate, quantile_ci
from bench.stats.serial_correlation import shift_in_time, widened_by_parts

NS_PER_MS = 1e6
NONE = Estimate(note="–")
"""The cell has no such delivery."""


@dataclass(frozen=True)
class Figures:
    """In ms, with 95 % intervals; what never came is ∞."""

    useful: Estimate
    """Median time to the first useful piece, streamed."""
    whole: Estimate
    """Median time of the whole answer, blocking."""
    sooner: Estimate
    """By how much the first useful piece comes before the blocking answer."""


def figures(cell: CellState) -> Figures:
    """Of all that was measured so far."""
    arms: dict[str, list[Told]] = {name: [] for name in cell.deliveries}
    for one in cell.measured:
        arms[one.seen.delivery].append(one)
    streamed, blocking = arms.get("streamed"), arms.get("blocking")
    return Figures(
        useful=NONE if streamed is None else quantile_ci([_useful(one) for one in streamed], 0.5),
        whole=NONE if blocking is None else quantile_ci([_total(one) for one in blocking], 0.5),
        sooner=NONE if streamed is None or blocking is None else _sooner(streamed, blocking, simulated=cell.simulated),
    )


def _useful(one: Told) -> float:
    useful = one.seen.useful
    return useful / NS_PER_MS if one.seen.ok and useful is not None else math.inf


def _total(one: Told) -> float:
    return one.seen.total / NS_PER_MS if one.seen.ok else math.inf


def _sooner(streamed: Sequence[Told], blocking: Sequence[Told], *, simulated: bool) -> Estimate:
    """Over the pairs that the report compares, in the order of time."""
    others = {one.pair: one for one in blocking}
    pairs = [(one, others[one.pair]) for one in streamed if one.pair in others]
    ok = [(s, b) for s, b in pairs if s.seen.ok and b.seen.ok and s.seen.useful is not None]
    if len(pairs) - len(ok) > MOST_EXCLUDED * len(pairs):
        return Estimate(note=f"n/a ({len(pairs) - len(ok)} of {len(pairs)} pairs excluded)")
    same = sorted(
        ((s, b) for s, b in ok if same_work(s.seen, b.seen, simulated=simulated)), key=lambda pair: pair[0].seen.began
    )
    whole = _shift(same)
    return whole if all(s.block == b.block for s, b in same) else widened_by_parts(whole, _by_segment(same))


def _by_segment(same: Sequence[tuple[Told, Told]]) -> list[Estimate]:
    parts: dict[int, list[tuple[Told, Told]]] = {}
    for pair in same:
        parts.setdefault(pair[0].block, []).append(pair)
    return [_shift(parts[block]) for block in sorted(parts)]


def _shift(same: Sequence[tuple[Told, Told]]) -> Estimate:
    return shift_in_time([_total(b) - _useful(s) for s, b in same])


@dataclass
class Remembered:
    """Figures that are made again only where something has come to them."""

    _known: dict[int, tuple[int, Figures]] = field(default_factory=dict)

    def of(self, cells: Sequence[CellState]) -> Mapping[int, Figures]:
        """By cell number."""
        for cell in cells:
            if self._known.get(cell.number, (-1,))[0] != len(cell.measured):
                self._known[cell.number] = len(cell.measured), figures(cell)
        return {cell.number: self._known[cell.number][1] for cell in cells}
