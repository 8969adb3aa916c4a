"""JSON text for a schema: of its natural length, or stretched to a length."""

from __future__ import annotations

import random
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson

from bench.simulator.json_schema.scalars import Slot
from bench.simulator.json_schema.validity import Impossible, SchemaError, matches
from bench.simulator.json_schema.values import Sampler
from bench.simulator.text import text_of_length

_NATURAL_ITEMS = 2
_TRIES = 60
_HARD = re.compile(
    rb'"(not|oneOf|allOf|if|contains|patternProperties|propertyNames|dependentRequired|dependentSchemas|maxContains)":'
)
"""Keywords with which a value made part by part may yet be wrong as a whole."""


def natural_json(schema: Mapping[str, Any], rng: random.Random) -> str:
    """JSON valid for the schema, of the length it happens to have. Raises `SchemaError`."""
    return _valid(schema, lambda bold: _render(Sampler(schema, rng, _NATURAL_ITEMS, bold=bold), rng))


def padded_json(schema: Mapping[str, Any], chars: int, rng: random.Random) -> str:
    """JSON valid for the schema of exactly `chars` characters, or as near to it as the schema lets it come.

    Arrays get further items first, then strings fill what is left. Raises `SchemaError`.
    """
    return _valid(schema, lambda bold: _padded(schema, chars, rng, bold))


def _padded(schema: Mapping[str, Any], chars: int, rng: random.Random, bold: bool) -> str:
    state = rng.getstate()
    sample = Sampler(schema, rng, 1, bold=bold)
    if _least_length(sample) > chars:
        rng.setstate(state)
        sample = Sampler(schema, rng, 0, bold=bold)
    _stretch(sample.slots, chars - _grow(sample, chars))
    return _render(sample, rng)


def _valid(schema: Mapping[str, Any], make: Callable[[bool], str]) -> str:
    """What `make` makes, again where it must be looked at as a whole: plain at first, then bold, till it is valid."""
    with _well_formed():
        if not _HARD.search(orjson.dumps(schema)):
            return make(False)
        failure = SchemaError("the simulator found no value that it allows")
        for number in range(_TRIES):
            try:
                text = make(number > 1)
            except Impossible as error:
                failure = error
                continue
            if matches(orjson.loads(text), schema, schema):
                return text
        raise failure


@contextmanager
def _well_formed() -> Iterator[None]:
    """A schema whose keywords hold values of the wrong type is one more broken schema."""
    try:
        yield
    except RecursionError as error:
        raise SchemaError("it refers to itself without an end") from error
    except SchemaError:
        raise
    except (TypeError, AttributeError, LookupError, ArithmeticError, ValueError) as error:
        raise SchemaError(f"it is not well-formed ({error})") from error


def _render(sample: Sampler, rng: random.Random) -> str:
    def text(slot: Slot) -> str:
        return text_of_length(slot.chars, rng)

    return orjson.dumps(sample.root, text, orjson.OPT_PASSTHROUGH_DATACLASS).decode()


def _length(value: Any) -> int:
    """Characters of its JSON text."""
    return len(orjson.dumps(value, _stand_in, orjson.OPT_PASSTHROUGH_DATACLASS).decode())


def _stand_in(slot: Slot) -> str:
    return "x" * slot.chars


def _least_length(sample: Sampler) -> int:
    return _length(sample.root) - sum(slot.chars - slot.low for slot in sample.slots)


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
