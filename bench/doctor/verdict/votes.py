"""Votes: what one answer says of lumps, and which of several answers count."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from bench.doctor.verdict.bursts import LUMP, burst_shape, bursts
from bench.doctor.verdict.reading import Reading

Vote = Literal["bursty", "even", "partly", "unclear", "lump", "short"]
FLOORS = 3
"""A pause below this many times the p90 of this machine's own lateness is none: the project's rule for effects."""
LATE_MS = 5.0
"""Lumps with shorter pauses than this are no lumps to anybody; an idle event loop is up to 2-3 ms late."""
FEWEST_DELTAS = 8
"""With fewer deltas nothing is seen of lumps."""
FEWEST_IN_A_LUMP = 24
"""With fewer deltas, that all came together may be due to their number."""
ONE_PIECE = 100
"""Characters: an answer of at least this length in fewer than `LUMP` deltas came in one piece."""
ONE_LUMP = 0.9
"""Share of the deltas in one burst with which there is nothing to be seen between."""
OFTEN, SELDOM = 0.5, 0.25
"""Shares of deltas held in lumps above which an answer is bursty, and below which it is even."""


def resolution(p90_ms: float | None) -> float:
    """Return the shortest pause that counts, in ms; `p90_ms`: this machine's lateness, None where it is not known."""
    return FLOORS * max(p90_ms, LATE_MS / FLOORS) if p90_ms is not None else float("inf")


def vote(reading: Reading, resolution_ms: float) -> Vote:
    """Return what one answer says of lumps.

    `partly`: some of it came in lumps. `unclear`: in lumps that this machine may have made. `lump`: all came at once,
    so that nothing can be said of what is between. `short`: too little came for anything to be said.
    """
    if reading.deltas < FEWEST_DELTAS:
        long = reading.chars >= ONE_PIECE or (reading.tokens or 0) >= FEWEST_IN_A_LUMP
        return "lump" if long and reading.deltas < LUMP else "short"
    seen = burst_shape(bursts(reading))
    if reading.window_ms <= resolution_ms or (seen.largest >= ONE_LUMP and seen.pause_ms <= resolution_ms):
        return "lump" if reading.deltas >= FEWEST_IN_A_LUMP else "short"
    if seen.held <= SELDOM or seen.pause_ms <= LATE_MS:
        return "even"
    if seen.pause_ms <= resolution_ms:
        return "unclear"
    return "bursty" if seen.held >= OFTEN and seen.paused >= OFTEN else "partly"


def telling(sound: Sequence[Reading], votes: Sequence[Vote]) -> list[Vote]:
    """Select the votes that count: that a shorter answer fits whole into a lump says nothing of lumps."""
    longest = max(one.question.tokens for one in sound)
    both = zip(sound, votes, strict=True)
    return [said for one, said in both if said != "short" and (said != "lump" or one.question.tokens == longest)]
