"""What the gate says: one plain value for each condition and cell."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Verdict = Literal["PASS", "FAIL", "UNDECIDED"]


@dataclass(frozen=True)
class Decision:
    """One condition, decided for one cell."""

    condition: str
    """As typed."""
    scenario: str
    subject: str
    """What it was decided on: `text ttft p50 streamed`, with what else tells the cell apart."""
    verdict: Verdict
    sentence: str
    """Why, with the interval and the limit; of UNDECIDED what would decide it."""
    excess: float = 0.0
    """Of FAIL: how far the nearest bound is beyond the limit, as a fraction of it. The worst is told first."""
