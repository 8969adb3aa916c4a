"""What the instrument itself adds: the calibration's readings against the simulator's own send times."""

from __future__ import annotations

from dataclasses import dataclass

from bench.analysis.frames import RunFrames
from bench.summary import Row

FLOORS = 3
"""An effect below so many floors is below what this instrument resolves."""


@dataclass(frozen=True)
class Resolution:
    """The smallest differences that this instrument can show at one load, in ms. None: it was not calibrated."""

    gain_ms: float | None = None
    """Of times to the first useful piece."""
    total_ms: float | None = None
    """Of times to the whole answer."""


def floor_rows(frames: RunFrames) -> list[Row]:
    """`floor_ttft`, `floor_ttfu`, `floor_gap`, `floor_total`, `floor_cpu_per_event` by load; none if not calibrated."""
    del frames
    return []


def resolution(rows: list[Row], load: str) -> Resolution:
    """Three floors at that load."""
    del rows, load
    return Resolution()
