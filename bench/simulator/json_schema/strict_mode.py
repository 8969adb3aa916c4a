"""Refuse what OpenAI's strict mode refuses, in OpenAI's words; its guide "Structured Outputs" lists the subset."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

FORMATS: Mapping[str, str] = {
    "date-time": "2024-05-17T09:30:00Z",
    "date": "2024-05-17",
    "time": "09:30:00Z",
    "duration": "P3DT4H",
    "email": "reader@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.7",
    "ipv6": "2001:db8::7",
    "uuid": "3f2b8c9e-5d41-4c7a-9b60-1e8a7d2f4c35",
}
"""Formats of a string that strict mode takes, each with an example."""
_KEYWORDS = (
    {"type", "enum", "const", "anyOf", "$ref", "$defs", "definitions", "title", "description", "$schema"}
    | {"properties", "required", "additionalProperties", "items", "minItems", "maxItems", "pattern", "format"}
    | {"minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"}
)


class SchemaError(ValueError):
    """No value can be made: the schema is broken, allows none, or uses keywords that are not known here."""


def check_strict(schema: Mapping[str, Any]) -> None:
    """Raise `SchemaError` with the first thing that strict mode refuses, and its place in the schema."""
    if (kind := schema.get("type")) != "object" and "$ref" not in schema:
        raise SchemaError(f"schema must be a JSON Schema of 'type: \"object\"', got 'type: \"{kind}\"'")
    try:
        _check(schema, ())
    except (TypeError, AttributeError) as error:
        raise SchemaError(f"it is not well-formed ({error})") from error


def _check(schema: Any, place: tuple[str, ...]) -> None:
    if not isinstance(schema, Mapping):
        raise SchemaError(f"In context={place}, {schema!r:.40} is not of type 'object', 'boolean'")
    if problem := _problem(schema):
        raise SchemaError(f"In context={place}, {problem}")
    for keyword in ("properties", "$defs", "definitions"):
        for name, part in schema.get(keyword, {}).items():
            _check(part, (*place, keyword, name))
    for number, part in enumerate(schema.get("anyOf", ())):
        _check(part, (*place, "anyOf", str(number)))
    if "items" in schema:
        _check(schema["items"], (*place, "items"))


def _problem(schema: Mapping[str, Any]) -> str | None:
    """Return what is wrong with a schema itself, apart from its parts."""
    if refused := next((keyword for keyword in schema if keyword not in _KEYWORDS), None):
        return f"'{refused}' is not permitted"
    if "$ref" in schema:
        others = sorted(schema.keys() - {"$ref", "$defs", "definitions"})
        return f"$ref cannot have keywords {{{str(others)[1:-1]}}}" if others else None
    if "type" not in schema and "anyOf" not in schema:
        return "schema must have a 'type' key"
    kinds = schema.get("type", ())
    if "array" in kinds and "items" not in schema:
        return "array schema missing items"
    if "format" in schema and schema["format"] not in FORMATS:
        return f"'{schema['format']}' is not a valid format"
    return _object_problem(schema) if "object" in kinds or "properties" in schema else None


def _object_problem(schema: Mapping[str, Any]) -> str | None:
    if schema.get("additionalProperties") is not False:
        return "'additionalProperties' is required to be supplied and to be false"
    properties, required = schema.get("properties", {}), schema.get("required", ())
    rule = "'required' is required to be supplied and to be an array including every key in properties."
    if missing := next((name for name in properties if name not in required), None):
        return f"{rule} Missing '{missing}'"
    if extra := next((name for name in required if name not in properties), None):
        return f"{rule} Extra required key '{extra}' supplied"
    return None
