"""A value for a JSON Schema, with the places where it can still be stretched.

The same schema and random source give the same value. What strict mode takes is valid as it is made, and so are the
properties that need not be there, maps and tuples. `oneOf` is made as `anyOf`, what `allOf` names is put together, and
other keywords are passed over: `samples` looks at the whole then.
"""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import string
from collections.abc import Callable, Iterable, Iterator, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, TypeVar

import rstr

from bench.simulator.json_schema.strict_mode import FORMATS, SchemaError

_DEEP = 9
"""From this nesting on (a `$ref` counts twice more), only what must be there is made: recursion comes to an end."""
_TOO_DEEP = 60
_TOO_MANY = 200_000
_TOO_LONG = 1_000_000
_TRIES = 100
_NATURAL_CHARS = 24
_EXAMPLES = {**FORMATS, "uri": "https://example.com/garden"}
_HINTS: Mapping[str, str] = {
    **dict.fromkeys(["properties", "required", "additionalProperties", "minProperties"], "object"),
    **dict.fromkeys(["items", "prefixItems", "minItems"], "array"),
    **dict.fromkeys(["minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"], "number"),
}
"""The type that a schema without one is about; else it is a string."""
_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_REMARKS = {"title", "description", "default", "examples", "deprecated", "$schema", "$defs", "definitions"}
_Option = TypeVar("_Option")


