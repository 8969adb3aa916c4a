"""Fit a report into few lines: sections give up their less important lines, and say how many."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Sequence
from typing import NamedTuple


class TextLine(NamedTuple):
    """One line of text, and how it looks where there are colours."""

    text: str
    style: str = ""
    """`bold`, `dim`, `green`, `yellow` or `red`; empty: plain."""


class TextSection(NamedTuple):
    """Some lines that belong together."""

    name: str
    """What its items are called, in the plural: `failures`."""
    items: Sequence[Sequence[TextLine]]
    """Lines that are shown together or not at all, the most important first."""
    head: Sequence[TextLine] = ()
    tail: Sequence[TextLine] = ()
    """Below the items."""
    rank: int = 0
    """Of those with the lowest rank items are left out first."""
    least: int = 0
    """As many items stay until there is nothing else to leave out."""
    most: int = 1000
    """More items are never shown."""
    keep: bool = False
    """Nothing of it is ever left out."""
    apart: bool = True
    """An empty line stands in front."""
    unlisted: int = 0
    """Items that exist but are not even in `items`."""
    where: str = "report.md"
    """The file that has all of them."""


def fit(sections: Sequence[TextSection], room: int, width: int = 100) -> list[TextLine]:
    """Return the lines of all sections, at most `room` where those to keep allow it.

    Items are left out from the section of the lowest rank, down to its least; then from the next; and where that is
    not enough, in the same order, whole sections.
    """
    shown = [min(len(one.items), one.most) for one in sections]
    order = sorted((i for i, one in enumerate(sections) if not one.keep), key=lambda i: sections[i].rank)
    for floors in ([one.least for one in sections], [0] * len(sections)):
        for place in order:
            while shown[place] > floors[place] and len(lines(sections, shown, width)) > room:
                shown[place] -= 1
    return lines(sections, shown, width)


def lines(sections: Sequence[TextSection], shown: Sequence[int], width: int) -> list[TextLine]:
    """Return `shown` items of each section; what is left out is counted, in its section or in a line for all."""
    found: list[TextLine] = []
    for section, number in zip(sections, shown, strict=True):
        part = list(_lines(section, number, width))
        found += [TextLine("")] if part and found and section.apart else []
        found += part
    gone = [one for one, number in zip(sections, shown, strict=True) if one.items and not number]
    if gone:
        counts = ", ".join(_count_text(len(one.items) + one.unlisted, one.name) for one in gone)
        files = " and ".join(sorted({one.where for one in gone}, reverse=True))
        found += _wrap_line(f"not shown here: {counts}; {files} {'list' if ' and ' in files else 'lists'} them", width)
    return found


def _wrap_line(text: str, width: int) -> list[TextLine]:
    return [TextLine(line) for line in textwrap.wrap(text, width)]


def _count_text(number: int, name: str, more: str = "") -> str:
    """Return `3 more lines of loads` or `1 more line of loads`."""
    first, space, rest = name.partition(" ")
    return f"{number}{more} {first.removesuffix('s') if number == 1 else first}{space}{rest}"


def _lines(section: TextSection, number: int, width: int) -> Iterator[TextLine]:
    if section.items and not number:
        return
    yield from section.head
    yield from (line for item in section.items[:number] for line in item)
    if more := len(section.items) - number + section.unlisted:
        yield from _wrap_line(f"… and {_count_text(more, section.name, ' more')}: {section.where} lists them", width)
    yield from section.tail
