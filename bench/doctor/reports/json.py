"""What the doctor found, for programs: the `Diagnosis` as it is."""

from __future__ import annotations

from dataclasses import asdict

import orjson

from bench.doctor.diagnosis import Diagnosis
from bench.reports.data_files import finite_json

SCHEMA_VERSION = "1.0"
DIGITS = 3
"""Digits behind the point: a time is in ms, and no stamp is finer than a microsecond."""


def render_json(diagnosis: Diagnosis) -> bytes:
    """Write one JSON object, its members in the order of the classes."""
    value = finite_json({"schema_version": SCHEMA_VERSION, **asdict(diagnosis)}, DIGITS)
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"
