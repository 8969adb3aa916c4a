"""When events leave, and what the control field may change of it."""

from __future__ import annotations

import json
import random
import statistics
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.simulator.control import Control, profile_of, read_control
from bench.simulator.errors import ApiError
from bench.simulator.timing.pacing import schedule
from bench.simulator.timing.profiles import PROFILES, find_profile

MS = 1_000_000
STEADY = replace(PROFILES["quick"], jitter=0.0)


def times(tokens: int, profile: Any = STEADY, factor: float = 1.0, seed: int = 0) -> list[tuple[int, int]]:
    """The schedule with a fresh random source."""
    return list(schedule(tokens, profile, factor, random.Random(seed)))  # noqa: S311


def test_steady_schedule() -> None:
    """Without jitter the first event leaves at the TTFT and each later one a token's time after the one before."""
    assert times(4) == [(1, 120 * MS), (1, 125 * MS), (1, 130 * MS), (1, 135 * MS)]


def test_bigger_events() -> None:
    """An event of several tokens takes the time of all of them; the last carries what is left."""
    assert times(8, replace(STEADY, tokens_per_event=(3, 3))) == [(3, 120 * MS), (3, 135 * MS), (2, 145 * MS)]


def test_model_factor() -> None:
    """A faster model multiplies every waiting time."""
    assert times(2, factor=0.6) == [(1, 72 * MS), (1, 75 * MS)]


def test_profile_factor() -> None:
    """A factor behind the profile's name multiplies every waiting time, and nothing else."""
    slower = find_profile("quick:1.1")
    assert (slower.ttft_ms, slower.token_ms) == pytest.approx((132, 5.5))
    assert replace(slower, ttft_ms=120, token_ms=5) == PROFILES["quick"]
    assert profile_of(Control(profile="slow:0.5"), "quick").token_ms == 25


@pytest.mark.parametrize("name", ["quick:", "quick:0", "quick:-1", "quick:nan", "quick:inf", "quick:x", "fast:2"])
def test_profile_factor_that_is_none(name: str) -> None:
    """Something else behind the colon, or an unknown name in front of it, is an error that repeats it."""
    with pytest.raises(BenchError, match=name):
        find_profile(name)


@given(st.integers(1, 500), st.sampled_from(sorted(PROFILES)), st.integers(0, 99))
def test_every_schedule(tokens: int, name: str, seed: int) -> None:
    """Every schedule carries all tokens, never goes back in time, and is the same for the same seed."""
    made = times(tokens, PROFILES[name], seed=seed)
    assert sum(size for size, _ in made) == tokens
    assert [due for _, due in made] == sorted(due for _, due in made)
    assert made == times(tokens, PROFILES[name], seed=seed)


def test_jitter() -> None:
    """Jitter differs by seed, has the asked spread, and leaves the mean as it is."""
    profile = replace(STEADY, jitter=0.2)
    assert times(5, profile, seed=1) != times(5, profile, seed=2)
    due = [due for _, due in times(20_001, profile)]
    gaps = [(later - sooner) / MS for sooner, later in pairwise(due)]
    assert statistics.mean(gaps) == pytest.approx(5, rel=0.01)
    assert statistics.stdev(gaps) == pytest.approx(1.01, rel=0.05)


def test_control_overrides() -> None:
    """Each field of the control field overrides the profile, the rest stays."""
    control = Control(profile="slow", tokens=7, tokens_per_event=2, ttft_ms=0.5, token_ms=0, jitter=0, seed=3)
    assert profile_of(control, "quick") == replace(
        PROFILES["slow"], tokens=7, tokens_per_event=(2, 2), ttft_ms=0.5, token_ms=0, jitter=0
    )
    assert profile_of(Control(), "typical") == PROFILES["typical"]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "Invalid JSON"),
        ("[]", "valid dictionary|object"),
        ('{"token": 3}', "token: Extra inputs.*allowed: .*tokens, tokens_per_event"),
        ('{"tokens": 0}', "tokens: .*greater than or equal to 1"),
        ('{"tokens": "9"}', "tokens: .*valid integer"),
        ('{"jitter": NaN}', "jitter|Invalid JSON"),
        ('{"profile": "quik"}', "'quik' .did you mean 'quick'.*quick, typical, slow, flood"),
    ],
)
def test_bad_control(text: str, says: str) -> None:
    """A control field that is not understood is refused with its name and what is allowed."""
    with pytest.raises(ApiError, match=says) as caught:
        profile_of(read_control({"bench": text}), "quick")
    assert caught.value.status == 400
    assert caught.value.body["error"]["param"] == "metadata.bench"


def test_control_fits_in_metadata() -> None:
    """A control field with every field set fits into the 512 characters of a metadata value, and is documented."""
    full = Control(
        profile="typical", tokens=200_000, tokens_per_event=10_000, ttft_ms=1e5, token_ms=1e4, jitter=1.5, seed=2**63
    )
    assert len(full.model_dump_json()) <= 512
    assert read_control({"bench": full.model_dump_json()}) == full
    assert all(field.description for field in Control.model_fields.values())
    assert json.loads(full.model_dump_json()).keys() == Control.model_fields.keys()


def test_unknown_profile() -> None:
    """An unknown profile is one line with the nearest name and all there are."""
    with pytest.raises(BenchError, match=r"'floods' \(did you mean 'flood'\?\); use one of: quick, typical") as caught:
        find_profile("floods")
    assert "\n" not in str(caught.value)
