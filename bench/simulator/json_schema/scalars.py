"""Strings and numbers for a JSON schema."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from bench.simulator.json_schema.patterns import text_for
from bench.simulator.json_schema.validity import Impossible, SchemaError, matches
from bench.simulator.text import text_of_length

NUMERIC = ("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf")
_OF_STRINGS = ("minLength", "maxLength", "pattern")
_NATURAL_CHARS = 24
_TOO_LONG = 1_000_000
_FORMATS = {
    "date-time": "2024-05-17T09:30:00Z",
    "date": "2024-05-17",
    "time": "09:30:00Z",
    "duration": "P3DT4H",
    "email": "reader@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uri": "https://example.com/garden",
    "uuid": "3f2b8c9e-5d41-4c7a-9b60-1e8a7d2f4c35",
}
"""Formats that are kept to, each with an example; others are taken as a remark."""


@dataclass
class Slot:
    """A string whose length is free between two limits."""

    low: int
    high: float
    chars: int = field(init=False)

    def __post_init__(self) -> None:
        self.chars = int(min(max(_NATURAL_CHARS, self.low), self.high))

    def some_text(self, rng: random.Random) -> str:
        """A text of any length that it may have, near the natural one."""
        return text_of_length(rng.randint(self.low, int(min(self.high, max(_NATURAL_CHARS, self.low) + 16))), rng)


def string_for(schema: Mapping[str, Any], rng: random.Random) -> str | Slot:
    """A string, or one of free length where the schema asks for nothing but a length. Raises `SchemaError`."""
    low, high = schema.get("minLength"), schema.get("maxLength", math.inf)
    if (low or 0) > high:
        raise Impossible("it allows no string")
    if (low or 0) > _TOO_LONG:
        raise SchemaError(f"it asks for a string of more than {_TOO_LONG} characters")
    if (example := _FORMATS.get(schema.get("format", ""))) is not None:
        if _says(example, schema, _OF_STRINGS):
            return example
        if "pattern" not in schema:
            raise Impossible(f"the simulator has no {schema['format']!r} of that length")
    if "pattern" in schema:
        patterns = schema["pattern"]
        return text_for([patterns] if isinstance(patterns, str) else patterns, low or 0, high, rng)
    return Slot(int(min(1, high)) if low is None else low, high)


def number_for(schema: Mapping[str, Any], rng: random.Random, *, whole: bool) -> float:
    """A number, near 1 where that is allowed. Raises `Impossible`."""
    step = Fraction(str(schema.get("multipleOf", 1 if whole else 0.25)))
    step = Fraction(step.numerator) if whole else step
    low, high = _limits(schema)
    start = max(low, min(1, high - 99 * step))
    steps = range(math.ceil(start / step), math.floor(min(high, start + 99 * step) / step) + 1)
    plain = whole or ("multipleOf" in schema and step.denominator == 1)
    tried = [rng.choice(steps) for _ in range(3)] if steps else []
    for each in [*tried, *steps]:
        value = int(step * each) if plain else float(step * each)
        if _says(value, schema, NUMERIC):
            return value
    middle = (low + high) / 2
    if whole or "multipleOf" in schema or not _says(middle, schema, NUMERIC):
        raise Impossible("it allows no number")
    return middle


def _limits(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    return low, min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))


def _says(value: str | float, schema: Mapping[str, Any], keywords: Sequence[str]) -> bool:
    """Do these keywords of the schema allow the value?"""
    asked = {key: schema[key] for key in keywords if key in schema}
    return matches(value, asked, asked)
