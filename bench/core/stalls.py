"""What counts as a stall of a stream: one rule for the records and for the charts."""

from __future__ import annotations

from collections.abc import Sequence
from operator import sub
from statistics import median

STALL_NS = 200_000_000
STALL_MIN_NS = 50_000_000
STALL_TIMES = 5


def stall_limit(usual: float) -> float:
    """Return the ns above which a gap is a stall: 200 ms, or 50 ms and five times the median gap of the answer."""
    return min(STALL_NS, max(STALL_MIN_NS, STALL_TIMES * usual))


def stalls(stamps: Sequence[int]) -> tuple[int, int]:
    """Count the gaps over the limit, and the ns by which they exceed the median gap."""
    gaps = list(map(sub, stamps[1:], stamps))
    if not gaps:
        return 0, 0
    usual = median(gaps)
    limit = stall_limit(usual)
    stalled = [gap for gap in gaps if gap > limit]
    return len(stalled), int(sum(gap - usual for gap in stalled))
