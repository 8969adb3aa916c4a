"""JSON text for a schema: of its natural length, or stretched to a length."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from bench.simulator.json_schema.strict_mode import SchemaError
from bench.simulator.json_schema.values import Sampler, Slot, valid_values
from bench.simulator.text import text_of_length

_NATURAL_ITEMS = 2
_TRIES = 20
_UNSURE = re.compile(
    rb'"(not|oneOf|allOf|if|contains|uniqueItems|patternProperties|propertyNames|maxProperties'
    rb'|dependent(Required|Schemas)|unevaluated(Items|Properties)|\$dynamicRef)":'
)
"""Keywords with which a value made part by part may be wrong as a whole. Strict mode has none of them."""


def natural_json(schema: Mapping[str, Any], rng: random.Random) -> str:
    """Make JSON valid for the schema, of the length it happens to have. Raises `SchemaError`."""
    return _valid_json(schema, rng, lambda: Sampler(schema, rng, _NATURAL_ITEMS))


def padded_json(schema: Mapping[str, Any], chars: int, rng: random.Random) -> str:
    """Make JSON valid for the schema of exactly `chars` characters, or as near to it as the schema lets it come.

    Arrays get further items first, then strings fill what is left. Raises `SchemaError`.
    """

    def make() -> Sampler:
        state = rng.getstate()
        sample = Sampler(schema, rng, 1)
        if _length(sample.root) - sum(slot.chars - slot.low for slot in sample.slots) > chars:
            rng.setstate(state)
            sample = Sampler(schema, rng, 0)
        _stretch(sample.slots, chars - _grow(sample, chars))
        return sample

    return _valid_json(schema, rng, make)


def _valid_json(schema: Mapping[str, Any], rng: random.Random, make: Callable[[], Sampler]) -> str:
    """Return the JSON of a value from `make`; if valid parts may make an invalid whole, of the first valid try."""
    try:
        unsure = _UNSURE.search(orjson.dumps(schema)) is not None
        for _ in range(_TRIES):
            sample = make()
            text = orjson.dumps(
                sample.root, lambda slot: text_of_length(slot.chars, rng), orjson.OPT_PASSTHROUGH_DATACLASS
            )
            if not (unsure or sample.has_joined) or valid_values([orjson.loads(text)], schema, schema):
                return text.decode()
    except RecursionError as error:
        raise SchemaError("it refers to itself without an end") from error
    except SchemaError:
        raise
    except Exception as error:  # keywords that hold values of the wrong type fail anywhere
        raise SchemaError(f"it is not well-formed ({str(error).splitlines()[0]})") from error
    raise SchemaError("the simulator found no value that it allows")


def _length(value: Any) -> int:
    """Return the number of characters of the value's JSON text."""
    return len(orjson.dumps(value, lambda slot: "x" * slot.chars, orjson.OPT_PASSTHROUGH_DATACLASS).decode())


def _grow(sample: Sampler, limit: int) -> int:
    """Add items to all arrays in turn while they fit; the length reached."""
    length = _length(sample.root)
    growing = deque(sample.arrays)
    while growing:
        array = growing.popleft()
        if len(array.items) >= array.high:
            continue
        slots, arrays = len(sample.slots), len(sample.arrays)
        item = array.make()
        size = _length(item) + bool(array.items)
        if length + size > limit:
            del sample.slots[slots:], sample.arrays[arrays:]
            continue
        array.items.append(item)
        length += size
        growing.extend((*sample.arrays[arrays:], array))
    return length


def _stretch(slots: Sequence[Slot], difference: int) -> None:
    """Spread a difference in length evenly over the strings, within the limits of each."""
    sign = 1 if difference > 0 else -1
    left = abs(difference)
    while left and (open_ := [slot for slot in slots if _room(slot, sign)]):
        share, rest = divmod(left, len(open_))
        for number, slot in enumerate(open_):
            step = int(min(share + (number < rest), _room(slot, sign)))
            slot.chars += step * sign
            left -= step


def _room(slot: Slot, sign: int) -> float:
    return slot.high - slot.chars if sign > 0 else slot.chars - slot.low
