"""Print messages, or hand them to the live view; make a server's text fit for a terminal."""

from __future__ import annotations

import os
import re
import sys
from typing import Protocol, TextIO

_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape_control(text: str, instead: str = "") -> str:
    """Replace control characters, line ends and marks of direction: a model's name may be the server's."""
    return _HARMFUL.sub(instead, text)


def to_devnull(stream: TextIO) -> None:
    """Drop what is written to this stream from now on, also at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)


class Sink(Protocol):
    """Shows a line where printing would disturb a live view."""

    alive: bool

    def say(self, line: str) -> None:
        """Show a line."""


_views: list[Sink] = []
"""The live view on the terminal now. Lines are printed through the view, which would otherwise draw over them."""


def say(line: str) -> None:
    """Print a line on stderr; a live view moves down for it."""
    if _views and _views[-1].alive:
        _views[-1].say(line)
        return
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (this is where progress goes)
