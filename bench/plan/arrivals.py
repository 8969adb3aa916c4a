"""Decide when an open loop begins its requests: before the segment, the same for the same seed.

Arrivals of rate 1 (a Poisson process: independent exponential gaps of mean 1; constant: 0, 1, 2, …) are carried over
to the wanted rate by a change of time: what comes at u there comes at t here, with Λ(t) = u, where Λ is the rate summed
up to t. A ramp of length R grows linearly from 0 to the rate λ:

    Λ(t) = λt²/2R for t < R, then λ(t - R/2);  so  t = √(2Ru/λ) for u < λR/2, then u/λ + R/2

The change of time keeps a Poisson process one (of the varying rate), and without a ramp it is t = u/λ.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count as integers
from itertools import islice
from random import Random
from typing import Literal

from bench.core.text.option_text import OptionPart, parts

Arrivals = Literal["poisson", "constant"]
LEAST, MOST = 1e-3, 1e6
"""Requests per second that can be asked for."""


def offsets(
    rate: float,
    kind: Arrivals,
    seed: int,
    *,
    count: int | None,
    ramp_s: float = 0,
) -> Iterator[int]:
    """Yield the ns from the segment's start at which each request is intended, never falling.

    `rate` is in requests per second. The times end after `count` requests; None: never.
    """
    units = _poisson(Random(seed)) if kind == "poisson" else map(float, integers())  # noqa: S311  (no secret)
    return (round(_time(unit, rate, ramp_s) * 1e9) for unit in islice(units, count))


def _poisson(rng: Random) -> Iterator[float]:
    """Yield the arrivals of a Poisson process of rate 1."""
    place = 0.0
    while True:
        place -= math.log(1.0 - rng.random())
        yield place


def _time(unit: float, rate: float, ramp_s: float) -> float:
    """Return the seconds at which the arrival at `unit` of rate 1 comes: the inverse of Λ above."""
    if unit < rate * ramp_s / 2:
        return math.sqrt(2 * ramp_s * unit / rate)
    return unit / rate + ramp_s / 2


def parse_rates(text: str) -> tuple[float, ...]:
    """Parse `5,10,20` into requests per second, in their order. BenchError with the column of the wrong one."""
    rates: list[float] = []
    for part in parts(text, ","):
        rate = _rate(part)
        if rate in rates:
            raise part.wrong(f"the rate {part.text} is given twice; keep one")
        rates.append(rate)
    return tuple(rates)


def _rate(part: OptionPart) -> float:
    rate = part.number()
    if rate is None or not LEAST <= rate <= MOST:
        raise part.wrong(
            f"{part.text!r} is no rate; write requests per second from {LEAST:g} to {MOST:.0f} with commas between "
            "them, for instance 5,10,20"
        )
    return rate
