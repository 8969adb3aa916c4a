"""The first line of every report: can this run be believed?"""

from __future__ import annotations

from collections.abc import Sequence

from bench.analysis.aa import AaCheck
from bench.analysis.drift import Drift
from bench.analysis.frames import RunFrames
from bench.summary import Cell, Trust


def trust(
    frames: RunFrames,
    cells: Sequence[Cell],
    aa: AaCheck,
    drift: Drift,
    *,
    evidence: Sequence[str],
    machine: Sequence[str],
) -> Trust:
    """The verdict with its reason. `evidence`: further lines; `machine`: how busy it was, where that matters."""
    del frames, cells, aa, drift
    return Trust("UNCHECKED", "This run did not check itself.", (*evidence, *machine))
