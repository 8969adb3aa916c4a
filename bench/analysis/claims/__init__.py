"""Test common claims about streaming on this run."""

from __future__ import annotations

from bench.analysis.claims import consuming, packets, requests, sooner, usage
from bench.analysis.tables import RunFrames
from bench.core.results.summary import Claim, Summary


def claims(frames: RunFrames, summary: Summary) -> tuple[Claim, ...]:
    """Judge each claim. `summary` has the run's numbers and cells, but no claims and verdicts yet."""
    return (
        sooner.claim(frames, summary),
        consuming.claim(summary),
        usage.claim(frames, summary),
        requests.claim(frames, summary),
        packets.claim(frames, summary),
    )
