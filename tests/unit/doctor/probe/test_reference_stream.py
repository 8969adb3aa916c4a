"""This machine's own lateness, from beats whose distance is known."""

from __future__ import annotations

import math
from statistics import median

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.clients.decode.decode import CHAT_PATH
from bench.core.trial import Attempt
from bench.doctor.diagnosis import Floor
from bench.doctor.probe.reference_stream import BEAT_MS, ENOUGH, FIRST, ReferenceStream, floor_of, lateness
from tests.support.chat import content
from tests.support.scripted import chunk, frame, head

MS = 1_000_000
LATE = st.lists(st.integers(0, 400 * MS), max_size=60)


@given(LATE, st.integers(0, 10**15))
def test_lateness_is_what_was_added(late: list[int], start: int) -> None:
    """Of beats that came so late each, it is that, less the least of them: nobody knows when the first one was due."""
    beats = [start + place * BEAT_MS * MS + delay for place, delay in enumerate(late)]
    assert lateness(beats) == [(delay - min(late)) / MS for delay in late]


@given(st.lists(st.floats(0, 1e4), min_size=1, max_size=900))
def test_quantiles_are_those_of_the_beats(late: list[float]) -> None:
    """At most a tenth is later than the p90, which is one of the values; of few beats it is the latest."""
    found = floor_of(late)
    assert found.p90_ms is not None
    assert found.p50_ms is not None
    assert found.most_ms == max(late)
    assert (found.n, found.p50_ms) == (len(late), median(late))
    assert found.p50_ms <= found.p90_ms <= found.most_ms
    assert found.p90_ms in late
    if len(late) >= ENOUGH:
        assert sum(one > found.p90_ms for one in late) <= 0.1 * len(late)
    else:
        assert found.p90_ms == found.most_ms


@pytest.mark.parametrize(("count", "p90"), [(ENOUGH - 1, 5000.0), (ENOUGH, 1.0)])
def test_how_many_beats_a_p90_takes(count: int, p90: float) -> None:
    """From that number on one slow beat is not the p90 any more."""
    assert floor_of([1.0] * (count - 1) + [5000.0]).p90_ms == p90


def test_of_no_beat_nothing_is_known() -> None:
    """It is None, not 0."""
    assert floor_of([]) == Floor(n=0, p50_ms=None, p90_ms=None, most_ms=None)
    assert lateness([]) == []
    assert ReferenceStream().late_ms() == []


def test_beats_of_a_stream() -> None:
    """They are the reads that brought content, without those of the warm-up; each stream has its own beginning."""
    beats = FIRST + 5
    late = [0] * (FIRST + 2) + [7, 0, 3]
    frames = [chunk(frame(content("x"))) for _ in range(beats)]
    attempts = []
    for start in (0, 10**12 + 333):
        headers = {"content-type": "text/event-stream"}
        made = Attempt(0, 0, "", "POST", f"/v1{CHAT_PATH}", 0, asked_stream=True, t_start=start, headers=headers)
        made.reads = [(start, head(200, {**headers, "transfer-encoding": "chunked"}))]
        made.reads += [(start + (10 * place + late[place]) * MS, one) for place, one in enumerate(frames)]
        attempts.append(made)
    assert ReferenceStream(attempts).late_ms() == [0, 0, 7, 0, 3] * 2
    assert math.isclose(floor_of(ReferenceStream(attempts).late_ms()).most_ms or 0, 7)
