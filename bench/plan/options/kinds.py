"""What an option accepts: the text as typed, the value made of it, and its JSON Schema in bench.toml."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, unknown
from bench.core.text.duration import MS, parse_seconds
from bench.core.text.option_text import parts

_NUMBER = r"\d+(\.\d*)?|\.\d+"


@dataclass(frozen=True)
class Kind:
    """The values of an option."""

    parse: Callable[[str], Any]
    """Makes the value of the text. BenchError with one line for a text that is wrong."""
    schema: Mapping[str, Any]
    """The JSON Schema of a single value in bench.toml."""
    toml_types: tuple[type, ...] = (str,)
    """The types of TOML that stand for a single value."""
    metavar: str = "TEXT"
    """How the help shows a value that the declaration does not name."""
    bounds: str = ""
    """The range that the help shows, as `x>=1`."""
    words: tuple[str, ...] = ()
    """The words to choose from."""

    def convert(self, value: Any) -> Any:
        """Return the value of a text; what was converted before is returned as it is."""
        return self.parse(value) if isinstance(value, str) else value


def whole_number(least: int) -> Kind:
    """Accept whole numbers from `least` on."""
    bounds = f"x>={least}"
    return Kind(partial(_whole_number, least), {"type": "integer", "minimum": least}, (int,), "INTEGER", bounds)


def _whole_number(least: int, text: str) -> int:
    try:
        number = int(text)
    except ValueError:
        raise BenchError(f"{text!r} is not a valid integer.") from None
    if number < least:
        raise BenchError(f"{number} is not in the range x>={least}.")
    return number


def fraction(name: str, *, zero: bool = False, one: bool = False) -> Kind:
    """Accept parts of a whole, as `5%` or `0.05`: above 0 and below 1, with `zero` and `one` 0 and 1 too.

    `name` says in errors what the value is.
    """
    schema = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": rf"^\s*({_NUMBER})\s*%?\s*$"}]}
    return Kind(partial(_fraction, name, zero, one), schema, (str, int, float))


def _fraction(name: str, zero: bool, one: bool, text: str) -> float:
    text = text.strip()
    try:
        value = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
    except ValueError:
        value = math.nan
    if not (0 < value < 1 or (value == 0 and zero) or (value == 1 and one)):
        raise BenchError(f"{text!r} is no {name}; write for instance 5% or 0.05")
    return value


def one_of(*words: str) -> Kind:
    """Accept one of several words; an unknown one is refused with the nearest."""
    return Kind(partial(_check_word, words), {"enum": list(words)}, metavar=f"[{'|'.join(words)}]", words=words)


def words_of(*words: str) -> Kind:
    """Accept several of these words with commas between them, as a tuple with each once."""
    word = f"({'|'.join(words)})"
    schema = {"type": "string", "pattern": rf"^\s*{word}\s*(,\s*{word}\s*)*$"}
    return Kind(lambda text: tuple(dict.fromkeys(_check_word(words, part.strip()) for part in text.split(","))), schema)


def _check_word(words: tuple[str, ...], word: str) -> str:
    if word not in words:
        raise unknown("value", word, words)
    return word


def custom_kind(parse: Callable[[str], Any], schema: Mapping[str, Any] | None = None, *toml_types: type) -> Kind:
    """Accept what a parser takes; texts in bench.toml unless `schema` and `toml_types` say otherwise."""
    return Kind(parse, schema or TEXT.schema, toml_types or (str,))


def parse_levels(text: str) -> tuple[int, ...]:
    """Parse whole numbers from 1 on with commas between them, each once. BenchError with the column of a wrong one."""
    levels: list[int] = []
    for part in parts(text, ","):
        if not (part.text.isdecimal() and int(part.text) > 0):
            raise part.wrong("write numbers from 1 on with commas between them, for instance 1,8,32")
        if int(part.text) in levels:
            raise part.wrong(f"{part.text} is given twice; keep one")
        levels.append(int(part.text))
    return tuple(levels)


TEXT = Kind(str, {"type": "string"})
PATH = Kind(Path, {"type": "string"}, metavar="PATH")
TOGGLE = Kind(bool, {"type": "boolean"}, (bool,))
"""Yes or no, which click makes of the flag."""
SECONDS = Kind(
    parse_seconds,
    {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": rf"^\s*({_NUMBER})\s*({'|'.join(MS)})?\s*$"},
        ]
    },
    (str, int, float),
)
"""A length of time: `500ms`, `90s`, `10m`, `1h`, or a number of seconds."""
LEVELS = custom_kind(
    parse_levels,
    {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\s*\d+\s*(,\s*\d+\s*)*$"}]},
    int,
    str,
)
