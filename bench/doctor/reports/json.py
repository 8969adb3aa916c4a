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
    """Write one JSON object, its members in the order of the classes."""
    value = _plain({"schema_version": SCHEMA_VERSION, **asdict(diagnosis)})
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(name): _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if not isinstance(value, float):
        return value
    if math.isfinite(value):
        return round(value, DIGITS)
    # what is no number is null, and infinity the text that all formats here have for it
    return None if math.isnan(value) else "inf" if value > 0 else "-inf"
