"""JSON made for a schema."""

from __future__ import annotations

import json
import random
import re
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.simulator.samples import natural_json, padded_json
from bench.simulator.schemas import SchemaError

_LIMITS = st.tuples(st.integers(-50, 50), st.integers(0, 50)).map(lambda pair: (pair[0], pair[0] + pair[1]))
_LEAVES = st.one_of(
    st.just({"type": "string"}),
    st.just({"type": "boolean"}),
    st.just({"type": "null"}),
    st.just({}),
    st.sampled_from(["date-time", "email", "uuid"]).map(lambda form: {"type": "string", "format": form}),
    st.tuples(st.integers(0, 5), st.integers(0, 30)).map(
        lambda pair: {"type": "string", "minLength": pair[0], "maxLength": sum(pair)}
    ),
    _LIMITS.map(lambda pair: {"type": "integer", "minimum": pair[0], "maximum": pair[1]}),
    _LIMITS.map(lambda pair: {"type": "number", "exclusiveMinimum": pair[0], "exclusiveMaximum": pair[1] + 0.1}),
    st.integers(1, 9).map(lambda step: {"type": "integer", "multipleOf": step}),
    st.lists(st.one_of(st.text(max_size=5), st.integers(0, 9), st.none()), min_size=1, max_size=3).map(
        lambda values: {"enum": values}
    ),
    st.text(max_size=5).map(lambda value: {"const": value}),
)


def _containers(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    properties = st.dictionaries(st.text(min_size=1, max_size=5), inner, max_size=4)
    return st.one_of(
        properties.map(
            lambda made: {"type": "object", "properties": made, "required": list(made), "additionalProperties": False}
        ),
        st.tuples(inner, st.integers(0, 3)).map(lambda pair: {"type": "array", "items": pair[0], "minItems": pair[1]}),
        st.tuples(inner, st.integers(0, 3)).map(lambda pair: {"type": "array", "items": pair[0], "maxItems": pair[1]}),
        st.lists(inner, min_size=1, max_size=3).map(lambda options: {"anyOf": options}),
        st.lists(inner, max_size=3).map(lambda first: {"type": "array", "prefixItems": first, "items": False}),
    )


SCHEMAS = st.recursive(_LEAVES, _containers, max_leaves=8)
NODE = {
    "$defs": {
        "Node": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "next": {"anyOf": [{"$ref": "#/$defs/Node"}, {"type": "null"}]},
                "children": {"type": "array", "items": {"$ref": "#/$defs/Node"}},
            },
            "required": ["name", "next", "children"],
            "additionalProperties": False,
        }
    },
    "$ref": "#/$defs/Node",
}


def rng() -> random.Random:
    """The same random source each time."""
    return random.Random(7)  # noqa: S311


def check(text: str, schema: Any) -> Any:
    """The value, which is valid for the schema."""
    value = json.loads(text)
    jsonschema.Draft202012Validator(schema).validate(value)
    return value


@given(SCHEMAS, st.integers(1, 800))
def test_valid(schema: dict[str, Any], chars: int) -> None:
    """Whatever the schema and the length, the value is valid, and the same for the same random source."""
    check(natural_json(schema, rng()), schema)
    text = padded_json(schema, chars, rng())
    check(text, schema)
    assert text == padded_json(schema, chars, rng())


@given(SCHEMAS, st.integers(600, 2000))
def test_exact_length(schema: dict[str, Any], chars: int) -> None:
    """With one string of free length in it, a value has exactly the asked length."""
    outer = {"type": "object", "properties": {"in": schema, "free": {"type": "string"}}, "required": ["in", "free"]}
    if len(padded_json(outer, 1, rng())) < 600:
        assert len(padded_json(outer, chars, rng())) == chars


@pytest.mark.parametrize("chars", [1, 200, 2000, 32_000])
def test_recursion(chars: int) -> None:
    """A schema that refers to itself comes to an end, and to its length."""
    text = padded_json(NODE, chars, rng())
    check(text, NODE)
    assert len(text) == max(chars, len(padded_json(NODE, 1, rng())))


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"properties": {"a": {"type": "integer"}}, "required": ["a"]}, {"type": "object"}]},
        {"type": ["null", "string"]},
        {"type": "object", "required": ["extra"], "additionalProperties": {"type": "integer"}},
        {"oneOf": [{"type": "object", "properties": {"kind": {"const": k}}, "required": ["kind"]} for k in "ab"]},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True},
        {"type": "number", "multipleOf": 0.5, "minimum": 0.3, "maximum": 0.7},
        {"type": "integer", "minimum": -1_000_000_000, "maximum": 1_000_000_000},
        {"$defs": {"a/b": {"type": "boolean"}}, "$ref": "#/$defs/a~1b"},
    ],
    ids=lambda schema: next(iter(schema)),
)
def test_keywords(schema: dict[str, Any]) -> None:
    """Joined, referred and optional schemas give valid values."""
    check(natural_json(schema, rng()), schema)
    check(padded_json(schema, 400, rng()), schema)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "string", "pattern": "^a$"}, "keyword 'pattern'"),
        ({"not": {}}, "keyword 'not'"),
        ({"$ref": "#/$defs/Nobody"}, "'#/$defs/Nobody' is not in it"),
        ({"$ref": "other.json"}, "does not refer to this schema"),
        ({"$ref": "#"}, "refers to itself without an end"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "refers to itself without an end"),
        ({"properties": {"a": False}}, "allows no value"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "allows no number"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "allows no array"),
        ({"type": "word"}, "'word' is not a type"),
        ({"allOf": [{"minimum": 1}, {"minimum": 2}]}, "two different 'minimum'"),
        ({"type": "array", "minItems": "many"}, "not well-formed"),
        ({"enum": []}, "not well-formed"),
        ({"type": "array", "items": {"type": "null"}, "minItems": 10**12}, "more than 200000 values"),
        ({"type": "string", "minLength": 10**12}, "more than 1000000 characters"),
        ({"properties": 5}, "not well-formed"),
        ({"items": 5, "minItems": 1}, "5 is not a schema"),
        ({"type": "string", "minLength": 9, "maxLength": 3}, "allows no string"),
    ],
    ids=str,
)
def test_refused(schema: dict[str, Any], says: str) -> None:
    """A schema that is broken, impossible or beyond the simulator is refused with the reason."""
    with pytest.raises(SchemaError, match=re.escape(says)):
        natural_json(schema, rng())
    with pytest.raises(SchemaError, match=re.escape(says)):
        padded_json(schema, 100, rng())
