"""JSON made for a schema."""

from __future__ import annotations

import datetime as dt
import enum
import json
import random
import re
from decimal import Decimal
from typing import Annotated, Any, Literal

import jsonschema  # type: ignore[import-untyped]
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from pydantic import AnyUrl, BaseModel, Field

from bench.simulator.json_schema.samples import natural_json, padded_json
from bench.simulator.json_schema.strict_mode import SchemaError

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


A_THING = {"type": "object", "properties": {"size": {"type": "integer", "minimum": 3}}, "required": ["size"]}
A_NAME = {"type": "object", "properties": {"name": {"type": "string"}, "size": {"maximum": 4}}, "required": ["name"]}


FEW: list[tuple[dict[str, Any], int]] = [
    ({"enum": list("abcdef")}, 6),
    ({"anyOf": [{"enum": ["a", "b"]}, {"type": "boolean"}, {"type": "null"}]}, 5),
    ({"type": "integer", "minimum": 1, "maximum": 9}, 9),
]


class Colour(enum.StrEnum):
    """A choice."""

    RED = "red"
    BLUE = "blue"


class Leaf(BaseModel):
    """What pydantic makes schemas of."""

    kind: Literal["leaf"]
    colour: Colour
    price: Decimal
    day: dt.date
    tags: set[str] = Field(min_length=3)
    pair: tuple[int, str]
    code: str = Field(pattern="^[A-Z]{2}-[0-9]{4}$")
    rates: dict[str, float]
    page: AnyUrl | None = None


class Branch(BaseModel):
    """It holds others, and itself."""

    kind: Literal["branch"]
    parts: list[Annotated[Leaf | Branch, Field(discriminator="kind")]] = Field(min_length=1)
    by_colour: dict[Colour, int] = Field(min_length=1)


def rng(seed: int = 7) -> random.Random:
    """The same random source each time."""
    return random.Random(seed)  # noqa: S311


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


_SMALL = st.integers(0, 3)
_RARE = st.one_of(
    st.sampled_from([r"^[a-z]{2,5}-\d+$", r"\w+@\w+", r"^(a|bc)*d?$", r"^[^x]+$", "", r"^(?!no)\S{3}$"]).map(
        lambda pattern: {"type": "string", "pattern": pattern}
    ),
    st.fixed_dictionaries({"type": st.just("string"), "pattern": st.just("^[a-z]+$"), "minLength": st.integers(1, 40)}),
    st.sampled_from([0.1, 0.01, 0.5, 1.5, 3, 7]).map(lambda step: {"type": "number", "multipleOf": step}),
    st.sampled_from([0.5, 1.5, 2.5]).map(lambda step: {"type": "integer", "multipleOf": step}),
    st.sampled_from([["null", "integer"], ["string", "number"], ["object", "array"]]).map(
        lambda types: {"type": types}
    ),
    _SMALL.map(lambda least: {"type": "object", "minProperties": least}),
    _SMALL.map(lambda most: {"type": "object", "maxProperties": most, "properties": {"a": {}, "b": {}, "c": {}}}),
    st.just({"enum": [1, "a", None, True], "type": ["string", "null"]}),
)


