"""Is a JSON value valid for a JSON Schema? Draft 2020-12 without remote references, formats and `unevaluated…`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from functools import lru_cache
from typing import Any

import orjson


class SchemaError(ValueError):
    """No value can be made: the schema is broken, allows none, or uses what is not known here."""


class Impossible(SchemaError):
    """No value of this part of a schema is allowed or found; another part may still do."""


def matches(value: Any, schema: Any, root: Any) -> bool:
    """Is the value valid for the schema, a part of `root`? Raises `SchemaError` for a reference to nothing."""
    if isinstance(schema, bool):
        return schema
    kind = kind_of(value)
    checks = {**_ANY, **_BY_KIND.get(kind, {})}
    return all(checks[key](value, schema, root) for key in schema if key in checks)


def kind_of(value: Any) -> str:
    """JSON Schema's name for the type of a value; `number` for an integer too."""
    kinds: Mapping[type, str] = {dict: "object", list: "array", str: "string", bool: "boolean", type(None): "null"}
    return kinds.get(type(value), "number")


def same(value: Any) -> bytes:
    """Equal for values that JSON Schema holds to be equal: 1 and 1.0 are, 1 and true are not."""
    return orjson.dumps(_whole(value), option=orjson.OPT_SORT_KEYS)


def _whole(value: Any) -> Any:
    match value:
        case float() if value.is_integer():
            return int(value) if abs(value) < 2**53 else value
        case list():
            return [_whole(each) for each in value]
        case dict():
            return {key: _whole(each) for key, each in value.items()}
    return value


def is_multiple(value: float, step: float) -> bool:
    """Exactly, and also for those who simply divide floats."""
    return Fraction(str(value)) % Fraction(str(step)) == 0 and (value / step).is_integer()


@lru_cache(maxsize=256)
def compiled(pattern: str) -> re.Pattern[str]:
    """A pattern as Python has it. Raises `Impossible` for what only other dialects know."""
    try:
        return re.compile(pattern.replace("(?<", "(?P<").replace("(?P<=", "(?<=").replace("(?P<!", "(?<!"))
    except re.error as error:
        raise Impossible(f"the simulator does not know the pattern {pattern!r} ({error})") from error


def resolve(reference: object, root: Any) -> Any:
    """What a `$ref` refers to, inside the schema."""
    if not isinstance(reference, str) or not reference.startswith("#"):
        raise SchemaError(f"{reference!r} does not refer to this schema")
    first, *path = reference[1:].split("/")
    found = _anchored(first, root) if first else root
    for part in path:
        try:
            found = found[int(part) if isinstance(found, list) else part.replace("~1", "/").replace("~0", "~")]
        except (LookupError, TypeError, ValueError) as error:
            raise SchemaError(f"{reference!r} is not in it") from error
    return found


def _anchored(name: str, root: Any) -> Any:
    definitions = [*root.get("$defs", {}).values(), *root.get("definitions", {}).values(), root]
    found = [each for each in definitions if isinstance(each, Mapping) and each.get("$anchor") == name]
    if not found:
        raise SchemaError(f"'#{name}' is not in it")
    return found[0]


def property_schemas(name: str, schema: Mapping[str, Any]) -> list[Any]:
    """All that an object's schema says of the property of that name."""
    return _named(name, schema) or [schema.get("additionalProperties", True)]


def _named(name: str, schema: Mapping[str, Any]) -> list[Any]:
    own = [schema["properties"][name]] if name in schema.get("properties", {}) else []
    return own + _patterned(name, schema.get("patternProperties", {}))


def _patterned(name: str, patterns: Mapping[str, Any]) -> list[Any]:
    return [schema for pattern, schema in patterns.items() if compiled(pattern).search(name)]


def _type_fits(value: Any, name: str) -> bool:
    kind = kind_of(value)
    return kind == name or (name == "integer" and kind == "number" and float(value).is_integer())


