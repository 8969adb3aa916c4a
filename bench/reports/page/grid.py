"""A table of the page: texts with what they are sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.reports.tables.times import Column, Entry


class Head(NamedTuple):
    """Head of a column."""

    top: str
    bottom: str = ""
    text: bool = False
    """Its texts stand on the left, and are sorted as texts; else as numbers."""

    @property
    def title(self) -> str:
        """The head in one line."""
        return f"{self.top} {self.bottom}".strip()


class Field(NamedTuple):
    """One field of a table."""

    main: str
    below: str = ""
    sort: str = ""
    """What its column is sorted by; empty ones stand last in both directions."""
    kind: str = ""
    """A word for its looks: `bad`, `good`, `words`, `streamed`, `blocking`."""
    link: str = ""
    """Anchor on this page."""
    bar: float | None = None
    """A bar below it, from 0 to 1."""


class Line(NamedTuple):
    """One line of a table; the first field names it."""

    fields: Sequence[Field]
    unfit: bool = False


class Grid(NamedTuple):
    """A table."""

    caption: str
    """What it is, for those who do not see where it stands."""
    heads: Sequence[Head]
    lines: Sequence[Line]
    sortable: bool = True


def heads(named: Iterable[str], columns: Iterable[Column]) -> list[Head]:
    """Columns of text, then of numbers."""
    return [*(Head(name, text=True) for name in named), *(Head(*column) for column in columns)]


def text(value: str, *, link: str = "", kind: str = "") -> Field:
    """A field that is sorted as it reads."""
    return Field(value, sort=value, kind=kind, link=link)


def delivery(name: str) -> Field:
    """The delivery, with its colour."""
    return text(name, kind=name)


def number(entry: Entry) -> Field:
    """A field that is sorted by its estimate."""
    return Field(entry.main, entry.below, sort_number(entry.number))


def sort_number(value: float | None) -> str:
    """A number as a script reads it; empty without one."""
    return "" if value is None else f"{value:.9g}".replace("inf", "Infinity")


def plain(caption: str, names: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Grid:
    """A table of texts as they are, not to be sorted; the first `left` columns are words."""
    shown = [Head(name, text=place < left) for place, name in enumerate(names)]
    return Grid(caption, shown, [Line([Field(value) for value in row]) for row in rows], sortable=False)
