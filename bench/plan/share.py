"""The part of a load that one of several workers carries."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Share:
    """Worker `index` of `of`: every `of`-th trial, and its part of the streams that are open at a time."""

    index: int = 0
    of: int = 1

    def has(self, place: int) -> bool:
        """Return True where the trial at this place of the segment is this worker's."""
        return place % self.of == self.index

    def part(self, number: int) -> int:
        """Return this worker's part of a number; the parts of all workers add up to the number."""
        return number // self.of + (self.index < number % self.of)


WHOLE = Share()


def shares(workers: int, concurrency: int | None) -> list[Share | None]:
    """Return the share of each worker in a segment. In closed loop no more take part than trials run at a time.

    A worker with nothing to do there has None.
    """
    busy = workers if concurrency is None else min(workers, concurrency)
    return [Share(index, busy) if index < busy else None for index in range(workers)]
