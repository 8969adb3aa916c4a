"""What the doctor found, for programs: the `Diagnosis` as it is."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from bench.doctor.diagnosis import Diagnosis

SCHEMA_VERSION = "1.0"
DIGITS = 3
"""Behind the point: a time is in ms, and no stamp is finer than a microsecond."""


def render_json(diagnosis: Diagnosis) -> bytes:
    """One object, its members in the order of the classes."""
    return orjson.dumps(as_value(diagnosis), option=orjson.OPT_INDENT_2) + b"\n"


def as_value(diagnosis: Diagnosis) -> dict[str, Any]:
    """As JSON types."""
    found: dict[str, Any] = _plain({"schema_version": SCHEMA_VERSION, **asdict(diagnosis)})
    return found


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    return _number(value) if isinstance(value, float) else value


def _number(value: float) -> float | str | None:
    """Rounded; what is no number is null, and infinity the text that all formats here have for it."""
    if math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return round(value, DIGITS)
