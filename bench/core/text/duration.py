"""Lengths of time as options, files and conditions write them: `800us`, `500ms`, `30s`, `2m`, `1h`."""

from __future__ import annotations

import math
import re

from bench.core.errors import BenchError

MS = {"us": 1e-3, "µs": 1e-3, "ms": 1.0, "s": 1e3, "m": 60e3, "h": 3600e3}
"""Milliseconds of each unit."""
SECONDS = {"": 1.0, **{unit: ms / 1e3 for unit, ms in MS.items()}}
"""Seconds of each unit; a plain number is in seconds."""
_UNIT = re.compile(r"[^\W\d]*$")


def split_unit(text: str) -> tuple[str, str]:
    """Split a length of time into its number and its unit, as typed; the unit is "" if the text has none."""
    start = found.start() if (found := _UNIT.search(text)) else len(text)
    return text[:start].strip(), text[start:]


def parse_seconds(text: str) -> float:
    """Return the seconds of `500ms`, `90s`, `10m` or `1h`; a plain number is in seconds.

    BenchError for any other text, and for a length that is 0, negative, infinite or nan.
    """
    text = text.strip()
    try:
        seconds = float(text)
    except ValueError:
        number, unit = split_unit(text)
        try:
            seconds = float(number) * SECONDS[unit.lower()]
        except (ValueError, KeyError):
            raise BenchError(
                f"{text!r} is no length of time; write for instance 500ms, 90s, 10m or 1h (without a unit: seconds)"
            ) from None
    if not math.isfinite(seconds):
        raise BenchError(f"{seconds} is not a length of time")
    if seconds <= 0:
        raise BenchError(f"{seconds} is not in the range x>0.")
    return seconds
