"""Was the client itself in time? Probes of the event loop, the collector and the machine, taken while cells run."""

from __future__ import annotations

from typing import Any, Self


class Guard:
    """Probes while it is entered, within groups only."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """No more probes."""

    def begin(self, cell: int) -> None:
        """A group of this cell's trials starts."""

    def end(self) -> list[dict[str, Any]]:
        """It has ended: rows of the table `probes`, times in raw `perf_counter_ns`."""
        return []
