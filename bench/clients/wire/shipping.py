"""How reads leave the shooter: per attempt, a few at a time, so that no lump of work ever holds the loop up."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from typing import Protocol

ROOM = 32 << 10
"""Bytes that an attempt may keep, what each read costs included, before they are shipped: 47 reads of 270 bytes."""
_ALL_WITHIN_S = 0.45
"""Twice this can pass between two visits, when many have just begun."""
_TICK_S = 0.01


class Keeping(Protocol):
    """Something that keeps reads."""

    number: int

    def ship(self) -> None:
        """Send what is kept, if anything is."""


class Sweeper:
    """Visits all that are open within a second, each at its turn: what comes slowly is shipped too."""

    def __init__(self, every_second: Callable[[], None]) -> None:
        self._open: dict[int, Keeping] = {}
        self._every_second = every_second
        self._timer: asyncio.TimerHandle | None = None
        self._slept = 0.0

    def add(self, keeping: Keeping) -> None:
        """It is open now."""
        self._open[keeping.number] = keeping

    def remove(self, keeping: Keeping) -> None:
        """It has ended."""
        self._open.pop(keeping.number, None)

    def start(self) -> None:
        """Visit until `stop`."""
        self._sleep(_ALL_WITHIN_S)

    def stop(self) -> None:
        """No more visits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sleep(self, seconds: float) -> None:
        self._slept += seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._visit)

    def _visit(self) -> None:
        for _ in range(ceil(len(self._open) * _TICK_S / _ALL_WITHIN_S)):
            number = next(iter(self._open))
            keeping = self._open.pop(number)
            self._open[number] = keeping
            keeping.ship()
        if self._slept >= 1:
            self._slept = 0.0
            self._every_second()
        self._sleep(max(_TICK_S, _ALL_WITHIN_S / max(1, len(self._open))))
