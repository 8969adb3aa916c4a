"""Lumps: none in an even stream, those of the buffer behind a buffer, and arithmetic that holds for any stream."""

from __future__ import annotations

import math
from itertools import pairwise

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from bench.doctor.requests import Question
from bench.doctor.verdict.bursts import (
    LUMP,
    TOGETHER,
    Burst,
    burst_shape,
    bursts,
    lump_pattern,
    variation,
    weighted_median,
)
from bench.doctor.verdict.reading import Read, Reading
from tests.support.delivered import (
    Deliver,
    answer,
    direct,
    even,
    exponential,
    in_steps,
    pieces,
    seeded,
    size_buffer,
    timer,
)

LONG = Question("chat", "text", 256, 0)
SEEDS = st.integers(0, 10**6)
READS = st.lists(
    st.builds(Read, st.floats(0, 1e4), st.integers(1, 9000), st.integers(0, 30), inside=st.booleans()),
    min_size=1,
    max_size=40,
)


def delivered(seed: int, gap: float, deliver: Deliver, count: int = 256) -> Reading:
    """An even stream, delivered."""
    rng = seeded(seed)
    return answer(LONG, deliver(pieces(rng, count, 50, even(rng, gap, 0.1))))


@given(SEEDS, st.integers(8, 200), st.floats(1, 100), st.floats(0, 0.25))
def test_an_even_stream_has_no_lumps(seed: int, count: int, gap: float, part: float) -> None:
    """With jitter below a quarter of the gap every delta is a burst of its own."""
    rng = seeded(seed)
    times = [gap * (place + part * rng.uniform(-1, 1)) for place in range(count)]
    found = burst_shape(bursts(answer(LONG, [Read(time, 200, 1, inside=False) for time in times])))
    assert (found.bursts, found.typical, found.held, found.paused, found.pause_ms) == (count, 1, 0, 0, 0)


