"""Print messages, or hand them to the live view."""

from __future__ import annotations

import sys
from typing import Protocol


class Sink(Protocol):
    """Shows a line where printing would disturb a live view."""

    alive: bool

    def say(self, line: str) -> None:
        """Show a line."""


_views: list[Sink] = []
"""The view that is on the terminal now: what is said meanwhile goes through it, or it would be drawn over."""


def say(line: str) -> None:
    """Print a line on stderr; a live view moves down for it."""
    if _views and _views[-1].alive:
        _views[-1].say(line)
        return
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (this is where progress goes)
