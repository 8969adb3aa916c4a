"""How far the simulator's clock is ahead of this process' clock, and how sure that is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple


class ClockReading(NamedTuple):
    """One reading of the other clock over the network, in ns."""

    sent: int
    """This process' clock before the question left."""
    other: int
    """The other clock."""
    received: int
    """This process' clock when the answer was here."""


@dataclass(frozen=True)
class Offset:
    """The other clock minus this one, in ns."""

    ns: int
    error_ns: int
    """The true offset is no further away than this."""
    same_machine: bool
    """Both are one clock."""


ONE_CLOCK = Offset(0, 0, same_machine=True)


def estimate_offset(readings: Sequence[ClockReading], *, same_boot: bool) -> Offset:
    """Take the reading with the shortest round trip: other - (sent + received) / 2, ± half of that trip.

    Cristian, Probabilistic clock synchronization, Distributed Computing 3 (1989); with one reading in place of the
    server's two it is the offset of RFC 5905 (NTP), section 8. The bound holds however the trip's two ways differ:
    the clock was read somewhere between `sent` and `received`.
    """
    # Both are one clock only if the machine has been started once and each reading lies between its two times; the
    # second does not hold for a container with a clock of its own.
    if same_boot and all(each.sent <= each.other <= each.received for each in readings):
        return ONE_CLOCK
    best = min(readings, key=lambda each: each.received - each.sent)
    middle = (best.sent + best.received) // 2
    return Offset(best.other - middle, best.received - middle, same_machine=False)


def combine_offsets(before: Offset, after: Offset) -> Offset:
    """Return one offset for all that lies between two estimates: the middle of the range of both with their errors."""
    # Where the clocks drift steadily apart, the offset goes straight from one to the other and never leaves that range,
    # so half of it bounds the error: with equal errors, that error plus half of the change.
    if before.same_machine and after.same_machine:
        return ONE_CLOCK
    low = min(each.ns - each.error_ns for each in (before, after))
    high = max(each.ns + each.error_ns for each in (before, after))
    middle = (low + high) // 2
    return Offset(middle, high - middle, same_machine=False)
