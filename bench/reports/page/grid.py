"""Make the tables of a page: texts with what they are sorted by."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from bench.reports.tables.times import ColumnHead, Entry


class GridHead(NamedTuple):
    """Head of a column."""

    top: str
    bottom: str = ""
    text: bool = False
    """Its texts stand on the left, and are sorted as texts; else as numbers."""

    @property
    def title(self) -> str:
        """Return the head in one line."""
        return f"{self.top} {self.bottom}".strip()


class GridField(NamedTuple):
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


class GridLine(NamedTuple):
    """One line of a table; the first field names it."""

    fields: Sequence[GridField]
    unfit: bool = False


class Grid(NamedTuple):
    """A table."""

    caption: str
    """What it is, for those who do not see where it stands."""
    heads: Sequence[GridHead]
    lines: Sequence[GridLine]
    sortable: bool = True


def heads(named: Iterable[str], columns: Iterable[ColumnHead]) -> list[GridHead]:
    """Make heads of text columns, then of number columns."""
    return [*(GridHead(name, text=True) for name in named), *(GridHead(*column) for column in columns)]


def text(value: str, *, link: str = "", kind: str = "") -> GridField:
    """Make a field that is sorted as it reads."""
    return GridField(value, sort=value, kind=kind, link=link)


def delivery(name: str) -> GridField:
    """Make a field of a delivery, with its colour."""
    return text(name, kind=name)


def number(entry: Entry) -> GridField:
    """Make a field that is sorted by its estimate."""
    return GridField(entry.main, entry.below, sort_number(entry.number))


def sort_number(value: float | None) -> str:
    """Write a number as a script reads it; "" for None."""
    return "" if value is None else f"{value:.9g}".replace("inf", "Infinity")


def plain(caption: str, names: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Grid:
    """Make a table of texts that is not to be sorted; the first `left` columns are words."""
    shown = [GridHead(name, text=place < left) for place, name in enumerate(names)]
    return Grid(caption, shown, [GridLine([GridField(value) for value in row]) for row in rows], sortable=False)