def _conditional(value: Any, schema: Mapping[str, Any], root: Any) -> bool:
    branch = "then" if matches(value, schema["if"], root) else "else"
    return matches(value, schema.get(branch, True), root)


def _as_list(value: Any) -> Sequence[Any]:
    return value if isinstance(value, list) else [value]


def _contained(value: Sequence[Any], schema: Mapping[str, Any], root: Any) -> bool:
    count = sum(matches(each, schema["contains"], root) for each in value)
    return bool(schema.get("minContains", 1) <= count <= schema.get("maxContains", count))


_Check = Callable[[Any, Mapping[str, Any], Any], bool]
_ANY: Mapping[str, _Check] = {
    "$ref": lambda v, s, r: matches(v, resolve(s["$ref"], r), r),
    "allOf": lambda v, s, r: all(matches(v, each, r) for each in s["allOf"]),
    "anyOf": lambda v, s, r: any(matches(v, each, r) for each in s["anyOf"]),
    "oneOf": lambda v, s, r: sum(matches(v, each, r) for each in s["oneOf"]) == 1,
    "not": lambda v, s, r: not matches(v, s["not"], r),
    "if": _conditional,
    "const": lambda v, s, _: same(v) == same(s["const"]),
    "enum": lambda v, s, _: same(v) in map(same, s["enum"]),
    "type": lambda v, s, _: any(_type_fits(v, name) for name in _as_list(s["type"])),
}
_BY_KIND: Mapping[str, Mapping[str, _Check]] = {
    "number": {
        "minimum": lambda v, s, _: v >= s["minimum"],
        "maximum": lambda v, s, _: v <= s["maximum"],
        "exclusiveMinimum": lambda v, s, _: v > s["exclusiveMinimum"],
        "exclusiveMaximum": lambda v, s, _: v < s["exclusiveMaximum"],
        "multipleOf": lambda v, s, _: is_multiple(v, s["multipleOf"]),
    },
    "string": {
        "minLength": lambda v, s, _: len(v) >= s["minLength"],
        "maxLength": lambda v, s, _: len(v) <= s["maxLength"],
        "pattern": lambda v, s, _: all(compiled(each).search(v) for each in _as_list(s["pattern"])),
    },
    "array": {
        "minItems": lambda v, s, _: len(v) >= s["minItems"],
        "maxItems": lambda v, s, _: len(v) <= s["maxItems"],
        "uniqueItems": lambda v, s, _: not s["uniqueItems"] or len(set(map(same, v))) == len(v),
        "prefixItems": lambda v, s, r: all(matches(*pair, r) for pair in zip(v, s["prefixItems"], strict=False)),
        "items": lambda v, s, r: all(matches(each, s["items"], r) for each in v[len(s.get("prefixItems", [])) :]),
        "contains": _contained,
    },
    "object": {
        "minProperties": lambda v, s, _: len(v) >= s["minProperties"],
        "maxProperties": lambda v, s, _: len(v) <= s["maxProperties"],
        "required": lambda v, s, _: all(name in v for name in s["required"]),
        "properties": lambda v, s, r: all(matches(v[n], s["properties"][n], r) for n in s["properties"] if n in v),
        "patternProperties": lambda v, s, r: all(
            matches(v[name], each, r) for name in v for each in _patterned(name, s["patternProperties"])
        ),
        "additionalProperties": lambda v, s, r: all(
            matches(v[name], s["additionalProperties"], r) for name in v if not _named(name, s)
        ),
        "propertyNames": lambda v, s, r: all(matches(name, s["propertyNames"], r) for name in v),
        "dependentRequired": lambda v, s, _: all(
            name in v for known, names in s["dependentRequired"].items() if known in v for name in names
        ),
        "dependentSchemas": lambda v, s, r: all(
            matches(v, each, r) for known, each in s["dependentSchemas"].items() if known in v
        ),
    },
}
