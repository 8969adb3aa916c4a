"""Write a comparison on the terminal, in at most 100 columns and 40 lines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

from bench.analysis.comparison.effects import outcome
from bench.analysis.wording import value
from bench.core.results.comparison import Change, Comparison
from bench.core.text.terminal import escape_control
from bench.reports.tables import changes as words
from bench.reports.tables.times import ColumnHead
from bench.reports.terminal.columns import table

WIDEST = 100
MOST_ROWS = 14
MOST_MARKS = 5
MOST_UNMATCHED = 2
SILENT = ("unclear", "unknown")
LONGEST = 34
"""Letters of a verdict; longer reasons are in the files."""
HEADS = (
    ColumnHead("", ""),
    ColumnHead("baseline", ""),
    ColumnHead("current", ""),
    ColumnHead("change", "[95 %]"),
    ColumnHead("verdict", ""),
)


def render_terminal(comparison: Comparison, width: int = WIDEST) -> str:
    """Write both sides, what speaks against comparing them, the answer, what differs, and what cannot be seen."""
    return "\n".join(escape_control(line).rstrip() for line in _lines(comparison, min(width, WIDEST))) + "\n"


def _lines(comparison: Comparison, width: int) -> Iterator[str]:
    for side, what in ((comparison.baseline, "baseline"), (comparison.current, "current")):
        yield _cut(f"{what:10}{side.name}: {side.detail}", width)
    for mark in comparison.watermarks[:MOST_MARKS]:
        yield from _lead_paragraph("CAREFUL", mark, width, most=2)
    if more := len(comparison.watermarks) - MOST_MARKS:
        yield from [f"          … and {more} more: compare.md lists them"] if more > 0 else []
    yield ""
    yield from _lead_paragraph("ANSWER", words.sentence(comparison), width, most=4)
    yield ""
    shown = words.select_shown(comparison).changes
    yield from _table(shown, width)
    found = words.counts(shown)
    for line in (words.counts_text(found), words.chance_text(found), words.resolution_text(comparison)):
        yield from textwrap.wrap(line, width, max_lines=2, placeholder=" …")
    for line in comparison.unmatched[:MOST_UNMATCHED]:
        yield _cut(line, width)
    if (more := len(comparison.unmatched) - MOST_UNMATCHED) > 0:
        yield f"… and {more} more cells that only one of them has"


def _cut(text: str, width: int) -> str:
    """Cut the text to one line, its spaces as they are."""
    return text if len(text) <= width else f"{text[: width - 2].rstrip()} …"


def _lead_paragraph(word: str, text: str, width: int, *, most: int) -> list[str]:
    return textwrap.wrap(
        text, width, initial_indent=f"{word:10}", subsequent_indent=" " * 10, max_lines=most, placeholder=" …"
    )


def _table(changes: tuple[Change, ...], width: int) -> Iterator[str]:
    """Tabulate what differs, and the medians that the sentence is about."""
    shown = [one for one in words.most_telling(changes) if words.lead_phrase(one) or outcome(one) not in SILENT]
    rows = []
    for one in shown[:MOST_ROWS]:
        verdict = _cut(words.verdict(one), LONGEST)
        rows.append(([words.name(one), value(one.baseline), value(one.current), words.change_text(one), verdict], ""))
    if not rows:
        return
    head, lines = table(HEADS, rows, width)
    yield from (line.text for line in head)
    yield from (line.text for row in lines for line in row)
    if (more := len(shown) - MOST_ROWS) > 0:
        yield f"… and {more} more: compare.md lists them"
    yield ""
