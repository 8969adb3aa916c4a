"""How often a verdict is wrong, over many endpoints that are known to be one or the other: seeded, so always the same.

The slow tests are the same with 2,000 endpoints each. Larger runs (10,000) found these rates, per endpoint: a noisy
first piece was called fake in 0.2 %; jitter was never called bursty; a buffer was never called streaming, on whatever
machine.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from random import Random

import pytest

from bench.doctor.diagnosis import Verdict
from bench.doctor.verdict.judge import judge
from bench.doctor.verdict.reading import Reading
from tests.support.delivered import Gaps, direct, endpoint, even, exponential, log_normal, paused, seeded, size_buffer

QUIET = 6.0
Case = Callable[[Random], tuple[list[Reading], float]]
"""An endpoint's answers, and the resolution at which they were read."""


def noisy_first(rng: Random) -> Callable[[], float]:
    """Log-normal; its standard deviation is 10 to 150 % of the median."""
    share, middle = rng.uniform(0.1, 1.5), 10 ** rng.uniform(1.3, 3.5)
    sigma = math.sqrt(math.log((1 + math.sqrt(1 + 4 * share * share)) / 2))
    return lambda: middle * rng.lognormvariate(0, sigma)


def heavy(rng: Random, gap: float) -> Gaps:
    """Log-normal with sigma up to 1.5, or exponential."""
    return exponential(rng, gap) if rng.random() < 0.5 else log_normal(rng, gap, rng.uniform(0, 1.5))


def busy(rng: Random) -> tuple[float, float]:
    """The resolution of a busy machine, and the share of the time in which its process stands still."""
    return 10 ** rng.uniform(1.48, 2.48), rng.choice([0.02, 0.1, 0.3])


def noisy(rng: Random) -> tuple[list[Reading], float]:
    """It streams answers of 0.1 to 10 s, but when it begins is anybody's guess."""
    gaps = even(rng, 10 ** rng.uniform(2, 4) / 255, 0.2)
    return endpoint(rng, gaps, direct, first=noisy_first(rng)), QUIET


def jittery(rng: Random) -> tuple[list[Reading], float]:
    """It streams, unevenly."""
    return endpoint(rng, heavy(rng, 10 ** rng.uniform(0.3, 2)), direct), QUIET


def buffered(rng: Random) -> tuple[list[Reading], float]:
    """2 to 16 KiB."""
    held = size_buffer(1024 * rng.choice([2, 4, 8, 16]), rng.randint(0, 3000))
    return endpoint(rng, even(rng, rng.uniform(2, 60), 0.2), held), QUIET


def busy_buffered(rng: Random) -> tuple[list[Reading], float]:
    """The same, read on a busy machine."""
    limit, often = busy(rng)
    held = size_buffer(1024 * rng.choice([2, 4, 8, 16]), rng.randint(0, 3000))
    return endpoint(rng, even(rng, rng.uniform(2, 60), 0.2), paused(rng, often, limit / 3, held)), limit


def busy_jittery(rng: Random) -> tuple[list[Reading], float]:
    """It streams, and the machine that reads it is busy."""
    limit, often = busy(rng)
    return endpoint(rng, heavy(rng, rng.uniform(2, 60)), paused(rng, often, limit / 3, direct)), limit


def fast(rng: Random) -> tuple[list[Reading], float]:
    """Its answers are over before anything can be told, and when they begin is anybody's guess."""
    first = noisy_first(rng)
    return endpoint(rng, even(rng, 10 ** rng.uniform(-3, -1.8), 0.2), direct, first=first), QUIET


def fast_on_a_busy_machine(rng: Random) -> tuple[list[Reading], float]:
    """A thousand tokens a second, which a busy machine cannot tell from answers that come at once."""
    return endpoint(rng, even(rng, 1.0, 0.2), direct, first=noisy_first(rng)), 300.0


CASES: dict[str, tuple[Case, set[Verdict], float]] = {
    "noisy": (noisy, {"fake", "blocked", "bursty"}, 0.005),
    "jittery": (jittery, {"bursty", "fake", "blocked"}, 0.005),
    "buffered": (buffered, {"streaming"}, 0),
    "busy, buffered": (busy_buffered, {"streaming"}, 0),
    "busy, jittery": (busy_jittery, {"bursty"}, 0),
    "fast": (fast, {"fake", "blocked", "bursty"}, 0.01),
    "fast, busy": (fast_on_a_busy_machine, {"fake", "blocked", "bursty"}, 0.01),
}
DECIDED = {
    "noisy": 0.93,
    "jittery": 0.95,
    "buffered": 1.0,
    "busy, buffered": 0.85,
    "busy, jittery": 0.85,
    "fast": 0.0,
    "fast, busy": 0.0,
}
"""Share that is called what it is: who says nothing is never wrong."""


def rates(case: Case, count: int) -> Counter[str]:
    """Verdicts of so many endpoints."""
    return Counter(judge(readings, None, limit).verdict for readings, limit in map(case, map(seeded, range(count))))


@pytest.mark.parametrize("count", [150, pytest.param(2000, marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", CASES)
def test_rates(name: str, count: int) -> None:
    """Wrong verdicts stay below the rate, and most endpoints are called what they are."""
    case, wrong, limit = CASES[name]
    found = rates(case, count)
    right = found["bursty" if name.endswith("buffered") else "streaming"]
    assert sum(found[verdict] for verdict in wrong) <= limit * count, found
    assert right >= DECIDED[name] * count, found