class Impossible(SchemaError):
    """No value of this part of a schema is allowed or found; another part may still do."""


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
    """Makes a value for one schema, with `first_items` in each array where that is allowed.

    Raises `SchemaError`, and its subclass `Impossible` when nothing is wrong with the schema but that no value was
    found.
    """

    def __init__(self, schema: Any, rng: random.Random, first_items: int) -> None:
        self.slots: list[Slot] = []
        self.arrays: list[Growable] = []
        self.has_joined = False
        """Two schemas that both ask for something were put together: the value may be wrong."""
        self._schema, self._rng, self._first_items = schema, rng, first_items
        self._count = 0
        self.root = self._make(schema, 0)

    def _make(self, schema: Any, depth: int, taken: AbstractSet[str] = frozenset()) -> Any:
        """Make a value; where it is one of few, its `repr` is none of `taken`."""
        if depth > _TOO_DEEP:
            raise Impossible("it refers to itself without an end")
        self._count += 1
        if self._count > _TOO_MANY:
            raise SchemaError(f"it asks for more than {_TOO_MANY} values")
        known = self._flat(schema)
        depth += 2 if "$ref" in _as_mapping(schema) else 0
        if "const" in known or "enum" in known:
            return self._choose(self._listed_values(known), taken)
        for keyword in ("anyOf", "oneOf"):
            if keyword in known:
                rest = {key: value for key, value in known.items() if key != keyword}
                options = [{"allOf": [rest, option]} for option in self._in_order(known[keyword], depth)]
                return self._first(options, lambda option: self._make(option, depth + 1, taken))
        types = known.get("type") or next((kind for hint, kind in _HINTS.items() if hint in known), "string")
        names = [types] if isinstance(types, str) else sorted(types, key=lambda name: name == "null")
        return self._first(names, lambda name: self._make_typed(name, known, depth, taken))

    def _listed_values(self, schema: Mapping[str, Any]) -> list[Any]:
        """Return the values of `const` or `enum` that the other keywords allow too."""
        values = [schema["const"]] if "const" in schema else list(schema["enum"])
        others = schema.keys() - _REMARKS - {"const" if "const" in schema else "enum"}
        if others == {"type"}:
            types = [schema["type"]] if isinstance(schema["type"], str) else schema["type"]
            values = [value for value in values if any(_has_type(value, name) for name in types)]
        elif others:
            values = valid_values(values, schema, self._schema)
        if not values:
            raise Impossible("it allows none of the values that it lists")
        return values

    def _choose(self, values: Iterable[Any], taken: AbstractSet[str]) -> Any:
        free = [value for value in values if not taken or repr(value) not in taken]
        if not free:
            raise Impossible("it allows too few different values")
        return self._rng.choice(free)

    def _first(self, options: Iterable[_Option], make: Callable[[_Option], Any]) -> Any:
        """Return what `make` makes of the first option that it can make anything of."""
        failure: SchemaError = SchemaError("it has an empty list of options")
        for option in options:
            slots, arrays = len(self.slots), len(self.arrays)
            try:
                return make(option)
            except Impossible as error:
                del self.slots[slots:], self.arrays[arrays:]
                failure = error
        raise failure

    def _flat(self, schema: Any, level: int = 0) -> Mapping[str, Any]:
        """Merge `$ref` and `allOf` into the schema: properties and required names add up, of others the last wins."""
        known = dict(_as_mapping(schema))
        if level > _TOO_DEEP:
            raise SchemaError("it refers to itself without an end")
        parts = [_resolve(known.pop("$ref"), self._schema)] if "$ref" in known else []
        for part in [*parts, *known.pop("allOf", ())]:
            other = self._flat(part, level + 1)
            self.has_joined = self.has_joined or bool(known.keys() - _REMARKS and other.keys() - _REMARKS)
            joined: dict[str, Any] = {}
            if "properties" in known and "properties" in other:
                ours, theirs = known["properties"], other["properties"]
                both = {name: {"allOf": [ours[name], theirs[name]]} for name in ours if name in theirs}
                joined["properties"] = {**ours, **theirs, **both}
            if "required" in known and "required" in other:
                joined["required"] = [*known["required"], *other["required"]]
            known = {**known, **other, **joined}
        return known

    def _in_order(self, options: list[Any], depth: int) -> list[Any]:
        """Sort options as they are to be tried: any, null last; deep down the shortest that refers to nothing further.

        A number that may also be any string, as pydantic's Decimal, is a number.
        """
        number = {"type": "number"} in options

        def rank(option: Any) -> tuple[int, ...]:
            text_for_number = number and _as_mapping(option).get("type") == "string"
            if depth < _DEEP:
                return option == {"type": "null"}, text_for_number
            text = json.dumps(_resolve(option["$ref"], self._schema) if "$ref" in option else option)
            return '"$ref"' in text, text_for_number, len(json.dumps(option))

        return sorted(self._rng.sample(options, len(options)), key=rank)

    def _make_typed(self, name: str, schema: Mapping[str, Any], depth: int, taken: AbstractSet[str]) -> Any:
        match name:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return self._choose(_numbers(schema, whole=name == "integer"), taken)
            case "boolean":
                return self._choose((True, False), taken)
            case "null":
                return self._choose((None,), taken)
        raise SchemaError(f"{name!r} is not a type")

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """Make an object: all properties, from depth `_DEEP` on only required ones. A map gets one made-up entry.

        What need not be there is left out where there is no room for it, or no value.
        """
        properties, required = schema.get("properties", {}), schema.get("required", ())
        others = schema.get("additionalProperties", True)
        least, most = schema.get("minProperties", 0), schema.get("maxProperties", math.inf)
        made: dict[str, Any] = {}

        def add(name: str, part: Any, *, needed: bool) -> None:
            names = [[name]] if needed else [[name], []]
            made.update(self._first(names, lambda chosen: {each: self._make(part, depth + 1) for each in chosen}))

        room = most - len(set(required))
        for name in dict.fromkeys([*properties, *required]):
            if name in required:
                add(name, properties.get(name, others), needed=True)
            elif depth < _DEEP and room > 0:
                add(name, properties[name], needed=False)
                room -= name in made
        is_map = isinstance(others, Mapping) and bool(others) and depth < _DEEP and not made
        wanted = max(least, min(int(is_map), most)) - len(made)
        free = (name for name in self._names(schema) if name not in properties and name not in made)
        for name in itertools.islice(free, max(wanted, 0)):
            add(name, others, needed=len(made) < least)
        return made

    def _names(self, schema: Mapping[str, Any]) -> Iterator[str]:
        """Yield names for entries of a map: those that `propertyNames` lists, else made-up ones without an end."""
        names = self._flat(schema.get("propertyNames", True))
        if "const" in names or "enum" in names:
            yield from (name for name in self._listed_values(names) if isinstance(name, str))
        else:
            yield from (f"key_{number}" for number in itertools.count(1))

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first, others = schema.get("prefixItems", ()), schema.get("items", True)
        low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        if others is False:
            high = min(high, len(first))
        if schema.get("uniqueItems"):
            high = min(high, max(low, len(first), 1))
        if low > high:
            raise Impossible("it allows no array")

        def make(count: int) -> list[Any]:
            made: list[Any] = []
            taken: set[str] = set()
            for place in range(count):
                made.append(self._make(first[place] if place < len(first) else others, depth + 1, taken))
                if schema.get("uniqueItems"):
                    taken.add(repr(made[-1]))
            return made

        count = low if depth >= _DEEP else int(min(max(low, len(first), self._first_items), high))
        items: list[Any] = self._first(dict.fromkeys([count, low]), make)
        if depth < _DEEP and len(items) >= len(first):
            self.arrays.append(Growable(items, high, lambda: self._make(others, depth + 1)))
        return items

    def _string(self, schema: Mapping[str, Any]) -> str | Slot:
        low, high = schema.get("minLength", 1), schema.get("maxLength", math.inf)
        if low > _TOO_LONG:
            raise SchemaError(f"it asks for a string of more than {_TOO_LONG} characters")
        if "pattern" in schema:
            return _text_for(schema["pattern"], schema.get("minLength", 0), high, self._rng)
        if (example := _EXAMPLES.get(schema.get("format", ""))) is not None:
            if not low <= len(example) <= high:
                raise Impossible(f"the simulator has no {schema['format']!r} of that length")
            return example
        if schema.get("minLength", 0) > high:
            raise Impossible("it allows no string")
        self.slots.append(Slot(int(min(low, high)), high))
        return self.slots[-1]


