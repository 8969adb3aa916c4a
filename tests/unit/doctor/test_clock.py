"""The offset of two clocks: what it is estimated as, and that the true one is never further away than it says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.doctor.clock import ONE_CLOCK, ClockReading, Offset, combine_offsets, estimate_offset

WAYS = st.tuples(st.integers(0, 10_000_000), st.integers(0, 10_000_000))
"""How long a question and its answer are on their way, ns."""
OFFSETS = st.integers(-(10**15), 10**15)


def asked_at(start: int, there: int, back: int, offset: int) -> ClockReading:
    """A question that is answered at once by a clock that is so far ahead."""
    return ClockReading(start, start + there + offset, start + there + back)


@given(OFFSETS, st.lists(WAYS, min_size=1, max_size=20))
def test_the_error_bounds_the_offset(offset: int, ways: list[tuple[int, int]]) -> None:
    """However unequal the two ways are, the true offset is within the error, which is half of the shortest trip."""
    found = estimate_offset([asked_at(1000 * n, *way, offset) for n, way in enumerate(ways)], same_boot=False)
    assert abs(found.ns - offset) <= found.error_ns
    assert found.error_ns == (min(map(sum, ways)) + 1) // 2
    assert not found.same_machine


def test_the_shortest_trip_counts() -> None:
    """A slow exchange, whose middle is far off, does not pull the estimate: it is that of the quickest."""
    slow, quick = asked_at(0, 900, 100, offset=5000), asked_at(2000, 10, 10, offset=5000)
    assert estimate_offset([slow, quick], same_boot=False) == Offset(5000, 10, same_machine=False)


@pytest.mark.parametrize(
    ("offset", "same_boot", "one"),
    [(0, True, True), (0, False, False), (5000, True, False), (-5000, True, False)],
    ids=["one machine", "another boot", "ahead", "behind"],
)
def test_one_machine(*, offset: int, same_boot: bool, one: bool) -> None:
    """It is one clock, with no error, if the boot is the same and no reading lies outside its two; else it is not."""
    found = estimate_offset([asked_at(100 * n, 20, 30, offset) for n in range(5)], same_boot=same_boot)
    assert (found == ONE_CLOCK) is one


@given(OFFSETS, st.integers(-(10**9), 10**9), WAYS, WAYS, st.floats(0, 1))
def test_in_between(start: int, drift: int, before: tuple[int, int], after: tuple[int, int], share: float) -> None:
    """At every moment between the two estimates the offset of clocks that drift steadily is within the joined error."""
    first, last = (
        estimate_offset([asked_at(0, *ways, offset)], same_boot=False)
        for ways, offset in ((before, start), (after, start + drift))
    )
    found = combine_offsets(first, last)
    assert abs(start + int(share * drift) - found.ns) <= found.error_ns


def test_joined_in_figures() -> None:
    """With equal errors it is that error and half of the change; on one machine it stays none."""
    assert combine_offsets(Offset(100, 10, same_machine=False), Offset(140, 10, same_machine=False)) == Offset(
        120, 30, same_machine=False
    )
    assert combine_offsets(ONE_CLOCK, ONE_CLOCK) == ONE_CLOCK
    assert combine_offsets(ONE_CLOCK, Offset(40, 10, same_machine=False)) == Offset(25, 25, same_machine=False)
