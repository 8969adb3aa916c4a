"""The looks at the width of the intervals, and what they do to the coverage."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from bench.plan.settings import FIRST_LOOK
from bench.run.stopping.precision import CellWidth, TrialTimes, next_look
from bench.stats.serial_correlation import shift_in_time
from tests.support.stopping import LOOKS


def test_looks() -> None:
    """The first at 30 pairs, each further one at 1.4 times as many."""
    looks = [FIRST_LOOK]
    while len(looks) < len(LOOKS):
        looks.append(next_look(looks[-1]))
    assert tuple(looks) == LOOKS


def stopped_at(noise: np.ndarray[Any, Any], effect: float) -> int:
    """Pairs at which the rule ends a cell whose streamed totals differ by `effect`, with this noise on the log."""
    cell = CellWidth(simulated=True, deliveries=2)
    for number, (first, whole) in enumerate(noise):
        useful, total = int(1e9 * math.exp(first + effect)), int(2e9 * math.exp(whole + effect))
        streamed = TrialTimes(number, "streamed", ok=True, useful=useful, total=total, result="x", tokens=1)
        blocking = TrialTimes(number, "blocking", ok=True, useful=2 * 10**9, total=2 * 10**9, result="x", tokens=1)
        cell.add(number, streamed)
        cell.add(number, blocking)
        cell.look(0.05)
        if cell.met:
            break
    return len(cell.pairs)


def heavy_tailed(rng: np.random.Generator, pairs: int = LOOKS[-1]) -> np.ndarray[Any, Any]:
    """Student's t with 3 degrees of freedom, 12 %: looks of all sizes end such cells."""
    return 0.12 * rng.standard_t(3, (pairs, 2))


def test_a_strong_effect_does_not_end_a_cell_earlier() -> None:
    """The width of the interval decides, not where it lies: with the same noise, the same number of pairs."""
    rng = np.random.default_rng(5)
    noises = [heavy_tailed(rng) for _ in range(25)]
    none = [stopped_at(noise, 0.0) for noise in noises]
    assert none == [stopped_at(noise, 0.7) for noise in noises]
    assert len(set(none)) > 2


def test_looking_at_the_width_keeps_the_coverage() -> None:
    """Over 500 runs that end by the rule, the interval of the total holds the truth in at least 93 %."""
    rng, held, ends = np.random.default_rng(17), 0, set[int]()
    for _ in range(500):
        noise = heavy_tailed(rng)
        pairs = stopped_at(noise, 0.1)
        found = shift_in_time(noise[:pairs, 1] + 0.1)
        assert found.low is not None
        assert found.high is not None
        held += found.low <= 0.1 <= found.high
        ends.add(pairs)
    assert held / 500 >= 0.93
    assert len(ends) >= 3


def test_looking_at_significance_would_not() -> None:
    """Why not: looked at every 10 pairs from 30 to 400, no difference looks like one in more than 20 % of runs."""
    d = np.random.default_rng(3).standard_normal((2000, 400))
    n = np.arange(1, 401)
    t = np.cumsum(d, axis=1) / np.sqrt(n)
    assert np.mean((np.abs(t[:, 29::10]) > 1.96).any(axis=1)) > 0.2