def _combined(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    several = st.lists(inner, min_size=1, max_size=3)
    keywords = {
        "allOf": several,
        "anyOf": several,
        "oneOf": several,
        "not": inner,
        "if": inner,
        "then": inner,
        "else": inner,
        "items": inner,
        "contains": inner,
        "minItems": _SMALL,
        "uniqueItems": st.booleans(),
        "properties": st.dictionaries(st.sampled_from("abcd"), inner, max_size=3),
        "required": st.lists(st.sampled_from("abcd"), max_size=2, unique=True),
        "patternProperties": st.dictionaries(st.sampled_from(["^a", "[cd]", "^x_"]), inner, max_size=2),
        "additionalProperties": inner | st.booleans(),
        "propertyNames": st.sampled_from([{"maxLength": 4}, {"enum": ["a", "x", "key_1"]}, {"const": "b"}]),
        "minProperties": _SMALL,
        "maxProperties": _SMALL,
        "type": st.sampled_from(["string", "integer", "boolean", "object", ["array", "null"], ["number", "string"]]),
        "minimum": _SMALL,
        "enum": st.lists(st.sampled_from([0, 1, 1.0, 2.5, "", "a", True, False, None, [], {}]), min_size=1, max_size=4),
        "const": st.sampled_from([1, "a", None, {"a": 1}]),
        "dependentRequired": st.dictionaries(st.sampled_from("ab"), st.just(["c"]), max_size=1),
        "dependentSchemas": st.dictionaries(st.sampled_from("ab"), inner, max_size=1),
    }
    return st.lists(st.sampled_from(sorted(keywords)), min_size=1, max_size=3, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: keywords[name] for name in names})
    )


ANY_SCHEMA = st.recursive(_LEAVES | _RARE, lambda inner: _containers(inner) | _combined(inner), max_leaves=6)


@given(ANY_SCHEMA, st.integers(0, 10_000))
@example({"anyOf": [{"type": "array", "items": {"type": "string"}, "minItems": 1}], "items": {"type": "boolean"}}, 7)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_never_wrong(schema: dict[str, Any], seed: int) -> None:
    """Of whatever keywords a schema is made, an answer is valid; what cannot be answered is refused, never wrong."""
    for make in (natural_json, lambda *given: padded_json(given[0], 120, given[1])):
        try:
            text = make(schema, rng(seed))
        except SchemaError:
            continue
        check(text, schema)


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
        {"$defs": {"a": A_THING, "b": A_NAME}, "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}]},
        {"allOf": [{"type": "integer", "multipleOf": 4}, {"type": "number", "multipleOf": 6, "minimum": 1}]},
        {"type": "array", "items": {"type": "string"}, "uniqueItems": True, "minItems": 5},
        *({"type": "array", "items": items, "uniqueItems": True, "minItems": count} for items, count in FEW),
        {"type": "object", "patternProperties": {"^S_[0-9]+$": {"type": "string"}}, "additionalProperties": False},
        {"type": "object", "additionalProperties": {"type": "integer"}, "minProperties": 3},
        {"properties": {"key_2": {"type": "integer"}}, "minProperties": 2},
        {"propertyNames": {"enum": ["a", "b"]}, "minProperties": 2},
        {"type": "object", "propertyNames": False},
        {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 1, "required": ["c"]},
        {"type": "object", "properties": {"a": {}, "b": {}, "c": {}}, "maxProperties": 2},
        {"additionalProperties": {"type": "integer"}, "maxProperties": 0},
        {"properties": {"a": {"type": "string", "enum": [1]}, "b": {}}},
        {"prefixItems": [{"type": "integer"}, False]},
        {"type": "string", "enum": ["a", None]},
        {"type": "integer", "enum": [1, 2, 3.0, True], "minimum": 2},
        {"$defs": {"a": {"type": "integer"}}, "enum": ["a", 1], "anyOf": [{"$ref": "#/$defs/a"}]},
        {"properties": {"a": False, "b": {"type": "integer"}}},
        {"if": {"required": ["a"]}, "then": {"required": ["b"]}, "properties": {"a": {}, "b": {}}},
        {"oneOf": [{"type": "integer"}, {"type": "number", "minimum": 3}]},
        {"anyOf": [{"type": "string", "pattern": r"\p{L}"}, {"type": "integer"}]},
        {"allOf": [A_THING], "unevaluatedProperties": False},
        {"type": "string", "pattern": r"^(?!^[-+.]*$)[+-]?0*\d*\.?\d*$"},
        {"type": "string", "pattern": r"^(\d{4})-(0[1-9]|1[0-2])$"},
        {"type": "string", "pattern": "^[a-zA-Z ,.'-]+$", "minLength": 100},
        {"type": "string", "format": "date", "pattern": "^1"},
    ],
    ids=lambda schema: str(schema)[:60],
)
def test_keywords(schema: dict[str, Any]) -> None:
    """Joined, referred and optional schemas give valid values, whatever the seed."""
    for seed in range(7, 27):
        check(natural_json(schema, rng(seed)), schema)
        check(padded_json(schema, 400, rng(seed)), schema)


