"""A value for a JSON schema, with the places where it can still be stretched.

Pure: the same schema and random source give the same value. What is simple is made valid as it is made; for the rest
(`not`, `oneOf`, `if`, …) `samples` looks at the whole and asks for another one.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

import orjson

from bench.simulator.json_schema.merge import as_mapping, joined
from bench.simulator.json_schema.patterns import text_for
from bench.simulator.json_schema.scalars import NUMERIC, Slot, number_for, string_for
from bench.simulator.json_schema.validity import Impossible, SchemaError, matches, property_schemas, resolve, same

_DEEP = 9
"""From this nesting on (a `$ref` counts twice more), only what must be there is made: recursion comes to an end."""
_TOO_DEEP = 60
_TOO_MANY = 200_000
_TRIES = 50
_WORKED_IN = {"$ref", "allOf", "if", "dependentSchemas", "$dynamicRef"}
_TYPES = ("string", "integer", "number", "boolean", "object", "array", "null")
_HINTS: Mapping[str, str] = {
    **dict.fromkeys(["properties", "required", "patternProperties", "minProperties", "propertyNames"], "object"),
    **dict.fromkeys(["additionalProperties", "dependentRequired"], "object"),
    **dict.fromkeys(["items", "prefixItems", "minItems", "uniqueItems", "contains"], "array"),
    **dict.fromkeys(NUMERIC, "number"),
}
"""The type that a schema without one is about."""
_Option = TypeVar("_Option")


@dataclass
class Growable:
    """An array that may get more items."""

    items: list[Any]
    high: float
    make: Callable[[], Any]


class Sampler:
    """Makes a value for one schema, with `first_items` in each array where that is allowed.

    `bold` leaves out what need not be there, and takes any type where none is named, at random. Raises `SchemaError`,
    and its subclass `Impossible` when nothing is wrong with the schema but that no value was found.
    """

    def __init__(self, schema: Any, rng: random.Random, first_items: int, *, bold: bool = False) -> None:
        self.slots: list[Slot] = []
        self.arrays: list[Growable] = []
        self._schema, self._rng, self._first_items, self._bold = schema, rng, first_items, bold
        self._made = 0
        self.root = self._make(schema, 0)

    def _make(self, schema: Any, depth: int) -> Any:
        if depth > _TOO_DEEP:
            raise Impossible("it refers to itself without an end")
        self._made += 1
        if self._made > _TOO_MANY:
            raise SchemaError(f"it asks for more than {_TOO_MANY} values")
        known = self._flat(schema)
        depth += 2 if "$ref" in as_mapping(schema) else 0
        if "const" in known or "enum" in known:
            return self._given(known)
        for keyword in ("anyOf", "oneOf"):
            if keyword in known:
                rest = {key: value for key, value in known.items() if key != keyword}
                options = [{"allOf": [rest, option]} for option in self._ordered(known[keyword], depth)]
                return self._first(options, lambda option: self._make(option, depth + 1))
        types = self._types(known)
        if len(types) == 1:
            return self._typed(types[0], known, depth)
        return self._first(types, lambda type_: self._typed(type_, known, depth))

    def _first(self, options: Iterable[_Option], make: Callable[[_Option], Any]) -> Any:
        """What `make` makes of the first option that it can make anything of."""
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
        """The schema with `$ref`, `allOf`, `if` and `dependentSchemas` worked in."""
        if level > _TOO_DEEP:
            raise SchemaError("it refers to itself without an end")
        found = as_mapping(schema)
        if not _WORKED_IN & found.keys():
            return found
        known = dict(found)
        if "$dynamicRef" in known:
            raise SchemaError("the simulator does not know the keyword '$dynamicRef'")
        parts = [resolve(known.pop("$ref"), self._schema)] if "$ref" in known else []
        parts += known.pop("allOf", [])
        if "if" in known:
            when, then, otherwise = (known.pop(key, True) for key in ("if", "then", "else"))
            parts.append({"anyOf": [{"allOf": [when, then]}, otherwise]})
        parts += known.pop("dependentSchemas", {}).values()
        return joined([*(self._flat(part, level + 1) for part in parts), known])

    def _given(self, schema: Mapping[str, Any]) -> Any:
        """One of the values that the schema lists, and that all else in it allows."""
        values = [schema["const"]] if "const" in schema else schema["enum"]
        allowed = [value for value in values if matches(value, schema, self._schema)]
        if not allowed:
            raise Impossible("it allows none of the values that it lists")
        return self._rng.choice(allowed)

    def _ordered(self, options: list[Any], depth: int) -> list[Any]:
        """In the order to try them: any, null last; deep down the shortest first that refers to nothing further.

        A number that may also be any string, as pydantic's Decimal, is a number.
        """
        number = {"type": "number"} in options
        shuffled = self._rng.sample(options, len(options))
        null, string = {"type": "null"}, {"type": "string"}
        if depth < _DEEP:
            return sorted(shuffled, key=lambda option: (option == null, number and option == string))
        return sorted(
            shuffled,
            key=lambda option: (self._refers(option), number and option == string, len(orjson.dumps(option))),
        )

    def _refers(self, option: Any) -> bool:
        reference = option.get("$ref") if isinstance(option, Mapping) else None
        return b'"$ref"' in orjson.dumps(resolve(reference, self._schema) if reference else option)

    def _types(self, schema: Mapping[str, Any]) -> list[str]:
        """In the order to try them: null last."""
        type_ = schema.get("type")
        if type_ is not None:
            return [type_] if isinstance(type_, str) else sorted(type_, key=lambda name: name == "null")
        hinted = next((found for hint, found in _HINTS.items() if hint in schema), None)
        if self._bold:
            return self._rng.sample(_TYPES, len(_TYPES))
        return [hinted or "string"]

    def _typed(self, type_: str, schema: Mapping[str, Any], depth: int) -> Any:
        match type_:
            case "object":
                return self._object(schema, depth)
            case "array":
                return self._array(schema, depth)
            case "string":
                return self._string(schema)
            case "integer" | "number":
                return number_for(schema, self._rng, whole=type_ == "integer")
            case "boolean":
                return self._rng.random() < 0.5
            case "null":
                return None
        raise SchemaError(f"{type_!r} is not a type")

    def _object(self, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        schema = {"additionalProperties": schema.get("unevaluatedProperties", True), **schema}
        required = [*schema.get("required", []), *_dependent(schema)]
        properties = schema.get("properties", {})
        room = schema.get("maxProperties", math.inf) - len(set(required))
        if room < 0:
            raise Impossible("it asks for more properties than it allows")
        made: dict[str, Any] = {}
        for name in dict.fromkeys([*properties, *required]):
            if name in required:
                made[name] = self._property(name, schema, depth)
            elif len(made.keys() - set(required)) < room and self._wanted(name, schema, depth):
                made |= self._first([[name], []], lambda names: {n: self._property(n, schema, depth) for n in names})
        return self._filled(made, schema, depth)

    def _property(self, name: str, schema: Mapping[str, Any], depth: int) -> Any:
        found = property_schemas(name, schema)
        return self._make(found[0] if len(found) == 1 else {"allOf": found}, depth + 1)

    def _wanted(self, name: str, schema: Mapping[str, Any], depth: int) -> bool:
        """Shall a property that need not be there be there?"""
        allowed = matches(name, schema.get("propertyNames", True), self._schema)
        return allowed and depth < _DEEP and not (self._bold and self._rng.random() < 0.5)

    def _filled(self, made: dict[str, Any], schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """With properties of made-up names: as many as must be there, and one if there are no others to show."""
        least = schema.get("minProperties", 0)
        is_map = "patternProperties" in schema or schema["additionalProperties"] not in (True, False, {})
        wish = max(least, min(int(is_map and depth < _DEEP and not made), schema.get("maxProperties", 1)))
        for number in range(_TRIES):
            if len(made) >= wish:
                break
            new = self._first([number, None], lambda n: {} if n is None else self._invented(n, schema, depth))
            made |= {name: value for name, value in new.items() if name not in made}
        if len(made) < least:
            raise Impossible("the simulator found no object with so many properties")
        return made

    def _invented(self, number: int, schema: Mapping[str, Any], depth: int) -> dict[str, Any]:
        """A property with a made-up name, if its name is one that the schema allows."""
        name = f"key_{number + 1}"
        if patterns := list(schema.get("patternProperties", {})):
            name = text_for([self._rng.choice(patterns)], 0, math.inf, self._rng)
        elif "propertyNames" in schema:
            name = self._plain(lambda: self._make({"type": "string", "allOf": [schema["propertyNames"]]}, depth + 1))
        allowed = matches(name, schema.get("propertyNames", True), self._schema)
        return {name: self._property(name, schema, depth)} if allowed else {}

    def _array(self, schema: Mapping[str, Any], depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        others = schema.get("items", schema.get("unevaluatedItems", True))
        low, high = schema.get("minItems", 0), schema.get("maxItems", math.inf)
        if "contains" in schema and others is not False:
            wanted = schema.get("minContains", 1)
            first = [*first, *[{"allOf": [others, schema["contains"]]}] * wanted]
            low = max(low, len(first) if wanted else 0)
        high = min(high, len(first) if others is False else math.inf)
        unique = bool(schema.get("uniqueItems"))
        if unique:
            high = min(high, max(low, 1))
        if low > high:
            raise Impossible("it allows no array")
        count = low if depth >= _DEEP else int(min(max(low, len(first), self._first_items), high))
        make = self._distinct if unique and count > 1 else self._items
        items = self._first(dict.fromkeys([count, low]), lambda size: make(first, others, size, depth))
        if depth < _DEEP and not (unique and count > 1):
            self.arrays.append(Growable(items, high, lambda: self._make(others, depth + 1)))
        return list(items) if unique and count > 1 else items

    def _items(self, first: list[Any], others: Any, count: int, depth: int) -> list[Any]:
        return [self._make(first[place] if place < len(first) else others, depth + 1) for place in range(count)]

    def _distinct(self, first: list[Any], others: Any, count: int, depth: int) -> list[Any]:
        """Items of which no two are equal; their texts are settled at once."""
        found: dict[bytes, Any] = {}
        for _ in range(count * _TRIES):
            if len(found) < count:
                schema = first[len(found)] if len(found) < len(first) else others
                item = self._plain(lambda schema=schema: self._make(schema, depth + 1))  # type: ignore[misc]
                found.setdefault(same(item), item)
        if len(found) < count:
            raise Impossible("the simulator found no array with so many different items")
        return list(found.values())

    def _plain(self, make: Callable[[], Any]) -> Any:
        """What `make` makes, with nothing in it that can still be stretched."""
        slots, arrays = len(self.slots), len(self.arrays)
        made = make()
        del self.slots[slots:], self.arrays[arrays:]
        text = orjson.dumps(made, lambda slot: slot.some_text(self._rng), orjson.OPT_PASSTHROUGH_DATACLASS)
        return orjson.loads(text)

    def _string(self, schema: Mapping[str, Any]) -> str | Slot:
        made = string_for(schema, self._rng)
        if isinstance(made, Slot):
            self.slots.append(made)
        return made


def _dependent(schema: Mapping[str, Any]) -> list[str]:
    """Names that must be there because others are."""
    known = {*schema.get("properties", {}), *schema.get("required", [])}
    return [name for when, names in schema.get("dependentRequired", {}).items() if when in known for name in names]
