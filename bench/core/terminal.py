"""Make text that may be a server's fit for a terminal, and drop what nobody reads."""

from __future__ import annotations

import os
import re
from typing import TextIO

_HARMFUL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")


def escape_control(text: str, instead: str = "") -> str:
    """Replace control characters, line ends and marks of direction: a model's name may be the server's."""
    return _HARMFUL.sub(instead, text)


def to_devnull(stream: TextIO) -> None:
    """Drop what is written to this stream from now on, also at the end of the process."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
