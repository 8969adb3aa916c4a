"""How many trials would decide what these could not. Pure."""

from __future__ import annotations

import math
import re

from bench.analysis.comparison.effects import metric_of, pairs_for
from bench.core.comparison import Change
from bench.core.row import Row
from bench.stats import mover
from bench.stats.intervals import share_ci

MOST = 10_000
"""Trials; more is no advice."""
ROOM = 1.43
"""By so much narrower than the room to the limit, (1.96 + 0.84) / 1.96: then four of five runs decide, not half."""
_TOO_FEW = re.compile(r"n=\d+ < (\d+)")


def fewest_samples(note: str) -> int | None:
    """The fewest samples that a number needs, out of the note that says why it is not printed."""
    found = _TOO_FEW.search(note)
    return int(found[1]) if found else None


def for_width(trials: int, half: float, wanted: float) -> int | None:
    """Trials that see what is `wanted` away in four of five runs, where the interval of `trials` is `half` to a side.

    It narrows with the root of their number.
    """
    if not (trials and 0 < half < math.inf and wanted > 0):
        return None
    return _round_up(trials * (ROOM * half / wanted) ** 2)


def for_change(change: Change, limit: float) -> int | None:
    """The same for a change of which the interval is wider than the limit, a fraction or points, to each side."""
    if change.current.statistic == change.current.unit == "share":
        return _for_share_change(change, limit)
    need = pairs_for(change, abs(limit) / ROOM)
    return None if need is None else _round_up(need)


def _for_share_change(change: Change, limit: float) -> int | None:
    """Trials of each side of which the same two shares would be decided: near 0 their intervals narrow faster."""
    shares = [row.estimate or 0.0 for row in (change.current, change.baseline)]
    size = max(change.n, 1)
    while size <= MOST:
        found = mover.difference(*(_share(share, size) for share in shares))
        if found.high <= limit or found.low > limit:
            return _round_up(size)
        size = math.ceil(size * 1.02) + 1
    return None


def _share(share: float, size: int) -> mover.Bounded:
    found = share_ci(round(share * size), size)
    return mover.Bounded(found.value or 0.0, found.low or 0.0, 1.0 if found.high is None else found.high)


def for_share(row: Row, limit: float) -> int | None:
    """Trials of which the same share would lie wholly on one side of the limit, by the exact interval."""
    if row.estimate is None:
        return None
    size = max(row.n, 1)
    while size <= MOST:
        found = share_ci(round(row.estimate * size), size)
        if (found.high or 0) <= limit or (found.low or 0) > limit:
            return _round_up(size)
        size = math.ceil(size * 1.02) + 1
    return None


def for_limit(row: Row, trials: int, limit: float) -> int | None:
    """Trials that decide whether a row is above the limit, if its estimate is about right; None: nobody could say."""
    metric = metric_of(row.metric)
    if row.estimate is None or row.low is None or row.high is None or (metric and metric.of == "memory"):
        return None
    if (row.statistic, row.unit) == ("share", "share"):
        return for_share(row, limit)
    half = row.high - row.estimate if limit >= row.estimate else row.estimate - row.low
    return for_width(trials or row.n, half, abs(limit - row.estimate))


def _round_up(number: float) -> int | None:
    """Up to two digits: more would be a pretence."""
    if number > MOST:
        return None
    step = int(10 ** max(0, math.floor(math.log10(max(number, 1))) - 1))
    return int(math.ceil(number / step) * step)
