"""Plain tables and paragraphs of a given width."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from bench.reporters.fitting import Line
from bench.reporters.table import Column

GAP = "  "
NARROWEST = 16
"""Columns that names need at least; with less, the numbers stand below the names."""


def table(
    columns: Sequence[Column], rows: Sequence[tuple[Sequence[str], str]], width: int, *, left: int = 1
) -> tuple[list[Line], list[list[Line]]]:
    """Heads and rows (texts, style) as lines: names in the first `left` columns to the left, numbers to the right.

    The first column takes what the others leave, and folds. Where that is too narrow each row is a small paragraph.
    """
    texts = [list(texts) for texts, _ in rows]
    widths = [max(len(column.top), len(column.bottom), *_lengths(texts, i)) for i, column in enumerate(columns)]
    room = width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    if room < min(widths[0], NARROWEST):
        return [], [stacked(columns, row, style, width) for row, (_, style) in zip(texts, rows, strict=True)]
    widths[0] = min(widths[0], room)
    heads = [[column.top for column in columns], [column.bottom for column in columns]]
    head = [Line(_joined(texts, widths, left), "bold") for texts in heads if any(texts)]
    return head, [_row(row, widths, left, style) for row, (_, style) in zip(texts, rows, strict=True)]


def _lengths(texts: Sequence[Sequence[str]], place: int) -> list[int]:
    return [len(row[place]) for row in texts]


def _row(texts: Sequence[str], widths: Sequence[int], left: int, style: str) -> list[Line]:
    first, *rest = folded(texts[0], widths[0]).split("\n")
    return [Line(_joined([first, *texts[1:]], widths, left), style), *(Line(part, style) for part in rest)]


def _joined(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    placed = (t.ljust(w) if i < left else t.rjust(w) for i, (t, w) in enumerate(zip(texts, widths, strict=True)))
    return GAP.join(placed).rstrip()


def stacked(columns: Sequence[Column], texts: Sequence[str], style: str, width: int) -> list[Line]:
    """A row as a paragraph: its name, and below it each number behind its head."""
    named = "; ".join(
        f"{column.title.lstrip(', ')}: {text}" for column, text in zip(columns[1:], texts[1:], strict=True) if text
    )
    lines = [*folded(texts[0], width).split("\n"), *textwrap.wrap(named, width - 2)]
    return [Line(line if place == 0 else f"  {line}", style) for place, line in enumerate(lines)]


def folded(name: str, longest: int) -> str:
    """A long name on several lines, broken at a space or behind an underscore, and elsewhere only where it must be."""
    lines = [""]
    for part in re.findall(rf"[^_ ]{{1,{longest}}}_?|_|  *", name):
        if lines[-1] and len(lines[-1]) + len(part) > longest:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return "\n".join(line.rstrip() for line in lines)


def paragraph(text: str, width: int, *, most: int, lead: str = "", style: str = "") -> list[Line]:
    """Text behind a word of up to 8 letters, in so many lines at most; what is left out is marked and in report.md."""
    indent = " " * 8 if lead else ""
    wrapped = textwrap.wrap(text, width - len(indent)) or [""]
    if len(wrapped) > most:
        last = textwrap.shorten(" ".join(wrapped[most - 1 :]), width - len(indent), placeholder=" … (report.md)")
        wrapped = [*wrapped[: most - 1], last]
    return [
        Line(f"{lead:8}{line}" if lead and place == 0 else f"{indent}{line}", style)
        for place, line in enumerate(wrapped)
    ]


def clipped(text: str, width: int) -> str:
    """One line of it; where it is longer the mark says so."""
    return text if len(text) <= width else textwrap.shorten(text, width, placeholder=" …")


def harmless(text: str) -> str:
    """Without control characters: a model's name may be the server's."""
    return re.sub(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "", text)
