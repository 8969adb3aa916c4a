"""Lumps in a stream: deltas that arrive together, and the pauses between them.

An even stream of n deltas over W ms has a gap of m = W/(n-1) between them. Reads that follow each other within m/4
belong together: a burst. In a stream that passes on what it gets as it gets it nearly every burst is one delta; a
buffer on the way makes bursts of many with pauses of many gaps between them.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import fmean, median, pstdev
from typing import Literal, NamedTuple

from bench.doctor.verdict.reading import Read, Reading

Nature = Literal["size", "time", "unknown"]
TOGETHER = 0.25
"""Part of the mean gap: reads closer than that belong together."""
LUMP = 4
"""Deltas in a burst that make it a lump. Servers that decode speculatively send two or three in a step."""
EVEN = 0.15
"""Lumps whose size (or period) varies by less, as a share of its mean, have one size (or period)."""


class Burst(NamedTuple):
    """Reads that came together."""

    ms: float
    """The time of the first read."""
    end_ms: float
    deltas: int
    bytes: int
    inside: bool
    """True where the burst ends inside an event."""


@dataclass(frozen=True)
class Shape:
    """How lumpy one answer, or several of one kind, arrived."""

    bursts: int
    typical: int
    """Deltas in the burst of the median delta."""
    largest: float
    """Share of all deltas that came in the largest burst."""
    held: float
    """Share of all deltas that came in lumps."""
    paused: float
    """Share of the time from the first delta to the last that was spent waiting for lumps."""
    pause_ms: float
    """Before the lump of the median delta; 0 without lumps."""


def bursts(reading: Reading) -> list[Burst]:
    """Merge the reads of one answer that came together into bursts, in order."""
    gap = reading.window_ms / max(1, reading.deltas - 1)
    return list(_merge_reads(reading.reads, TOGETHER * gap))


def _merge_reads(reads: Sequence[Read], together: float) -> Iterator[Burst]:
    # Reads without a delta belong to the burst that they complete an event of, and stand for nothing alone.
    current: Burst | None = None
    for read in reads:
        if current and read.ms - current.end_ms <= together:
            deltas, size = current.deltas + read.deltas, current.bytes + read.bytes
            current = Burst(current.ms, read.ms, deltas, size, read.inside)
            continue
        if current and current.deltas:
            yield current
        current = Burst(read.ms, read.ms, read.deltas, read.bytes, read.inside)
    if current and current.deltas:
        yield current


def burst_shape(found: Sequence[Burst]) -> Shape:
    """Measure how lumpy one answer is, by its bursts; at least one."""
    total = sum(burst.deltas for burst in found)
    lumps = [(earlier, later) for earlier, later in pairwise(found) if later.deltas >= LUMP]
    pauses = [(later.ms - earlier.end_ms, later.deltas) for earlier, later in lumps]
    window = found[-1].end_ms - found[0].ms
    return Shape(
        bursts=len(found),
        typical=int(weighted_median([(burst.deltas, burst.deltas) for burst in found])),
        largest=max(burst.deltas for burst in found) / total,
        held=sum(burst.deltas for burst in found if burst.deltas >= LUMP) / total,
        paused=sum(pause for pause, _ in pauses) / window if window > 0 else 0.0,
        pause_ms=weighted_median(pauses) if pauses else 0.0,
    )


def weighted_median(values: Iterable[tuple[float, int]]) -> float:
    """Return the median of (value, weight) pairs."""
    ordered = sorted(values)
    half, so_far = sum(weight for _, weight in ordered) / 2, 0
    for value, weight in ordered:
        so_far += weight
        if so_far >= half:
            return value
    raise ValueError("no values")


@dataclass(frozen=True)
class Pattern:
    """What the lumps of several answers have in common."""

    lumps: int
    """The number of lumps: all but the first and the last burst of each answer, which may be parts."""
    deltas: tuple[int, int]
    """Quartiles of their sizes."""
    period_ms: float
    """Median from one to the next."""
    bytes: float
    """Median, of the body as it was transferred."""
    even_bytes: float
    """Coefficient of variation of the bytes, without the tenth that differs most."""
    even_period: float
    """Coefficient of variation of the period, likewise."""
    inside: float
    """Share that ends inside an event."""

    @property
    def nature(self) -> Nature:
        """What ends a lump: its size (a full buffer, which knows nothing of events) or a timer."""
        if self.inside >= 0.5 and self.even_bytes <= EVEN:
            return "size"
        if self.even_period <= EVEN and self.inside < 0.1 and self.even_period < 0.5 * self.even_bytes:
            return "time"
        if self.even_bytes <= EVEN and self.even_bytes < 0.5 * self.even_period:
            return "size"
        return "unknown"


def lump_pattern(answers: Iterable[Sequence[Burst]]) -> Pattern | None:
    """Find what the lumps of several answers have in common; None where none has a lump in its middle."""
    inner, periods = [], []
    for found in answers:
        for place in range(1, len(found) - 1):
            if found[place].deltas >= LUMP:
                inner.append(found[place])
                periods.append(found[place].ms - found[place - 1].ms)
    if not inner:
        return None
    sizes = sorted(burst.deltas for burst in inner)
    return Pattern(
        lumps=len(inner),
        deltas=(sizes[len(sizes) // 4], sizes[3 * len(sizes) // 4]),
        period_ms=median(periods),
        bytes=median(burst.bytes for burst in inner),
        even_bytes=variation([float(burst.bytes) for burst in inner]),
        even_period=variation(periods),
        inside=fmean(burst.inside for burst in inner),
    )


def variation(values: Sequence[float]) -> float:
    """Return standard deviation over mean, without the tenth farthest from the median; infinity for one value."""
    if len(values) < 2:
        return math.inf
    middle = median(values)
    kept = sorted(values, key=lambda value: abs(value - middle))[: max(2, math.ceil(0.9 * len(values)))]
    mean = fmean(kept)
    return pstdev(kept) / mean if mean else math.inf