def test_named_groups() -> None:
    """A pattern with groups named as JavaScript does it is understood."""
    made = json.loads(natural_json({"type": "string", "pattern": r"^(?<year>\d{4})(?<!0)-(?<month>0[1-9])$"}, rng()))
    assert re.fullmatch(r"\d{3}[1-9]-0[1-9]", made)


@pytest.mark.parametrize("chars", [1, 300, 8000])
@pytest.mark.parametrize("model", [Leaf, Branch])
def test_pydantic(model: type[BaseModel], chars: int) -> None:
    """What pydantic asks for by its schema, pydantic takes."""
    for text in (padded_json(model.model_json_schema(), chars, rng()), natural_json(model.model_json_schema(), rng())):
        check(text, model.model_json_schema())
        model.model_validate_json(text)


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "string", "pattern": r"^\p{L}$"}, "does not know the pattern"),
        ({"type": "string", "pattern": "^a$", "minLength": 2}, "found no text of the asked length"),
        ({"not": {}}, "no value that it allows"),
        ({"$dynamicRef": "#a"}, "'a' does not exist"),
        ({"$ref": "#nobody"}, "'#nobody' does not refer to this schema"),
        (
            {"type": "array", "items": {"type": "boolean"}, "uniqueItems": True, "minItems": 3},
            "too few different values",
        ),
        ({"minProperties": 1, "additionalProperties": False}, "it allows no value"),
        ({"allOf": [{"type": "string"}, {"type": "integer"}]}, "no value that it allows"),
        ({"type": "array", "items": {"type": "string"}, "contains": {"const": "x"}}, "no value that it allows"),
        ({"not": {"type": "string"}}, "no value that it allows"),
        ({"properties": {"a": {}, "b": {}}, "not": {"required": ["a"]}}, "no value that it allows"),
        ({"$defs": {"x": {"$anchor": "here"}}, "$ref": "#here"}, "'#here' does not refer to this schema"),
        ({"propertyNames": {"pattern": "^[A-Z]{3}$"}, "minProperties": 2}, "no value that it allows"),
        ({"propertyNames": {"enum": ["a"]}, "minProperties": 2}, "no value that it allows"),
        ({"type": "string", "enum": [1, 2]}, "none of the values that it lists"),
        ({"type": "integer", "const": 1, "minimum": 2}, "none of the values that it lists"),
        ({"anyOf": []}, "empty list of options"),
        ({"required": ["a", "b"], "maxProperties": 1}, "no value that it allows"),
        ({"$ref": "#/$defs/Nobody"}, "'#/$defs/Nobody' is not in it"),
        ({"$ref": "other.json"}, "does not refer to this schema"),
        ({"$ref": "#"}, "refers to itself without an end"),
        ({"properties": {"a": {"$ref": "#"}}, "required": ["a"]}, "refers to itself without an end"),
        ({"properties": {"a": False}, "required": ["a"]}, "allows no value"),
        ({"type": "integer", "minimum": 5, "maximum": 4}, "allows no number"),
        ({"type": "array", "minItems": 2, "maxItems": 1}, "allows no array"),
        ({"type": "word"}, "'word' is not a type"),
        ({"type": "number", "allOf": [{"minimum": 3}, {"maximum": 2}]}, "allows no number"),
        ({"type": "array", "minItems": "many"}, "not well-formed"),
        ({"enum": []}, "none of the values that it lists"),
        ({"enum": 5}, "not well-formed"),
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
