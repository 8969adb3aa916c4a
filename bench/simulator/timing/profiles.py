"""The named timings and models of the simulator."""

from __future__ import annotations

import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace

from bench.core.errors import BenchError

DEFAULT_PROFILE = "quick"


@dataclass(frozen=True, kw_only=True)
class Profile:
    """How long an answer is and when its events leave, counted from the moment the request was fully received."""

    doc: str
    ttft_ms: float
    """When the first event with content leaves."""
    token_ms: float
    """Each later event leaves this long per token that it carries after the one before."""
    tokens: int
    """Length of a text, and the least that a structured answer is padded to."""
    tokens_per_event: tuple[int, int]
    """Least and most; drawn evenly."""
    jitter: float
    """Sigma of the log-normal factor (mean 1) on every waiting time."""


PROFILES: Mapping[str, Profile] = {
    "quick": Profile(
        doc="A fast small model; short runs",
        ttft_ms=120,
        token_ms=5,
        tokens=60,
        tokens_per_event=(1, 1),
        jitter=0.05,
    ),
    "typical": Profile(
        doc="A hosted chat model on a quiet day",
        ttft_ms=350,
        token_ms=15,
        tokens=200,
        tokens_per_event=(1, 2),
        jitter=0.10,
    ),
    "slow": Profile(
        doc="A large model, or one under load",
        ttft_ms=1200,
        token_ms=50,
        tokens=400,
        tokens_per_event=(1, 1),
        jitter=0.10,
    ),
    "flood": Profile(
        doc="No waiting at all: what client and path can take",
        ttft_ms=0,
        token_ms=0,
        tokens=1000,
        tokens_per_event=(1, 1),
        jitter=0,
    ),
}
MODELS: Mapping[str, float] = {"sim-1": 1.0, "sim-mini": 0.6}
"""The models, and the factor each puts on every waiting time."""
MOST_FACTOR = 1000.0


def find_profile(name: str) -> Profile:
    """Return the profile of that name, or raise an error of one line that names those there are.

    `quick:1.1` is `quick` with every wait 1.1 times as long.
    """
    base, colon, factor = name.partition(":")
    if base in PROFILES:
        return _slower(PROFILES[base], name, factor) if colon else PROFILES[base]
    near = difflib.get_close_matches(base, PROFILES, 1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    raise BenchError(f"unknown simulator profile {name!r}{hint}; use one of: {', '.join(PROFILES)}")


def _slower(profile: Profile, name: str, factor: str) -> Profile:
    try:
        times = float(factor)
    except ValueError:
        times = math.nan
    if not 0 < times <= MOST_FACTOR:
        raise BenchError(
            f"simulator profile {name!r}: {factor!r} is no factor above 0 and up to {MOST_FACTOR:g}; "
            "write quick:1.1 for waits 1.1 times as long"
        )
    return replace(profile, ttft_ms=profile.ttft_ms * times, token_ms=profile.token_ms * times)
