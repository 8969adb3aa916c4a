"""The A/A check: a delivery against itself shows what this method sees where there is nothing to see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from bench.analysis.floor import Resolution
from bench.analysis.frames import RunFrames
from bench.summary import Row


@dataclass(frozen=True)
class AaCheck:
    """What came of the A/A pairs."""

    rows: tuple[Row, ...] = ()
    """`aa` of each cell, and of all cells together (scenario `(all)`)."""
    invalid: str = ""
    """Why no number of this run may be believed; empty when they may."""
    sentence: str = ""
    """For the trust lines: the estimate with its interval, and the smallest effect that this run can see."""
    checked: bool = False
    """Were there enough pairs to decide?"""


def check(frames: RunFrames, resolutions: Mapping[str, Resolution]) -> AaCheck:
    """Judge the A/A pairs; `resolutions` by load."""
    del frames, resolutions
    return AaCheck()
