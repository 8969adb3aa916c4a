"""Did anything change while the run went on, or between the two trials of a pair?"""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis.frames import RunFrames
from bench.analysis.pairs import Pairs
from bench.summary import CellKey, Row


@dataclass(frozen=True)
class Drift:
    """A trend, an order effect, or a mix of connections."""

    rows: tuple[Row, ...] = ()
    sentence: str = ""
    """Empty where it does not matter."""


def trend(frames: RunFrames) -> Drift:
    """`trend`: by what fraction times changed from the start of the run to its end (scenario `(all)`)."""
    del frames
    return Drift()


def order_effect(pairs: Pairs, seed: int) -> Drift:
    """`order_effect`: by what fraction the second trial of a pair takes longer than it would as the first."""
    del pairs, seed
    return Drift()


def connections(frames: RunFrames, cell: int, key: CellKey) -> Drift:
    """Whether requests of this cell went partly over new connections, partly over open ones."""
    del frames, cell, key
    return Drift()