@pytest.mark.parametrize("tokens", [2, 3])
def test_steps_of_a_few_tokens_are_no_lumps(tokens: int) -> None:
    """Speculative decoding gives bursts of its step, none of which is a lump."""
    rng = seeded(1)
    found = burst_shape(bursts(answer(LONG, direct(pieces(rng, 240, 50, in_steps(20.0, tokens))))))
    assert (found.typical, found.held, found.bursts) == (tokens, 0, 240 // tokens)


@given(SEEDS, st.sampled_from([2048, 4096, 8192]), st.floats(2, 60))
def test_lumps_of_a_size_buffer(seed: int, capacity: int, gap: float) -> None:
    """They have its size in bytes and its number of events, end inside events, and their nature is size."""
    reading = delivered(seed, gap, size_buffer(capacity))
    found = lump_pattern([bursts(reading)])
    assert found
    assert found.bytes == capacity
    assert capacity / 250 - 1 <= found.deltas[0] <= found.deltas[1] <= capacity / 150 + 1
    assert found.period_ms == pytest.approx(gap * capacity / 200, rel=0.1)
    assert (found.nature, found.even_bytes) == ("size", 0)
    assert burst_shape(bursts(reading)).held > 0.9


@given(SEEDS, st.floats(8, 60), st.floats(2, 60))
def test_lumps_of_a_timer(seed: int, events: float, gap: float) -> None:
    """They have its period, end between events, and their nature is time, if the stream is uneven as streams are."""
    period, rng = events * gap, seeded(seed)
    made = pieces(rng, int(20 * events), 50, exponential(rng, gap))
    reading = answer(LONG, timer(period, 7)(made))
    found = lump_pattern([bursts(reading)])
    assert found
    assert found.period_ms == pytest.approx(period)
    assert (found.nature, found.inside) == ("time", 0)
    assert found.even_period == pytest.approx(0, abs=1e-9)


def test_what_ends_a_lump_is_not_guessed() -> None:
    """Lumps of many sizes at many distances have no nature, nor has a single one; without a middle there is none."""
    rng = seeded(3)
    times = [0.0]
    for _ in range(60):
        times.append(times[-1] + rng.uniform(20, 200))
    uneven = [Burst(time, time, rng.randint(5, 60), rng.randint(900, 9000), inside=False) for time in times]
    lumpy = lump_pattern([uneven])
    single = lump_pattern([uneven[:3]])
    assert lumpy
    assert single
    assert (lumpy.nature, single.nature, single.lumps) == ("unknown", "unknown", 1)
    assert lump_pattern([uneven[:2], []]) is None


@pytest.mark.parametrize(
    ("inside", "sizes", "times", "nature"),
    [
        ([True], [4000], [100, 300], "size"),
        ([True], [900, 9000, 3000], [100, 300], "unknown"),
        ([False], [4000], [100, 300], "size"),
        ([False], [900, 9000, 3000], [100], "time"),
        ([True, False, False], [900, 9000, 3000], [100], "unknown"),
        ([False], [4000], [100], "unknown"),
    ],
)
def test_the_nature_of_lumps(inside: list[bool], sizes: list[int], times: list[int], nature: str) -> None:
    """One size is a buffer, one period a timer unless lumps are cut; both even, or both uneven, tell nothing."""
    ms, found = 0, []
    for place in range(40):
        ms += times[place % len(times)]
        found.append(Burst(ms, ms, 20, sizes[place % len(sizes)], inside[place % len(inside)]))
    seen = lump_pattern([found])
    assert seen
    assert seen.nature == nature


def test_a_pattern_of_several_answers() -> None:
    """The inner lumps of all of them count, each answer's first and last do not, nor what is no lump."""
    lump = [Burst(100.0 * place, 100.0 * place, 10, 2000, inside=True) for place in range(4)]
    single = Burst(400, 400, 1, 200, inside=False)
    found = lump_pattern([lump, [*lump[:3], single, single._replace(ms=500, end_ms=500)]])
    assert found
    assert (found.lumps, found.deltas, found.period_ms, found.bytes, found.inside) == (4, (10, 10), 100, 2000, 1)


@given(READS)
def test_no_delta_is_lost(reads: list[Read]) -> None:
    """The deltas of the bursts are those of the reads, however they fall; bursts are in order and apart."""
    ordered = sorted(reads)
    assume(any(one.deltas for one in ordered))
    reading = answer(LONG, ordered)
    found = bursts(reading)
    assert sum(one.deltas for one in found) == reading.deltas == sum(one.deltas for one in ordered)
    gap = reading.window_ms / max(1, reading.deltas - 1)
    assert all(later.ms - earlier.end_ms > TOGETHER * gap for earlier, later in pairwise(found))
    assert all(one.deltas for one in found)


@given(READS)
def test_shares_are_shares(reads: list[Read]) -> None:
    """Of any stream: shares lie between 0 and 1, the largest burst is no smaller than the typical one."""
    ordered = sorted(reads)
    assume(any(one.deltas for one in ordered))
    found = bursts(answer(LONG, ordered))
    seen = burst_shape(found)
    assert 0 <= seen.held <= 1
    assert 0 <= seen.paused <= 1 + 1e-9
    assert 1 <= seen.typical <= seen.largest * sum(one.deltas for one in found) + 1e-9
    assert (seen.held > 0) is any(one.deltas >= LUMP for one in found)


def test_a_read_without_deltas_joins_what_it_begins() -> None:
    """Half an event just before its rest counts to that burst's bytes; standing alone it is no burst."""
    reads = [Read(0, 100, 1, False), Read(100, 50, 0, True), Read(101, 50, 1, False), Read(150, 9, 0, True)]
    found = bursts(answer(LONG, [*reads, Read(200, 91, 1, False)]))
    assert [(one.ms, one.end_ms, one.deltas, one.bytes) for one in found] == [
        (0, 0, 1, 100),
        (100, 101, 1, 100),
        (200, 200, 1, 91),
    ]


def test_a_known_shape() -> None:
    """Two lumps of 8 and 4 after a single one: the typical delta is in the larger, most of the time waits."""
    found = burst_shape([Burst(0, 0, 1, 9, False), Burst(60, 100, 8, 9, True), Burst(115, 120, 4, 9, False)])
    assert (found.bursts, found.typical, found.largest, found.held) == (3, 8, 8 / 13, 12 / 13)
    assert (found.paused, found.pause_ms) == ((60 + 15) / 120, 60)


WEIGHTED = st.lists(st.tuples(st.floats(-1e6, 1e6), st.integers(1, 9)), min_size=1, max_size=30)


@given(WEIGHTED)
def test_the_weighted_median_is_that_of_the_units(values: list[tuple[float, int]]) -> None:
    """It is the lower median of the list in which each value stands as often as it weighs."""
    units = sorted(value for value, weight in values for _ in range(weight))
    assert weighted_median(values) == units[(len(units) - 1) // 2]


def test_no_values_have_no_median() -> None:
    """It says so."""
    with pytest.raises(ValueError, match="no values"):
        weighted_median([])


@given(st.lists(st.floats(1, 1000), min_size=2, max_size=40), st.floats(0.1, 100))
def test_variation_has_no_unit(values: list[float], scale: float) -> None:
    """In another unit it is the same, and it is 0 for equal values."""
    assert variation([scale * value for value in values]) == pytest.approx(variation(values), rel=1e-6, abs=1e-9)
    assert variation([values[0]] * len(values)) == pytest.approx(0, abs=1e-12)


def test_variation_forgives_a_tenth() -> None:
    """One in ten may be far off; two may not. Of a single value nothing is known, nor where the mean is 0."""
    steady = [100.0, 101, 99, 100, 102, 98, 100, 101, 99]
    assert variation([*steady, 900]) < 0.02
    assert variation([*steady[:8], 900, 900]) > 0.5
    assert math.isinf(variation([5.0]))
    assert math.isinf(variation([-1.0, 1.0]))
