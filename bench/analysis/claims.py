"""What is said about streaming, put to the test on this run."""

from __future__ import annotations

from bench.analysis.frames import RunFrames
from bench.summary import Claim, Summary


def claims(frames: RunFrames, summary: Summary) -> tuple[Claim, ...]:
    """Each statement with its verdict; `summary` has the run's numbers and cells, without claims and verdicts."""
    del frames, summary
    return ()
