"""The units in which the limit of a metric may be typed, and the limit in the unit of the rows."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from bench.core.text.duration import MS
from bench.gate.condition import Condition

_BYTES = {"B": 1.0, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "KiB": 2.0**10, "MiB": 2.0**20}
_SHARES = {"%": 0.01, "": 1.0}
_ACCEPTED: Mapping[str, Mapping[str, float]] = {
    "ms": MS,
    "ms/token": {**MS, "ms/token": 1.0},
    "ms/event": {**MS, "ms/event": 1.0},
    "share": _SHARES,
    "ratio": _SHARES,
    "bytes": _BYTES,
    "bytes/token": {**_BYTES, "B/token": 1.0, "B/tok": 1.0},
    "tokens/s": {"tok/s": 1.0, "tokens/s": 1.0},
    "tokens": {"": 1.0, "tokens": 1.0, "tok": 1.0},
    "count": {"": 1.0},
    "0 or 1": {"": 1.0},
}
_SHOWN: Mapping[str, str] = {
    **dict.fromkeys(("ms", "ms/token", "ms/event"), "us, ms or s"),
    **dict.fromkeys(("share", "ratio"), "% or none (0.05 is 5%)"),
    **dict.fromkeys(("bytes", "bytes/token"), "B, kB or MB"),
    "tokens/s": "tok/s",
    **dict.fromkeys(("", "count", "0 or 1", "tokens"), "none, a plain number"),
}
_POINTS = frozenset({"share", "ratio"})
"""Units of which a difference is told in percentage points."""


def fits(condition: Condition, unit: str) -> bool:
    """Return True if the limit may be typed in its unit for a number in this unit."""
    limit = condition.limit.unit
    return (limit == "%" or unit in _POINTS) if condition.operator == ":" else limit in _accepted_units(unit)


def in_unit(condition: Condition, unit: str) -> float:
    """Convert the limit to the unit of a row that it `fits`; against the baseline to a fraction."""
    if condition.operator == ":":
        return condition.limit.number / 100
    return condition.limit.number * _accepted_units(unit)[condition.limit.unit]


def unit_error(condition: Condition, metric: str, units: Iterable[str]) -> str:
    """Say what is wrong with a limit that fits none of the metric's units."""
    if condition.operator == ":":
        return f"{metric} is no share, so points (pp) say nothing of it; write for instance :+10%"
    given = f"unit {condition.limit.unit!r} does not fit" if condition.limit.unit else "the unit is missing of"
    right = " or ".join(dict.fromkeys(_SHOWN.get(unit, f"{unit} or none") for unit in units))
    return f"{given} {metric}; its limits have {right}"


def _accepted_units(unit: str) -> Mapping[str, float]:
    # a unit that a plugin made up is taken as it is, or left out
    return _ACCEPTED.get(unit) or {unit: 1.0, "": 1.0}
