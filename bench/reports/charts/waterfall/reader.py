"""Simulate a reader who reads along while the answer comes in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

WORDS_A_MINUTE = 238
"""Silent reading of non-fiction by adults: Brysbaert 2019."""
CHARS_A_WORD = 6
"""With the space behind it."""
PACE = WORDS_A_MINUTE * CHARS_A_WORD / 60_000
"""Characters a millisecond."""


class ReaderLine(NamedTuple):
    """How far the reader was when."""

    points: list[tuple[float, float]]
    """(ms, characters read): straight lines between them; the last is the end of reading."""
    waited: float
    """ms in which everything that had come was read, and more came later."""


def read_along(arrivals: Sequence[tuple[float, float]], start: float) -> ReaderLine:
    """Read from `start` (ms) on at `PACE`, never more than has come. `arrivals`: (ms, characters so far), ascending.

    What arrives before the start is there when reading begins.
    """
    there = max((chars for ms, chars in arrivals if ms <= start), default=0.0)
    now, read, waited, points = start, 0.0, 0.0, [(start, 0.0)]
    for ms, chars in ((ms, chars) for ms, chars in arrivals if ms > start):
        done = now + (there - read) / PACE
        if done < ms:
            points += [(done, there), (ms, there)]
            waited, now, read = waited + ms - done, ms, there
        there = chars
    return ReaderLine([*points, (now + (there - read) / PACE, there)], waited)


def cut_at(points: Sequence[tuple[float, float]], end: float) -> list[tuple[float, float]]:
    """Return the line up to `end`, its last piece cut there."""
    inside = [point for point in points if point[0] <= end]
    later = next((point for point in points if point[0] > end), None)
    if inside and later:
        (x, y), (x2, y2) = inside[-1], later
        inside.append((end, y + (y2 - y) * (end - x) / (x2 - x)))
    return inside
