"""One JSON Schema that asks for all that several ask for."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from fractions import Fraction
from typing import Any

from bench.simulator.json_schema.validity import Impossible, SchemaError, property_schemas, same

ANNOTATIONS = {"$schema", "$id", "$anchor", "$comment", "$defs", "definitions", "title", "description", "default"} | {
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "nullable",
    "discriminator",
    "example",
}
_OF_PROPERTIES = {"properties", "patternProperties", "additionalProperties"}


def as_mapping(schema: Any) -> Mapping[str, Any]:
    """A schema as a mapping: true allows all, as {} does. Raises `Impossible` for false."""
    if schema is True:
        return {}
    if isinstance(schema, Mapping):
        return schema
    if schema is False:
        raise Impossible("it allows no value")
    raise SchemaError(f"{schema!r:.40} is not a schema")


def joined(schemas: list[Any]) -> dict[str, Any]:
    """The schema that asks for all that they ask for. Raises `SchemaError` for what cannot be joined."""
    first, *others = map(as_mapping, schemas)
    made = dict(first)
    for other in others:
        made = _joined(made, other)
    return made


def _joined(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    made = {**one, **other}
    for key in one.keys() & other.keys() - ANNOTATIONS - _OF_PROPERTIES:
        if one[key] != other[key]:
            made[key] = _value(key, one[key], other[key])
    if _OF_PROPERTIES & one.keys() and _OF_PROPERTIES & other.keys():
        made |= _properties(one, other)
    return made


def _value(key: str, one: Any, other: Any) -> Any:
    if key not in _JOIN:
        raise Impossible(f"the simulator does not know how to join two different {key!r}")
    return _JOIN[key](one, other)


def _properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Each property as both see it: what is an additional one for either must be allowed by it as that."""
    names = {**one.get("properties", {}), **other.get("properties", {})}
    patterns = {**one.get("patternProperties", {}), **other.get("patternProperties", {})}
    found = {
        "properties": {name: _all([*property_schemas(name, one), *property_schemas(name, other)]) for name in names},
        "patternProperties": {
            pattern: _all([schema.get("patternProperties", {}).get(pattern, True) for schema in (one, other)])
            for pattern in patterns
        },
        "additionalProperties": _all([one.get("additionalProperties", True), other.get("additionalProperties", True)]),
    }
    return {key: value for key, value in found.items() if value not in ({}, True)}


def _all(schemas: list[Any]) -> Any:
    """What all of them allow, still to be joined."""
    if False in schemas:
        return False
    left = [schema for number, schema in enumerate(schemas) if schema is not True and schema not in schemas[:number]]
    return (left[0] if len(left) == 1 else {"allOf": left}) if left else True


def _both(one: Any, other: Any) -> Any:
    return _all([one, other])


def _prefixes(one: list[Any], other: list[Any]) -> list[Any]:
    if len(one) != len(other):
        raise Impossible("the simulator does not know how to join two 'prefixItems' of different length")
    return [_both(*pair) for pair in zip(one, other, strict=True)]


def _types(one: Any, other: Any) -> list[str]:
    ones, others = ([each] if isinstance(each, str) else list(each) for each in (one, other))
    common = [name for name in ones if name in others or (name == "integer" and "number" in others)]
    common += [name for name in others if name == "integer" and "number" in ones and name not in common]
    if not common:
        raise Impossible("it allows no type")
    return common


def _common(one: list[Any], other: list[Any]) -> list[Any]:
    known = {same(value) for value in other}
    return [value for value in one if same(value) in known]


def _equal(one: Any, other: Any) -> Any:
    if same(one) != same(other):
        raise Impossible("it asks for two different values")
    return one


def _least_common(one: float, other: float) -> float:
    first, second = Fraction(str(one)), Fraction(str(other))
    found = Fraction(
        math.lcm(first.numerator * second.denominator, second.numerator * first.denominator),
        first.denominator * second.denominator,
    )
    return int(found) if found.denominator == 1 else float(found)


def _patterns(one: Any, other: Any) -> list[str]:
    return [each for value in (one, other) for each in ([value] if isinstance(value, str) else value)]


_JOIN: Mapping[str, Callable[[Any, Any], Any]] = {
    **dict.fromkeys(["minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties", "minContains"], max),
    **dict.fromkeys(["maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties", "maxContains"], min),
    **dict.fromkeys(["items", "propertyNames", "unevaluatedProperties", "unevaluatedItems"], _both),
    **dict.fromkeys(["anyOf", "oneOf"], lambda one, other: [_both(a, b) for a in one for b in other]),
    "allOf": lambda one, other: [*one, *other],
    "required": lambda one, other: list(dict.fromkeys([*one, *other])),
    "not": lambda one, other: {"anyOf": [one, other]},
    "uniqueItems": lambda one, other: one or other,
    "type": _types,
    "enum": _common,
    "const": _equal,
    "multipleOf": _least_common,
    "pattern": _patterns,
    "prefixItems": _prefixes,
    "dependentRequired": lambda one, other: {
        name: [*one.get(name, []), *other.get(name, [])] for name in {**one, **other}
    },
}
