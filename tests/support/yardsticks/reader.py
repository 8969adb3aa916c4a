"""What every yardstick does: read a streamed answer to its end and say when its first delta came."""

from __future__ import annotations

from typing import Any, Protocol

from tests.support.nullanswers import MODEL
from tests.support.nullserver import FIELD

DELTA = b"response.output_text.delta"
"""Type of the events that count."""


class Reader(Protocol):
    """One stream at a time."""

    async def read(self, client_id: str) -> int:
        """Read one answer; `perf_counter_ns` of the first delta."""

    async def close(self) -> None:
        """No more."""


def body_for(control: str) -> dict[str, Any]:
    """The request's body; `control` is the timing asked of the null server, or empty."""
    return {"model": MODEL, "input": "Hello", "stream": True, "metadata": {FIELD: control} if control else {}}
