"""A value for a JSON schema, with the places where it can still be stretched.

Pure: the same schema and random source give the same value. What is returned is valid: a keyword that restricts values
and is not known here, or a contradiction between schemas to be joined, is refused rather than ignored. One thing is
taken on trust: that the options of a `oneOf` exclude each other.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

_NATURAL_CHARS = 24
_DEEP = 9
"""From this nesting on (a `$ref` counts twice more), only what must be there is made: recursion comes to an end."""
_TOO_DEEP = 60
_TOO_MANY = 200_000
_TOO_LONG = 1_000_000
_REFUSED = {
    "pattern",
    "not",
    "if",
    "then",
    "else",
    "contains",
    "minProperties",
    "propertyNames",
    "patternProperties",
} | {
    "dependencies",
    "dependentRequired",
    "dependentSchemas",
    "unevaluatedItems",
    "unevaluatedProperties",
    "$dynamicRef",
}
_ANNOTATIONS = {"$schema", "$id", "$defs", "definitions", "title", "description", "default", "examples", "deprecated"}
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


class SchemaError(ValueError):
    """No value can be made: the schema is broken, allows none, or uses what is not known here."""


@dataclass
class Slot:
    """A string whose length is free between two limits."""

    low: int
    high: float
    chars: int = field(init=False)

    def __post_init__(self) -> None:
        self.chars = int(min(max(_NATURAL_CHARS, self.low), self.high))


@dataclass
class Growable:
    """An array that may get more items."""

    items: list[Any]
    high: float
    make: Callable[[], Any]


class Sampler:
    """Makes values for one schema, with `first_items` in each array where that is allowed."""

    def __init__(self, schema: Any, rng: random.Random, first_items: int) -> None:
        self.slots: list[Slot] = []
        self.arrays: list[Growable] = []
        self._schema, self._rng, self._first_items = schema, rng, first_items
        self._made = 0
        self.root = self._make(schema, 0)

    def _make(self, schema: Any, depth: int) -> Any:
        if depth > _TOO_DEEP:
            raise SchemaError("it refers to itself without an end")
        self._made += 1
        if self._made > _TOO_MANY:
            raise SchemaError(f"it asks for more than {_TOO_MANY} values")
        known = self._checked(schema)
        depth += 2 if "$ref" in _mapping(schema) else 0
        if "const" in known:
            return known["const"]
        if "enum" in known:
            return self._rng.choice(known["enum"])
        for keyword in ("anyOf", "oneOf"):
            if keyword in known:
                rest = {k: v for k, v in known.items() if k != keyword}
                return self._make(_merged([rest, self._choice(known[keyword], depth)]), depth + 1)
        return self._typed(_type_of(known), known, depth)

    def _checked(self, schema: Any) -> Mapping[str, Any]:
        """The schema with `$ref` and `allOf` worked in."""
        known = dict(_mapping(schema))
        for _ in range(_TOO_DEEP):
            if "$ref" in known:
                known = _merged([self._resolve(known.pop("$ref")), known])
            elif "allOf" in known:
                known = _merged([*known.pop("allOf"), known])
            elif refused := sorted(_REFUSED & known.keys()):
                raise SchemaError(f"the simulator does not know the keyword {refused[0]!r}")
            else:
                return known
        raise SchemaError("it refers to itself without an end")

    def _resolve(self, reference: object) -> Any:
        if not isinstance(reference, str) or not reference.startswith("#"):
            raise SchemaError(f"{reference!r} does not refer to this schema")
        found = self._schema
        for part in reference[1:].split("/")[1:]:
            try:
                found = found[part.replace("~1", "/").replace("~0", "~")]
            except (KeyError, TypeError) as error:
                raise SchemaError(f"{reference!r} is not in it") from error
        return found

    def _choice(self, options: list[Any], depth: int) -> Any:
        """Any but null; deep down the shortest that refers to nothing further."""
        if depth >= _DEEP and (ends := [option for option in options if not self._refers(option)]):
            return min(ends, key=lambda option: len(orjson.dumps(option)))
        return self._rng.choice([option for option in options if option != {"type": "null"}] or options)

    def _refers(self, option: Any) -> bool:
        reference = _mapping(option).get("$ref")
        return b'"$ref"' in orjson.dumps(self._resolve(reference) if reference else option)

    def _typed(self, type_: str, schema: Mapping[str, Any], depth: int) -> Any:
        makers: Mapping[str, Callable[[], Any]] = {
            "object": lambda: self._object(schema, depth),
            "array": lambda: self._array(schema, depth),
            "string": lambda: self._string(schema),
            "integer": lambda: self._number(schema, 1),
            "number": lambda: self._number(schema, 0.25),
            "boolean": lambda: self._rng.random() < 0.5,
            "null": lambda: None,
        }
        if type_ not in makers:
            raise SchemaError(f"{type_!r} is not a type")
        return makers[type_]()

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        names = [name for name in properties if depth < _DEEP or name in required]
        others = schema.get("additionalProperties", True)
        made = {name: self._make(properties[name], depth + 1) for name in names}
        return made | {name: self._make(others, depth + 1) for name in required if name not in properties}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        others = schema.get("items", True)
        if schema.get("uniqueItems") and low > 1:
            raise SchemaError("the simulator does not know 'uniqueItems' with 'minItems' over 1")
        high = min(high, 1 if schema.get("uniqueItems") else math.inf, len(first) if others is False else math.inf)
        if low > high:
            raise SchemaError("it allows no array")
        count = low if depth >= _DEEP else int(min(max(low, len(first), self._first_items), high))
        items = [self._make(each, depth + 1) for each in first[:count]]
        array = Growable(items, high, lambda: self._make(others, depth + 1))
        items += [array.make() for _ in range(count - len(items))]
        if depth < _DEEP:
            self.arrays.append(array)
        return items

    def _string(self, schema: Mapping[str, Any]) -> str | Slot:
        low, high = schema.get("minLength"), schema.get("maxLength", math.inf)
        if (low or 0) > high:
            raise SchemaError("it allows no string")
        if (low or 0) > _TOO_LONG:
            raise SchemaError(f"it asks for a string of more than {_TOO_LONG} characters")
        if (form := schema.get("format")) in _FORMATS:
            if not (low or 0) <= len(_FORMATS[form]) <= high:
                raise SchemaError(f"the simulator has no {form!r} of that length")
            return _FORMATS[form]
        slot = Slot(int(min(1, high)) if low is None else low, high)
        self.slots.append(slot)
        return slot

    def _number(self, schema: Mapping[str, Any], default_step: float) -> Any:
        step = schema.get("multipleOf", default_step)
        if default_step == 1 and step != int(step):
            raise SchemaError("the simulator does not know integers with a broken 'multipleOf'")
        low, high = _limits(schema)
        start = max(low, min(1, high - 99 * step))
        steps = range(math.ceil(start / step), math.floor(min(high, start + 99 * step) / step) + 1)
        allowed = [value for value in (round(each * step, 9) for each in steps) if _within(value, schema)]
        if allowed:
            return self._rng.choice(allowed)
        middle = (low + high) / 2
        if default_step == 1 or "multipleOf" in schema or not _within(middle, schema):
            raise SchemaError("it allows no number")
        return middle


def _limits(schema: Mapping[str, Any]) -> tuple[float, float]:
    low = max(schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf))
    return low, min(schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf))


def _within(value: float, schema: Mapping[str, Any]) -> bool:
    low, high = _limits(schema)
    return low <= value <= high and value not in (schema.get("exclusiveMinimum"), schema.get("exclusiveMaximum"))


def _mapping(schema: Any) -> Mapping[str, Any]:
    """A schema as a mapping: true allows all, as {} does."""
    if schema is True:
        return {}
    if isinstance(schema, Mapping):
        return schema
    raise SchemaError("it allows no value" if schema is False else f"{schema!r:.40} is not a schema")


def _merged(schemas: list[Any]) -> dict[str, Any]:
    """One schema that asks for all that they ask for."""
    merged: dict[str, Any] = {}
    for schema in map(_mapping, schemas):
        joined = {
            "properties": {**merged.get("properties", {}), **schema.get("properties", {})},
            "required": [*merged.get("required", []), *schema.get("required", [])],
        }
        for key in merged.keys() & schema.keys() - joined.keys() - _ANNOTATIONS:
            if merged[key] != schema[key]:
                raise SchemaError(f"the simulator does not know how to join two different {key!r}")
        merged = {**merged, **schema, **{name: value for name, value in joined.items() if value}}
    return merged


def _type_of(schema: Mapping[str, Any]) -> str:
    type_ = schema.get("type")
    if isinstance(type_, list):
        return next((each for each in type_ if each != "null"), "null")
    if isinstance(type_, str):
        return type_
    hints = {"properties": "object", "required": "object", "items": "array", "prefixItems": "array"}
    numbers = {"minimum": "number", "maximum": "number", "multipleOf": "number"}
    return next((found for hint, found in (hints | numbers).items() if hint in schema), "string")
