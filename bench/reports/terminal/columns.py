"""Lay out plain tables and paragraphs of a given width."""

from __future__ import annotations

import re
import textwrap
import unicodedata
from collections.abc import Sequence

from bench.core.text.terminal import escape_control
from bench.reports.tables.times import ColumnHead
from bench.reports.terminal.fit import TextLine

GAP = "  "
NARROWEST = 16
"""Columns that names need at least; with less, the numbers stand below the names."""
MOST_FOLDS = 4
_FILLER = "\0"
"""The second column of a wide character, while lines are broken."""


def table(
    columns: Sequence[ColumnHead], rows: Sequence[tuple[Sequence[str], str]], width: int, *, left: int = 1
) -> tuple[list[TextLine], list[list[TextLine]]]:
    """Lay out heads and rows (texts, style): names in the first `left` columns to the left, numbers to the right.

    The first column takes what the others leave, and folds. Where that is too narrow each row is a small paragraph.
    """
    texts = [[escape_control(text) for text in texts] for texts, _ in rows]
    heads = [[escape_control(column.top) for column in columns], [escape_control(column.bottom) for column in columns]]
    widths = [max(map(columns_of, column)) for column in zip(*heads, *texts, strict=True)]
    room = width - sum(widths[1:]) - len(GAP) * (len(widths) - 1)
    if room < min(widths[0], max(NARROWEST, *(columns_of(head[0]) for head in heads))):
        head = [TextLine(clip(columns[0].title, width), "bold")] if rows else []
        return head, [_stack_row(columns, row, style, width) for row, (_, style) in zip(texts, rows, strict=True)]
    widths[0] = min(widths[0], room)
    head = [TextLine(_join(texts, widths, left), "bold") for texts in heads if any(texts)]
    return head, [_row(row, widths, left, style) for row, (_, style) in zip(texts, rows, strict=True)]


def _row(texts: Sequence[str], widths: Sequence[int], left: int, style: str) -> list[TextLine]:
    first, *rest = fold(texts[0], widths[0]).split("\n")
    return [TextLine(_join([first, *texts[1:]], widths, left), style), *(TextLine(part, style) for part in rest)]


def _join(texts: Sequence[str], widths: Sequence[int], left: int) -> str:
    gaps = [" " * (width - columns_of(text)) for text, width in zip(texts, widths, strict=True)]
    placed = (text + gap if i < left else gap + text for i, (text, gap) in enumerate(zip(texts, gaps, strict=True)))
    return GAP.join(placed).rstrip()


def _stack_row(columns: Sequence[ColumnHead], texts: Sequence[str], style: str, width: int) -> list[TextLine]:
    """Lay out a row as a paragraph: its name, and below it each number behind its head."""
    named = "; ".join(
        f"{column.title.lstrip(', ')}: {text}" for column, text in zip(columns[1:], texts[1:], strict=True) if text
    )
    lines = [*fold(texts[0], width - 2).split("\n"), *wrap(named, width - 2)]
    return [TextLine(line if place == 0 else f"  {line}", style) for place, line in enumerate(lines)]


def fold(name: str, longest: int) -> str:
    """Break a long name at spaces or behind underscores, elsewhere only where no such break fits.

    Of more than four lines the middle is left out, and marked: its ends tell it from others.
    """
    wide, lines = _with_fillers(name), [""]
    longest -= _FILLER in wide
    for part in re.findall(rf"[^_ ]{{1,{longest}}}_?|_|  *", wide):
        if lines[-1] and len(lines[-1]) + len(part) > longest:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    shown = lines if len(lines) <= MOST_FOLDS else [*lines[: MOST_FOLDS - 2], "…", lines[-1]]
    return "\n".join(line.replace(_FILLER, "").rstrip() for line in shown)


def paragraph(text: str, width: int, *, most: int, lead: str = "", style: str = "") -> list[TextLine]:
    """Lay out text behind a lead of up to 8 letters in at most `most` lines, with a mark where text is left out."""
    indent = " " * 8 if lead else ""
    lines = wrap(text, width - len(indent)) or [""]
    if len(lines) > most:
        last = _shorten(" ".join(lines[most - 1 :]), width - len(indent), " … (report.md)")
        lines = [*lines[: most - 1], last]
    return [
        TextLine(f"{lead:8}{line}" if lead and place == 0 else f"{indent}{line}", style)
        for place, line in enumerate(lines)
    ]


def clip(text: str, width: int) -> str:
    """Cut the text to one line, with a mark where some is left out."""
    return text if columns_of(text) <= width else _shorten(text, width, " …")


def wrap(text: str, width: int) -> list[str]:
    """Break the text into lines of at most `width` columns."""
    wide = _with_fillers(escape_control(text, " "))
    lines = textwrap.wrap(wide, width - (_FILLER in wide))  # a line may end between a character and its filler
    return [line.replace(_FILLER, "") for line in lines]


def _shorten(text: str, width: int, mark: str) -> str:
    """Keep as many words as fit with the mark behind them; of a single long word its beginning."""
    first = (wrap(text, width - columns_of(mark)) or [""])[0]
    return first + mark


def columns_of(text: str) -> int:
    """Count the columns that a text takes: a Chinese character takes two, a combining accent none."""
    if text.isascii():
        return len(text)
    wide = sum(unicodedata.east_asian_width(char) in "WF" for char in text)
    return len(text) + wide - sum(unicodedata.category(char) in {"Mn", "Me", "Cf"} for char in text)


def _with_fillers(text: str) -> str:
    """Make the text as long as its columns: a wide character is followed by a filler."""
    return text if text.isascii() else "".join(char + _FILLER * (columns_of(char) == 2) for char in text)
