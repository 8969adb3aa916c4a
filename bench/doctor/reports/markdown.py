"""The doctor's report in Markdown, to be pasted into an issue: below 60 KB."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from bench.core.text.terminal import escape_control
from bench.doctor.diagnosis import Diagnosis
from bench.doctor.reports import words
from bench.doctor.reports.grouping import FindingGroup, groups
from bench.doctor.reports.sheets import Sheet, delay_sheets, difference_sheets, verdict_sheet
from bench.reports.markdown import LARGEST, text

LONGEST = (4000, 800, 160)
"""Characters of one text, which may be a server's: the first of these with which the whole fits."""


def render_markdown(diagnosis: Diagnosis) -> str:
    """Write the same as on the terminal; the checks folded."""
    report = ""
    for longest in LONGEST:
        report = "\n".join(_lines(diagnosis, longest)) + "\n"
        if len(report.encode()) < LARGEST:
            break
    return report


def _lines(diagnosis: Diagnosis, longest: int) -> Iterator[str]:
    found = groups(diagnosis.findings)
    yield from (f"# bench doctor: {_cut(words.request_summary(diagnosis), longest)}", "")
    yield from (f"**{_cut(diagnosis.answer, longest)}**", "")
    yield from _sheet(verdict_sheet(diagnosis), longest)
    for group in found:
        if not words.is_brief(group.verdict):
            yield from (f"## {_cut(words.heading(group), longest)}", "", *_advice(group, longest))
    if brief := [line for _, line in words.brief(found, each=words.all_healthy(diagnosis))]:
        yield from ("## Nothing to advise", "", *_list(brief, longest))
    for sheet in (*difference_sheets(diagnosis), *delay_sheets(diagnosis)):
        yield from (f"## {_cut(sheet.title, longest)}", "", *_sheet(sheet, longest))
    yield from _checks(diagnosis, longest)
    yield from ("## How it was measured", "", *_list(words.measurement_notes(diagnosis), longest))
    yield from (f"{words.AGAIN}:", "", *_code_block([diagnosis.again]))


def _cut(said: str, longest: int) -> str:
    """Escape a text, on one line and no longer than `longest` characters."""
    said = escape_control(said, " ")
    return text(said if len(said) <= longest else f"{said[: longest - 2]} …")


def _list(lines: Iterable[str], longest: int) -> Iterator[str]:
    yield from (f"- {_cut(line, longest)}" for line in lines)
    yield ""


def _code_block(lines: Sequence[str]) -> list[str]:
    """Fence lines to be copied; the fence is longer than any that is in them."""
    shown = [escape_control(line.expandtabs(4)) for line in lines]
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", "\n".join(shown))), 3)
    return [fence, *shown, fence]


def _sheet(sheet: Sheet, longest: int) -> Iterator[str]:
    """Write a table and what is said below; a field is one line, so it is short."""
    if sheet.rows:
        yield _row(sheet.heads)
        yield "| " + " | ".join("---" if place < sheet.left else "---:" for place in range(len(sheet.heads))) + " |"
        yield from (*map(_row, sheet.rows), "")
    for line in sheet.said:
        yield from (_cut(line, longest), "")


def _row(texts: Sequence[str]) -> str:
    return f"| {' | '.join(_cut(said, LONGEST[-1]) for said in texts)} |"


def _advice(group: FindingGroup, longest: int) -> Iterator[str]:
    for label, texts in words.advice(group):
        yield from (f"**{label}.** {' '.join(_cut(one, longest) for one in texts)}", "")
    if group.first.change:
        yield from (f"**{words.CHANGE}.**", "")
    for fix in group.first.change:
        if fix.lines:
            yield from (f"{_cut(fix.where, longest)}:", "", *_code_block(fix.lines), "")
        if said := fix.note if fix.lines else words.in_words(fix):
            yield from (_cut(said, longest), "")


def _checks(diagnosis: Diagnosis, longest: int) -> Iterator[str]:
    """Fold the checks, and say how many are bad."""
    lines = [text for _, text in words.checks(diagnosis)]
    lines += filter(None, [words.good_checks(diagnosis)])
    if lines:
        bad = sum(state == "bad" for state, _ in words.checks(diagnosis))
        yield from (f"<details><summary>Checks: {bad or 'nothing'} to mend</summary>", "")
        yield from (*_list(lines, longest), "</details>", "")