def _as_mapping(schema: Any) -> Mapping[str, Any]:
    """Return a schema as a mapping: true allows all, as {} does. Raise `Impossible` for false."""
    if schema is True:
        return {}
    if isinstance(schema, Mapping):
        return schema
    if schema is False:
        raise Impossible("it allows no value")
    raise SchemaError(f"{schema!r:.40} is not a schema")


def _resolve(reference: object, root: Any) -> Any:
    """Return the part of the schema that a `$ref` names."""
    if not isinstance(reference, str) or not re.match("#(/|$)", reference):
        raise SchemaError(f"{reference!r} does not refer to this schema")
    found = root
    for part in reference.split("/")[1:]:
        try:
            found = found[int(part) if isinstance(found, list) else part.replace("~1", "/").replace("~0", "~")]
        except (LookupError, TypeError, ValueError) as error:
            raise SchemaError(f"{reference!r} is not in it") from error
    return found


def valid_values(values: Iterable[Any], schema: Any, root: Any) -> list[Any]:
    """Return the values that are valid for `schema`, a part of `root`."""
    from jsonschema import Draft202012Validator  # type: ignore[import-untyped]  # noqa: PLC0415  (36 ms, seldom needed)

    Draft202012Validator.check_schema(schema)
    validator = Draft202012Validator(root).evolve(schema=schema)
    return [value for value in values if validator.is_valid(value)]


def _has_type(value: Any, name: str) -> bool:
    return type(value) in _TYPES.get(name, ()) or (name == "integer" and type(value) is float and value.is_integer())


def _numbers(schema: Mapping[str, Any], *, whole: bool) -> list[float]:
    """Return some of the numbers that are allowed, near 1 where that is. Raises `Impossible`."""
    least, most = schema.get("minimum", -math.inf), schema.get("maximum", math.inf)
    above, below = schema.get("exclusiveMinimum", -math.inf), schema.get("exclusiveMaximum", math.inf)
    low, high = max(least, above), min(most, below)
    step = Fraction(str(schema.get("multipleOf", 1 if whole else 0.25)))
    step = Fraction(step.numerator) if whole else step
    start = max(low, min(1, high - 99 * step))
    steps = range(math.ceil(start / step), math.floor(min(high, start + 99 * step) / step) + 1)
    plain = whole or ("multipleOf" in schema and step.denominator == 1)
    values = [int(step * number) if plain else float(step * number) for number in steps]
    # the last condition: others divide floats, where 0.3 is no multiple of 0.1
    fitting = [value for value in values if above < value < below and (value / float(step)).is_integer()]
    if fitting:
        return fitting
    middle: float = (low + high) / 2
    if whole or "multipleOf" in schema or not (least <= middle <= most and above < middle < below):
        raise Impossible("it allows no number")
    return [middle]


class _Repeatable(random.Random):
    """What rstr draws from: its choice among the members of a set depends on the seed alone, and repeats are few."""

    most_repeats = 12

    def choice(self, seq: Any) -> Any:
        """Choose from the options in an order of their own."""
        return super().choice(sorted(seq, key=str))

    def randint(self, a: int, b: int) -> int:
        """Return how often to repeat what may be repeated `a` to `b` times."""
        return super().randint(a, min(b, a + self.most_repeats))


def _text_for(pattern: str, low: int, high: float, rng: random.Random) -> str:
    """Make a text of `low` to `high` characters that fits a pattern. Raises `Impossible` when none is found."""
    source = _Repeatable(rng.random())
    source.most_repeats = max(source.most_repeats, low)
    writer = rstr.Rstr(source, printable=string.ascii_letters + string.digits)
    try:
        finder = re.compile(re.sub(r"\(\?<(?![=!])", "(?P<", pattern))  # groups named as JavaScript does it
        for _ in range(_TRIES):
            text = writer.xeger(finder).ljust(low, "x")
            if len(text) <= high and finder.search(text):
                return text
    except (re.error, KeyError) as error:
        raise Impossible(f"the simulator does not know the pattern {pattern!r} ({error})") from error
    raise Impossible(f"the simulator found no text of the asked length for the pattern {pattern!r}")
