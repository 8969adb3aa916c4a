"""Split option texts that are made of parts (`5,10,20`), each part with its column, for errors that say where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from bench.core.errors import BenchError

_PLAIN = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(?:e[+-]?\d+)?", re.ASCII | re.IGNORECASE)
_LONGEST = 30


@dataclass(frozen=True)
class OptionPart:
    """A stretch of an option's text, without the spaces around it."""

    text: str
    column: int
    """The column of the first character, from 1."""
    whole: str
    """The text that it is part of, as typed."""

    def wrong(self, what: str) -> BenchError:
        """Make the error for this part of an option: its text, the column, what is wrong, and what to write instead."""
        shown = self.whole if len(self.whole) <= _LONGEST else self.whole[: _LONGEST - 1] + "…"
        return BenchError(f"{shown!r}, column {self.column}: {what}")

    def number(self) -> float | None:
        """Read the part as a decimal number without a sign; None where it is none, infinite where it is too large."""
        return float(self.text) if _PLAIN.fullmatch(self.text) else None

    def skip(self, length: int) -> OptionPart:
        """Return the part without its first characters."""
        return next(parts(self.text[length:], None, self.whole, self.column + length))


def parts(text: str, separator: str | None, whole: str | None = None, column: int = 1) -> Iterator[OptionPart]:
    """Yield the stretches between the separators, empty ones too; without a separator the text is one.

    `whole` and `column`: the option's text and the place in it, where `text` is only a part of that.
    """
    for piece in [text] if separator is None else text.split(separator):
        spaces = len(piece) - len(piece.lstrip())
        yield OptionPart(piece.strip(), column + (spaces if piece.strip() else 0), text if whole is None else whole)
        column += len(piece) + len(separator or "")
