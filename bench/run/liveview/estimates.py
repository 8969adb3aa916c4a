"""Compute the figures of a cell during the run with the report's functions, so the last view agrees with the report.

With more than 2,000 pairs `sooner` uses a random part of them, as the report does, but not the same part.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from bench.run.liveview.messages import TrialMessage
from bench.run.liveview.state import CellState
from bench.run.stopping.precision import did_same_work
from bench.stats.intervals import Estimate, quantile_ci
from bench.stats.same_work import too_many_excluded
from bench.stats.serial_correlation import shift_in_time, widen_by_parts

NS_PER_MS = 1e6
NONE = Estimate(note="–")
"""Figure of a cell without such a delivery."""


@dataclass(frozen=True)
class Figures:
    """Figures in ms with 95 % intervals; a missing piece or answer counts as ∞."""

    useful: Estimate
    """Median time to the first useful piece, streamed."""
    whole: Estimate
    """Median time of the whole answer, blocking."""
    sooner: Estimate
    """Median time by which the first useful piece comes before the blocking answer."""


def figures(cell: CellState) -> Figures:
    """Compute the figures of all trials measured so far."""
    arms: dict[str, list[TrialMessage]] = {name: [] for name in cell.deliveries}
    for one in cell.measured:
        arms[one.times.delivery].append(one)
    streamed, blocking = arms.get("streamed"), arms.get("blocking")
    return Figures(
        useful=NONE if streamed is None else quantile_ci([_useful(one) for one in streamed], 0.5),
        whole=NONE if blocking is None else quantile_ci([_total(one) for one in blocking], 0.5),
        sooner=NONE if streamed is None or blocking is None else _sooner(streamed, blocking, simulated=cell.simulated),
    )


def _useful(one: TrialMessage) -> float:
    useful = one.times.useful
    return useful / NS_PER_MS if one.times.ok and useful is not None else math.inf


def _total(one: TrialMessage) -> float:
    return one.times.total / NS_PER_MS if one.times.ok else math.inf


def _sooner(streamed: Sequence[TrialMessage], blocking: Sequence[TrialMessage], *, simulated: bool) -> Estimate:
    """Estimate over the pairs that the report compares, in the order of time."""
    others = {one.pair: one for one in blocking}
    pairs = [(one, others[one.pair]) for one in streamed if one.pair in others]
    ok = [(s, b) for s, b in pairs if s.times.ok and b.times.ok and s.times.useful is not None]
    if too_many_excluded(len(pairs) - len(ok), len(pairs)):
        return Estimate(note=f"n/a ({len(pairs) - len(ok)} of {len(pairs)} pairs excluded)")
    same = sorted(
        ((s, b) for s, b in ok if did_same_work(s.times, b.times, simulated=simulated)),
        key=lambda pair: pair[0].times.began,
    )
    whole = _shift(same)
    return whole if all(s.block == b.block for s, b in same) else widen_by_parts(whole, _by_segment(same))


def _by_segment(same: Sequence[tuple[TrialMessage, TrialMessage]]) -> list[Estimate]:
    parts: dict[int, list[tuple[TrialMessage, TrialMessage]]] = {}
    for pair in same:
        parts.setdefault(pair[0].block, []).append(pair)
    return [_shift(parts[block]) for block in sorted(parts)]


def _shift(same: Sequence[tuple[TrialMessage, TrialMessage]]) -> Estimate:
    return shift_in_time([_total(b) - _useful(s) for s, b in same])


@dataclass
class FiguresCache:
    """Figures that are computed again only for cells with new trials."""

    _known: dict[int, tuple[int, Figures]] = field(default_factory=dict)

    def get(self, cells: Sequence[CellState]) -> Mapping[int, Figures]:
        for cell in cells:
            if self._known.get(cell.number, (-1,))[0] != len(cell.measured):
                self._known[cell.number] = len(cell.measured), figures(cell)
        return {cell.number: self._known[cell.number][1] for cell in cells}
