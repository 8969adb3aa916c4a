"""Send reads from the load generator a few at a time, so that no lump of work ever blocks the loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from math import ceil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.clients.load_generator.shooter import Round

ROOM = 32 << 10
"""Bytes of memory that an attempt's reads may take before they are sent: 47 reads of 270 bytes."""
_ALL_WITHIN_S = 0.45
"""Twice this can pass between two visits when many attempts have just begun."""
_TICK_S = 0.01


class Sweeper:
    """Visits every open attempt within a second, one after the other, so that slow reads are sent too."""

    def __init__(self, every_second: Callable[[], None]) -> None:
        self._open: dict[int, Round] = {}
        self._every_second = every_second
        self._timer: asyncio.TimerHandle | None = None
        self._slept = 0.0

    def add(self, planned: Round) -> None:
        """Start shipping the reads of this request."""
        self._open[planned.number] = planned

    def remove(self, planned: Round) -> None:
        """Stop shipping the reads of this request."""
        self._open.pop(planned.number, None)

    def start(self) -> None:
        self._sleep(_ALL_WITHIN_S)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sleep(self, seconds: float) -> None:
        self._slept += seconds
        self._timer = asyncio.get_running_loop().call_later(seconds, self._visit)

    def _visit(self) -> None:
        for _ in range(ceil(len(self._open) * _TICK_S / _ALL_WITHIN_S)):
            number = next(iter(self._open))
            self._open[number] = planned = self._open.pop(number)
            planned.ship()
        if self._slept >= 1:
            self._slept = 0.0
            self._every_second()
        self._sleep(max(_TICK_S, _ALL_WITHIN_S / max(1, len(self._open))))
