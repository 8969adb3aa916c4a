"""Compare two hops that were asked the same in turns, and say which of them delays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from bench.analysis.wording import milliseconds
from bench.doctor.diagnosis import ABSENT, HEALTHY, UNDECIDED, Difference, Finding, Shift
from bench.doctor.verdict.reading import Reading
from bench.stats.intervals import hodges_lehmann


def difference(base: Finding, other: Finding, readings: Sequence[Reading], hops: tuple[int, int]) -> Difference:
    """Compare the other hop with the first one, in one API and mode; `hops`: their numbers."""
    mine = [one for one in readings if (one.question.api, one.question.mode) == (base.api, base.mode)]
    first = _shift(mine, hops, lambda one: one.first_ms)
    whole = _shift(mine, hops, lambda one: one.end_ms)
    return Difference(
        baseline=base.hop,
        hop=other.hop,
        api=base.api,
        mode=base.mode,
        sentence=sentence(base, other, first),
        first=first,
        whole=whole,
    )


def sentence(base: Finding, other: Finding, first: Shift) -> str:
    """Say whose doing it is."""
    if ABSENT in {base.verdict, other.verdict} or UNDECIDED in {base.verdict, other.verdict}:
        return f"Nothing can be said: {base.hop} is {base.verdict}, {other.hop} is {other.verdict}."
    if base.verdict == HEALTHY and other.verdict != HEALTHY:
        return f"{other.hop} does it: {base.hop} streams, and the same answers are {other.verdict} through {other.hop}."
    if HEALTHY not in {base.verdict, other.verdict}:
        same = "as well" if base.verdict == other.verdict else f"({base.verdict}) already"
        return f"It is not {other.hop}'s doing, or not its alone: {base.hop} is not streaming {same}."
    if base.verdict != HEALTHY:
        return f"{base.hop} is {base.verdict}, and {other.hop} is not: it does not get its streams from there."
    return f"Both stream; {_later(other.hop, first)}."


def _later(hop: str, shift: Shift) -> str:
    if shift.value is None or shift.low is None or shift.high is None:
        return f"how much later the first piece comes through {hop} cannot be told {shift.note.removeprefix('n/a ')}"
    interval = f"{milliseconds(shift.low)} to {milliseconds(shift.high)}, 95 %"
    if shift.low <= 0 <= shift.high:
        return f"{hop} delays the first piece by nothing that could be seen ({interval})"
    word = "later" if shift.value > 0 else "sooner"
    return f"the first piece comes {milliseconds(abs(shift.value))} {word} through {hop} ({interval})"


def _shift(readings: Sequence[Reading], hops: tuple[int, int], of: Callable[[Reading], float | None]) -> Shift:
    """Estimate the other minus the first in ms (Hodges-Lehmann), over pairs of the same question."""
    by_hop = [{one.question: of(one) for one in readings if one.hop == hop and one.is_whole} for hop in hops]
    pairs = [(by_hop[0].get(asked), by_hop[1].get(asked)) for asked in by_hop[0]]
    differences = [b - a for a, b in pairs if a is not None and b is not None]
    found = hodges_lehmann(differences)
    return Shift(value=found.value, low=found.low, high=found.high, n=len(differences), note=found.note)
