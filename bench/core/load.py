"""The load of a cell: how many trials are concurrent, or how many begin in a second."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Load:
    """Closed loop (`concurrency` trials, the next begins when one ends) or open loop (`rate` begin per second)."""

    concurrency: int | None = None
    rate: float | None = None

    @property
    def label(self) -> str:
        """The load as cells and reports name it: `c=8`, `rate=5`."""
        return f"rate={self.rate:g}" if self.rate is not None else f"c={self.concurrency}"

    @property
    def open_loop(self) -> bool:
        """True where a trial begins when the schedule says so, regardless of the earlier ones."""
        return self.rate is not None

    @property
    def heavy(self) -> bool:
        """True where reading alone needs a CPU."""
        return (self.rate or self.concurrency or 0) >= HEAVY

    @property
    def sequential(self) -> bool:
        """True if trials run one at a time: nothing else runs while a trial is timed."""
        return self.concurrency == 1

    @property
    def place(self) -> tuple[bool, float]:
        """A key to sort by: closed loop first, then by size."""
        return self.open_loop, self.rate if self.rate is not None else float(self.concurrency or 0)


HEAVY = 32
"""Trials at a time, or in a second, from which on decoding one answer takes the CPU from reading others."""
ALONE = Load(concurrency=1)


def parse_load(label: str) -> Load:
    """Parse the label of a load. Raises `ValueError` for any other text."""
    kind, _, number = label.partition("=")
    if kind == "c":
        return Load(concurrency=int(number))
    if kind == "rate":
        return Load(rate=float(number))
    raise ValueError(f"{label!r} is no load")
