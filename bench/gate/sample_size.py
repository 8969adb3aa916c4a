"""Sample size: how many trials would decide a condition that is UNDECIDED."""

from __future__ import annotations

import math
import re
from collections.abc import Callable

from bench.analysis.comparison.effects import pairs_for
from bench.core.results.comparison import Change
from bench.core.results.metrics.registry import metric_of
from bench.core.results.row import Row
from bench.stats import mover
from bench.stats.intervals import share_ci

MOST = 10_000
"""Trials; more is no advice."""
ROOM = 1.43
"""How much narrower than the room to the limit an interval is to be, (1.96 + 0.84) / 1.96: four of five runs decide."""
_TOO_FEW = re.compile(r"n=\d+ < (\d+)")


def fewest_samples(note: str) -> int | None:
    """Read the fewest samples that a number needs from the note that says why it is not printed."""
    found = _TOO_FEW.search(note)
    return int(found[1]) if found else None


def for_width(trials: int, half: float, wanted: float) -> int | None:
    """Return the trials that see what is `wanted` away in four of five runs; None where nobody could say.

    `half`: the interval of `trials` to one side. It narrows with the root of their number.
    """
    if not (trials and 0 < half < math.inf and wanted > 0):
        return None
    return _round_up(trials * (ROOM * half / wanted) ** 2)


def for_change(change: Change, limit: float) -> int | None:
    """Return the trials for a change whose interval is wider than the limit, a fraction or points, to each side."""
    if not change.current.statistic == change.current.unit == "share":
        need = pairs_for(change, abs(limit) / ROOM)
        return None if need is None else _round_up(need)
    # near 0 the intervals of shares narrow faster than with the root of the number
    shares = [row.estimate or 0.0 for row in (change.current, change.baseline)]
    return _first_size(change.n, limit, lambda size: mover.difference(*(_share(share, size) for share in shares)))


def for_share(row: Row, limit: float) -> int | None:
    """Return how many trials would put the exact interval of the same share wholly on one side of the limit."""
    share = row.estimate
    return None if share is None else _first_size(row.n, limit, lambda size: _share(share, size))


def _share(share: float, size: int) -> mover.Bounds:
    found = share_ci(round(share * size), size)
    return mover.Bounds(found.value or 0.0, found.low or 0.0, 1.0 if found.high is None else found.high)


def _first_size(size: int, limit: float, interval: Callable[[int], mover.Bounds]) -> int | None:
    """Return the first size from `size` on whose interval lies wholly on one side of the limit; None above `MOST`."""
    size = max(size, 1)
    while size <= MOST:
        found = interval(size)
        if found.high <= limit or found.low > limit:
            return _round_up(size)
        size = math.ceil(size * 1.02) + 1
    return None


def for_limit(row: Row, trials: int, limit: float) -> int | None:
    """Return the trials that decide whether a row is above the limit, if its estimate is about right, or None."""
    metric = metric_of(row.metric)
    if row.estimate is None or row.low is None or row.high is None or (metric and metric.of == "memory"):
        return None
    if (row.statistic, row.unit) == ("share", "share"):
        return for_share(row, limit)
    half = row.high - row.estimate if limit >= row.estimate else row.estimate - row.low
    return for_width(trials or row.n, half, abs(limit - row.estimate))


def _round_up(number: float) -> int | None:
    """Round up to two digits: more would be a pretence."""
    if number > MOST:
        return None
    step = int(10 ** max(0, math.floor(math.log10(max(number, 1))) - 1))
    return int(math.ceil(number / step) * step)
