"""Every estimator on data of known truth: how often its interval holds the truth, and how wide it is.

Used by `tests/unit/stats/test_coverage.py` and `tools/measure/coverage.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, optimize, signal, stats

from bench.stats import mover
from bench.stats.bootstrap import cluster_bootstrap
from bench.stats.intervals import (
    Estimate,
    clustered_quantile,
    hodges_lehmann,
    log_ratio,
    minimum_n,
    quantile_ci,
    share_ci,
    theil_sen,
)
from bench.stats.mover import Bounds
from bench.stats.serial_correlation import shift_in_time
from bench.stats.two_sample_shift import two_sample_shift

Floats = NDArray[np.float64]
Rng = np.random.Generator
NOMINAL = 0.95


@dataclass(frozen=True)
class Case:
    """One estimator on one kind of data."""

    estimator: str
    distribution: str
    n: int
    truth: float
    once: Callable[[Rng], Estimate]
    """Draw data and estimate."""
    promise: float = NOMINAL
    """The coverage that its docstring states."""

    def __str__(self) -> str:
        return f"{self.estimator}, {self.distribution}, n={self.n}"


@dataclass(frozen=True)
class Measured:
    """What came of many draws."""

    coverage: float
    width: float
    """Median width of the interval / width of the range that holds 95 % of the estimates; 1 is ideal."""


def measure(case: Case, tries: int) -> Measured:
    """Estimate so many times; the same case gives the same answer."""
    rng = np.random.default_rng(crc32(str(case).encode()))
    found = np.array([(e.value, e.low, e.high) for e in (case.once(rng) for _ in range(tries))], float)
    value, low, high = found.T
    slack = 1e-9 * abs(case.truth) if np.isfinite(case.truth) else 0.0
    covered = (low <= case.truth + slack) & (case.truth - slack <= high)
    finite = bool(np.isfinite(value).all() and np.isfinite(np.median(high)))
    spread = float(np.subtract(*np.quantile(value, [0.975, 0.025]))) if finite else 0.0
    return Measured(float(covered.mean()), float(np.median(high - low)) / spread if spread > 0 else float("nan"))


@dataclass(frozen=True)
class Shape:
    """A distribution of single values."""

    draw: Callable[[Rng, int], Floats]
    quantile: Callable[[float], float]


def _outliers(rng: Rng, size: int) -> Floats:
    return rng.normal(size=size) * np.where(rng.random(size) < 0.03, 10, 1)


@cache
def _outliers_quantile(q: float) -> float:
    def excess(x: float) -> float:
        return float(0.97 * stats.norm.cdf(x) + 0.03 * stats.norm.cdf(x / 10)) - q

    return float(optimize.brentq(excess, -100, 100))


def _failing(rng: Rng, size: int) -> Floats:
    return np.where(rng.random(size) < 0.08, np.inf, rng.lognormal(size=size))


SHAPES = {
    "normal": Shape(lambda g, n: g.normal(size=n), lambda q: float(stats.norm.ppf(q))),
    "lognormal": Shape(lambda g, n: g.lognormal(size=n), lambda q: float(stats.lognorm.ppf(q, 1))),
    "Student t2": Shape(lambda g, n: g.standard_t(2, n), lambda q: float(stats.t.ppf(q, 2))),
    "3 % outliers x10": Shape(_outliers, _outliers_quantile),
    "ties": Shape(
        lambda g, n: np.floor(7.3 * g.lognormal(size=n)), lambda q: float(np.ceil(7.3 * stats.lognorm.ppf(q, 1)) - 1)
    ),
}
FAILING = Shape(_failing, lambda q: float(stats.lognorm.ppf(q / 0.92, 1)) if q < 0.92 else float("inf"))
"""Log-normal, and 8 % fail."""
SYMMETRIC: dict[str, Callable[[Rng, int], Floats]] = {
    **{name: SHAPES[name].draw for name in ("normal", "Student t2", "3 % outliers x10")},
    "lognormal - lognormal": lambda g, n: g.lognormal(size=n) - g.lognormal(size=n),
    "ties": lambda g, n: np.round(2 * g.normal(size=n)),
}


def quantile_cases(sizes: tuple[int, ...]) -> Iterator[Case]:
    """`quantile_ci`: at the fewest samples, and at `sizes` where they are enough."""
    for name, shape in {**SHAPES, "lognormal, 8 % failed": FAILING}.items():
        for q in (0.5, 0.9, 0.95, 0.99):
            least = minimum_n(q)
            for n in (least, *(size for size in sizes if size > least)):
                yield Case(
                    f"quantile_ci p{100 * q:g}",
                    name,
                    n,
                    shape.quantile(q),
                    lambda g, draw=shape.draw, n=n, q=q: quantile_ci(draw(g, n), q),  # type: ignore[misc]
                )


def shift_cases(sizes: tuple[int, ...]) -> Iterator[Case]:
    """`hodges_lehmann` and `log_ratio` on symmetric differences, and on skewed ones."""
    for name, draw in SYMMETRIC.items():
        for n in sizes:
            yield Case("hodges_lehmann", name, n, 5, lambda g, draw=draw, n=n: hodges_lehmann(5 + draw(g, n)))  # type: ignore[misc]
            yield Case("log_ratio", name, n, 0.1, lambda g, draw=draw, n=n: log_ratio(*_factor(g, draw(g, n))))  # type: ignore[misc]
    for n in sizes:
        yield Case(
            "hodges_lehmann",
            "lognormal (skewed)",
            n,
            _pseudo_median(),
            lambda g, n=n: hodges_lehmann(g.lognormal(size=n)),  # type: ignore[misc]
            promise=0.94,
        )


def _factor(rng: Rng, noise: Floats) -> tuple[Floats, Floats]:
    """Pairs of latencies, the first 10 % longer, with noise of 5 %."""
    b = 100 * rng.lognormal(size=noise.size)
    return b * 1.1 * np.exp(0.05 * noise), b


@cache
def _pseudo_median() -> float:
    """Of the log-normal distribution: the median of the mean of two."""

    def excess(mean: float) -> float:
        below = integrate.quad(lambda x: stats.lognorm.cdf(2 * mean - x, 1) * stats.lognorm.pdf(x, 1), 0, 2 * mean)
        return float(below[0]) - 0.5

    return float(optimize.brentq(excess, 0.5, 5))


def two_sample_cases(sizes: tuple[tuple[int, int], ...]) -> Iterator[Case]:
    """`two_sample_shift`: equal distributions, 3 apart; n is that of the first."""
    for name, shape in SHAPES.items():
        for n, m in sizes:
            yield Case(
                f"two_sample_shift, m={m}",
                name,
                n,
                3,
                lambda g, draw=shape.draw, n=n, m=m: two_sample_shift(3 + draw(g, n), draw(g, m)),  # type: ignore[misc]
            )


def share_cases(sizes: tuple[int, ...]) -> Iterator[Case]:
    """`share_ci`: rare, frequent and even."""
    for p in (0.02, 0.1, 0.5):
        for n in sizes:
            yield Case(
                "share_ci",
                f"share {100 * p:g} %",
                n,
                p,
                lambda g, n=n, p=p: share_ci(int(g.binomial(n, p)), n),  # type: ignore[misc]
            )


LENGTHS = np.array([250, 500, 1000, 2000, 4000, 8000.0])


def slope_cases(repetitions: tuple[int, ...]) -> Iterator[Case]:
    """`theil_sen` over the six lengths of the memory pass, each measured so many times."""
    for name, shape in SHAPES.items():
        for times in repetitions:
            x = np.tile(LENGTHS, times)
            yield Case(
                "theil_sen",
                name,
                x.size,
                5,
                lambda g, draw=shape.draw, x=x: theil_sen(x, 5 * x + 1e4 + 3000 * draw(g, x.size))[0],  # type: ignore[misc]
            )


def clustered_cases(sizes: tuple[tuple[float, int], ...]) -> Iterator[Case]:
    """`clustered_quantile`: 40 gaps a trial, or 1 to 79; half of the variance is between the trials."""
    for name in ("lognormal, alike", "lognormal, 1 to 79 gaps", "ties, alike"):
        shape = SHAPES[name.split(",")[0]]
        for q, n in sizes:
            yield Case(
                f"clustered_quantile p{100 * q:g}",
                name,
                n,
                shape.quantile(q),
                lambda g, n=n, q=q, name=name: clustered_quantile(*_gaps(g, n, name), q),  # type: ignore[misc]
                promise=0.93,
            )


def _gaps(rng: Rng, trials: int, kind: str) -> tuple[Floats, NDArray[np.int64]]:
    counts = rng.integers(1, 80, trials) if "79" in kind else np.full(trials, 40)
    owner = np.repeat(np.arange(trials), counts)
    x = np.exp(np.sqrt(0.5) * (rng.normal(size=trials)[owner] + rng.normal(size=owner.size)))
    return (np.floor(7.3 * x) if kind.startswith("ties") else x), owner


def bootstrap_cases(sizes: tuple[int, ...]) -> Iterator[Case]:
    """`cluster_bootstrap`: means of each distribution, and CPU per event."""
    means = {"normal": 0.0, "lognormal": float(np.exp(0.5)), "Student t2": 0.0, "3 % outliers x10": 0.0}
    for n in sizes:
        for name, mean in means.items():
            yield Case(
                "cluster_bootstrap, mean",
                name,
                n,
                mean,
                lambda g, draw=SHAPES[name].draw, n=n: cluster_bootstrap(draw(g, n)),  # type: ignore[misc]
                promise=(0.88 if n < 100 else 0.92) if name == "lognormal" else 0.93,
            )
        yield Case(
            "cluster_bootstrap, ratio of sums",
            "noise of 10 %",
            n,
            0.1 * float(np.exp(0.005)),
            lambda g, n=n: cluster_bootstrap(*_cpu(g, n)),  # type: ignore[misc]
            promise=0.93,
        )


def _cpu(rng: Rng, trials: int) -> tuple[Floats, Floats]:
    events = rng.integers(20, 100, trials).astype(float)
    return 0.1 * events * np.exp(rng.normal(0, 0.1, trials)), events


def serial_cases(sizes: tuple[int, ...], correlations: tuple[float, ...] = (0.0, 0.3, 0.5, 0.6)) -> Iterator[Case]:
    """`widened` differences that follow each other like a first-order autoregression."""
    for name, draw in (("normal", SHAPES["normal"].draw), ("Student t3", lambda g, n: g.standard_t(3, n))):
        for r in correlations:
            for n in sizes:
                yield Case(
                    "widened",
                    f"{name}, r={r:g}",
                    n,
                    0,
                    lambda g, draw=draw, n=n, r=r: shift_in_time(_series(draw(g, n + 50), r)),  # type: ignore[misc]
                    promise=NOMINAL if r == 0 else 0.88 if n < 60 else 0.90 if n < 100 else 0.93,
                )


def _series(noise: Floats, r: float) -> Floats:
    """Each value is r times the one before, plus noise; the first 50 are run-in."""
    made: Floats = signal.lfilter([1], [1, -r], noise)[50:]
    return made


def mover_cases(sizes: tuple[tuple[float, int], ...], shares: tuple[int, ...]) -> Iterator[Case]:
    """`mover`: the ratio of two quantiles, the second sample 10 % longer; the difference of two shares."""
    for name, shape in (("spread of 5 %", 0.05), ("lognormal", 1.0)):
        for q, n in sizes:
            yield Case(
                f"mover, ratio of p{100 * q:g}",
                name,
                n,
                0.1,
                lambda g, n=n, q=q, s=shape: _quantile_ratio(g, n, q, s),  # type: ignore[misc]
            )
    for p, other in ((0.1, 0.1), (0.1, 0.3), (0.02, 0.1)):
        for n in shares:
            yield Case(
                "mover, difference of shares",
                f"{100 * p:g} and {100 * other:g} %",
                n,
                other - p,
                lambda g, n=n, p=p, other=other: Estimate(  # type: ignore[misc]
                    *mover.difference(_bounded(_share(g, n, other)), _bounded(_share(g, n, p)))
                ),
            )


def _quantile_ratio(rng: Rng, n: int, q: float, sigma: float) -> Estimate:
    baseline, current = (quantile_ci(f * rng.lognormal(sigma=sigma, size=n), q) for f in (1.0, 1.1))
    return Estimate(*mover.ratio(_bounded(current), _bounded(baseline)))


def _share(rng: Rng, n: int, p: float) -> Estimate:
    return share_ci(int(rng.binomial(n, p)), n)


def _bounded(e: Estimate) -> Bounds:
    return Bounds(*(float("nan") if x is None else x for x in (e.value, e.low, e.high)))


def few_cases() -> Iterator[Case]:
    """Every estimator at its smallest n and at one more: seconds."""
    yield from quantile_cases((100,))
    yield from shift_cases((6, 36))
    yield from two_sample_cases(((4, 4), (36, 12)))
    yield from share_cases((36,))
    yield from slope_cases((1, 3))
    yield from clustered_cases(((0.5, 20), (0.9, 36)))
    yield from bootstrap_cases((20, 100))
    yield from serial_cases((36, 100), (0.0, 0.5))
    yield from mover_cases(((0.5, 36), (0.9, 100)), (36,))


def all_cases() -> Iterator[Case]:
    """The grid of docs/statistics.md: minutes."""
    yield from quantile_cases((10, 36, 100, 400))
    yield from shift_cases((6, 10, 36, 100))
    yield from (case for case in shift_cases((400,)) if case.estimator == "hodges_lehmann")
    yield from two_sample_cases(((4, 4), (10, 10), (36, 12), (36, 36), (100, 100)))
    yield from share_cases((10, 36, 100, 400))
    yield from slope_cases((1, 3, 6, 16))
    yield from clustered_cases(((0.5, 20), (0.5, 100), (0.9, 36), (0.9, 100), (0.95, 72), (0.95, 100), (0.99, 368)))
    yield from bootstrap_cases((20, 36, 100, 400))
    yield from serial_cases((36, 60, 100, 200))
    yield from mover_cases(
        ((0.5, 10), (0.5, 36), (0.5, 100), (0.9, 36), (0.9, 100), (0.95, 100), (0.99, 400)), (36, 100, 400)
    )


def enough(case: Case, tries: int) -> int:
    """So many tries, and a fifth where one takes milliseconds."""
    slow = case.n > 300 and not case.estimator.startswith(("quantile_ci", "share_ci", "cluster_bootstrap"))
    return tries // 5 if slow else tries
