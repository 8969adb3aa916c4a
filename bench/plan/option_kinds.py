"""What an option accepts: the text or number as typed, the value made of it, and its JSON Schema.

Each kind raises BenchError with one line for a value that it does not accept.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from bench.core.duration import MS, parse_seconds
from bench.core.errors import BenchError, unknown
from bench.core.option_text import parts

Schema = Mapping[str, Any]
_NUMBER = r"\d+(\.\d*)?|\.\d+"
PERCENTAGE = {"anyOf": [{"type": "number"}, {"type": "string", "pattern": rf"^\s*({_NUMBER})\s*%?\s*$"}]}


class Kind(Protocol):
    """The values of an option."""

    @property
    def toml_types(self) -> tuple[type, ...]:
        """The types of TOML that stand for a single value."""

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a single value in bench.toml."""

    @property
    def metavar(self) -> str:
        """How the help shows a value that the declaration does not name."""

    @property
    def bounds(self) -> str:
        """The range that the help shows, as `x>=1`; "": none."""

    def convert(self, text: Any) -> Any:
        """Return the value; what was converted before is returned as it is."""


@dataclass(frozen=True)
class Text:
    """Any text."""

    toml_types: ClassVar[tuple[type, ...]] = (str,)
    schema: ClassVar[Schema] = {"type": "string"}
    metavar: ClassVar[str] = "TEXT"
    bounds: ClassVar[str] = ""

    def convert(self, text: Any) -> Any:
        """Return the text."""
        return text


class File(Text):
    """The path of a file or folder."""

    metavar: ClassVar[str] = "PATH"

    def convert(self, text: Any) -> Path:
        """Return the path."""
        return Path(text)


@dataclass(frozen=True)
class Toggle:
    """Yes or no."""

    toml_types: ClassVar[tuple[type, ...]] = (bool,)
    schema: ClassVar[Schema] = {"type": "boolean"}
    metavar: ClassVar[str] = ""
    bounds: ClassVar[str] = ""

    def convert(self, text: Any) -> bool:
        """Return the value, which click has made."""
        return bool(text)


@dataclass(frozen=True)
class WholeNumber:
    """A whole number."""

    least: int
    toml_types: ClassVar[tuple[type, ...]] = (int,)
    metavar: ClassVar[str] = "INTEGER"

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a value in bench.toml."""
        return {"type": "integer", "minimum": self.least}

    @property
    def bounds(self) -> str:
        """The range, as `x>=1`."""
        return f"x>={self.least}"

    def convert(self, text: Any) -> int:
        """Return the number."""
        try:
            number = int(text)
        except ValueError:
            raise BenchError(f"{text!r} is not a valid integer.") from None
        if number < self.least:
            raise BenchError(f"{number} is not in the range {self.bounds}.")
        return number


@dataclass(frozen=True)
class Seconds:
    """A length of time, returned in seconds: `500ms`, `90s`, `10m`, `1h`, or a number of seconds."""

    toml_types: ClassVar[tuple[type, ...]] = (str, int, float)
    schema: ClassVar[Schema] = {
        "anyOf": [
            {"type": "number", "exclusiveMinimum": 0},
            {"type": "string", "pattern": rf"^\s*({_NUMBER})\s*({'|'.join(MS)})?\s*$"},
        ]
    }
    metavar: ClassVar[str] = "TIME"
    bounds: ClassVar[str] = ""

    def convert(self, text: Any) -> float:
        """Return the seconds."""
        return parse_seconds(str(text))


@dataclass(frozen=True)
class Fraction:
    """A part of a whole, as `5%` or `0.05`, returned as a fraction."""

    name: str
    """What the value is, for errors."""
    zero: bool = False
    """Is 0 accepted?"""
    one: bool = False
    """Is 100% accepted?"""
    toml_types: ClassVar[tuple[type, ...]] = (str, int, float)
    schema: ClassVar[Schema] = PERCENTAGE
    metavar: ClassVar[str] = "SHARE"
    bounds: ClassVar[str] = ""

    def convert(self, text: Any) -> float:
        """Return the fraction."""
        text = str(text).strip()
        try:
            fraction = float(text.removesuffix("%")) / (100 if text.endswith("%") else 1)
        except ValueError:
            fraction = math.nan
        if not (0 < fraction < 1 or (fraction == 0 and self.zero) or (fraction == 1 and self.one)):
            raise BenchError(f"{text!r} is no {self.name}; write for instance 5% or 0.05")
        return fraction


@dataclass(frozen=True)
class OneOf:
    """One of several words. An unknown word is refused with the nearest one."""

    words: tuple[str, ...]
    toml_types: ClassVar[tuple[type, ...]] = (str,)
    bounds: ClassVar[str] = ""

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a value in bench.toml."""
        return {"enum": list(self.words)}

    @property
    def metavar(self) -> str:
        """The words, as `[responses|chat]`."""
        return f"[{'|'.join(self.words)}]"

    def convert(self, text: Any) -> Any:
        """Return the word."""
        if text not in self.words:
            raise unknown("value", str(text), self.words)
        return text


@dataclass(frozen=True)
class Words:
    """Several words with commas between them, returned as a tuple."""

    words: tuple[str, ...]
    toml_types: ClassVar[tuple[type, ...]] = (str,)
    metavar: ClassVar[str] = "WORDS"
    bounds: ClassVar[str] = ""

    @property
    def schema(self) -> Schema:
        """The JSON Schema of a value in bench.toml."""
        word = f"({'|'.join(self.words)})"
        return {"type": "string", "pattern": rf"^\s*{word}\s*(,\s*{word}\s*)*$"}

    def convert(self, text: Any) -> tuple[str, ...]:
        """Return the words, each once."""
        given = dict.fromkeys(word.strip() for word in text.split(",")) if isinstance(text, str) else text
        for word in given:
            if word not in self.words:
                raise unknown("value", word, self.words)
        return tuple(given)


@dataclass(frozen=True)
class ParsedText:
    """What a parser makes of the text."""

    parse: Callable[[str], Any]
    schema: Schema = field(default_factory=lambda: Text.schema)
    toml_types: tuple[type, ...] = (str,)
    metavar: ClassVar[str] = "TEXT"
    bounds: ClassVar[str] = ""

    def convert(self, text: Any) -> Any:
        """Return the parsed value."""
        return self.parse(text) if isinstance(text, str) else text


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


LEVELS = ParsedText(
    parse_levels,
    {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "string", "pattern": r"^\s*\d+\s*(,\s*\d+\s*)*$"}]},
    (int, str),
)
