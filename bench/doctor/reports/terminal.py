"""The doctor's report on the terminal: the answer, the verdicts, and then advice, once for all that it fits."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import chain

from bench.core.text.terminal import escape_control
from bench.doctor.diagnosis import ABSENT, HEALTHY, UNDECIDED, Diagnosis, Fix, Verdict
from bench.doctor.reports import words
from bench.doctor.reports.grouping import FindingGroup, groups, rank
from bench.doctor.reports.sheets import Sheet, delay_sheets, difference_sheets, verdict_sheet
from bench.reports.tables.times import ColumnHead
from bench.reports.terminal.columns import columns_of, table, wrap
from bench.reports.terminal.fit import TextLine
from bench.reports.terminal.report import styled_line

WIDEST, NARROWEST = 100, 40
LED = 15
"""Columns of the longest label and the gap behind it."""
BESIDE = 60
"""With fewer columns a label stands above its text."""
STYLES = {HEALTHY: "green", UNDECIDED: "yellow", ABSENT: "dim"}
"""The colours of verdicts; any other is red. The word says it too."""


def render_terminal(diagnosis: Diagnosis, *, width: int = WIDEST, color: bool = False) -> str:
    """Render the report, to be read from top to bottom, as advice of a colleague."""
    width = max(NARROWEST, min(width, WIDEST))
    parts = [list(part) for part in _parts(diagnosis, width)]
    lines = [line for part in parts if part for line in (*part, TextLine(""))]
    return "".join(f"{styled_line(line, color=color)}\n" for line in lines[:-1])


def _parts(diagnosis: Diagnosis, width: int) -> Iterator[Iterator[TextLine]]:
    """Yield the parts that an empty line stands between."""
    found = groups(diagnosis.findings)
    yield _text(words.request_summary(diagnosis), width)
    yield _text(diagnosis.answer, width, "bold")
    yield _sheet(verdict_sheet(diagnosis), width)
    yield from (_advice(group, width) for group in found if not words.is_brief(group.verdict))
    brief = words.brief(found, each=words.all_healthy(diagnosis))
    yield chain.from_iterable(_hanging(text, width, "dim" if verdict == ABSENT else "") for verdict, text in brief)
    for sheet in (*difference_sheets(diagnosis), *delay_sheets(diagnosis)):
        yield chain(_text(sheet.title, width, "bold"), _sheet(sheet, width))
    yield _checks(diagnosis, width)
    yield (line for text in words.measurement_notes(diagnosis) for line in _text(text, width))
    yield _command_lines(diagnosis.again, width)


def _text(text: str, width: int, style: str = "") -> Iterator[TextLine]:
    yield from (TextLine(line, style) for line in wrap(text, width))


def _sheet(sheet: Sheet, width: int) -> Iterator[TextLine]:
    worst = [min((one for one in row if one), key=rank) for row in sheet.verdicts]
    styles = list(map(_style, worst)) or [""] * len(sheet.rows)
    heads = [ColumnHead(head, "") for head in sheet.heads]
    if sheet.rows:
        head, rows = table(heads, list(zip(sheet.rows, styles, strict=True)), width, left=sheet.left)
        yield from (*head, *(line for row in rows for line in row))
    yield from (line for text in sheet.said for line in _text(text, width))


def _style(verdict: Verdict) -> str:
    return STYLES.get(verdict, "red")


def _advice(group: FindingGroup, width: int) -> Iterator[TextLine]:
    yield from _text(words.heading(group), width, _style(group.verdict))
    room = width - _indent(width)
    for label, texts in words.advice(group):
        yield from _label_lines(label, [line for text in texts for line in wrap(text, room)], width)
    if group.first.change:
        yield from _label_lines(words.CHANGE, [line for fix in group.first.change for line in _fix(fix, room)], width)


def _label_lines(label: str, lines: Sequence[str], width: int) -> Iterator[TextLine]:
    """Write lines behind a label, or below the label where there is little room."""
    indent = _indent(width)
    if indent < LED:
        yield TextLine(label)
    for place, line in enumerate(lines):
        yield TextLine(f"{label if place == 0 and indent == LED else '':{indent}}{line}")


def _indent(width: int) -> int:
    return LED if width >= BESIDE else 2


def _fix(fix: Fix, width: int) -> Iterator[str]:
    """Write a change; the lines to be copied are never broken."""
    if fix.lines:
        yield from wrap(f"{fix.where}:", width)
        yield from (f"    {escape_control(line.expandtabs(4))}" for line in fix.lines)
        yield from wrap(fix.note, width)
    else:
        yield from wrap(words.in_words(fix), width)


def _checks(diagnosis: Diagnosis, width: int) -> Iterator[TextLine]:
    """Write the bad checks with what to do, the notes, and one line for all good checks."""
    for state, text in words.checks(diagnosis):
        yield from _hanging(text, width, "red" if state == "bad" else "")
    yield from _text(words.good_checks(diagnosis), width)


def _hanging(text: str, width: int, style: str) -> Iterator[TextLine]:
    """Write an entry of a list: its first line stands out."""
    for place, line in enumerate(wrap(text, width - 2)):
        yield TextLine(f"  {line}" if place else line, style)


def _command_lines(command: str, width: int) -> Iterator[TextLine]:
    """Write the command on one line, even if longer than `width`, so that it can be copied."""
    command = escape_control(command)
    if LED + columns_of(command) <= width:
        yield TextLine(f"{words.AGAIN:{LED}}{command}")
    else:
        yield from (TextLine(words.AGAIN), TextLine(command))
