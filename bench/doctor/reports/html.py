"""The doctor's report as one page that needs no network, with a picture of how each answer arrived."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from bench.doctor.diagnosis import HEALTHY, Curve, Diagnosis, Fix, Verdict, group_by
from bench.doctor.reports import words
from bench.doctor.reports.grouping import FindingGroup, groups
from bench.doctor.reports.sheets import Sheet, delay_sheets, difference_sheets, verdict_sheet
from bench.reports.page.charts import USUAL, PageChart, page_chart
from bench.reports.page.document import render_page
from bench.reports.page.grid import Grid, GridField, GridHead, GridLine

TALL = 320
"""Pixels: the height of a picture that is seen at once."""


class AdviceSection(NamedTuple):
    """A group with its advice and its pictures."""

    id: str
    group: FindingGroup
    paragraphs: Sequence[words.Paragraph]
    change: Sequence[Fix]
    charts: Sequence[PageChart]
    """The first one is seen at once."""
    above: Sequence[tuple[str, str]]
    """(anchor, label) of pictures that another part has already."""


class Table(NamedTuple):
    """A sheet as the page shows it."""

    title: str
    grid: Grid
    said: Sequence[str]


def render_html(diagnosis: Diagnosis) -> str:
    """Render the page: the answer, the verdicts, and each advice with its picture."""
    parts = list(_parts(diagnosis))
    few = [part for part in parts if words.is_brief(part.group.verdict)]
    return render_page(
        "doctor.html.j2",
        with_vega=any(part.charts for part in parts),
        title=f"bench doctor: {', '.join(hop.name for hop in diagnosis.hops)}",
        asked=words.request_summary(diagnosis),
        answer=diagnosis.answer,
        verdicts=_table(verdict_sheet(diagnosis)),
        parts=[part for part in parts if not words.is_brief(part.group.verdict)],
        brief=[line for _, line in words.brief([one.group for one in few], each=words.all_healthy(diagnosis))],
        brief_charts=[chart for part in few for chart in part.charts],
        sheets=[_table(sheet) for sheet in (*difference_sheets(diagnosis), *delay_sheets(diagnosis))],
        checks=list(words.checks(diagnosis)),
        good_checks=words.good_checks(diagnosis),
        measured=words.measurement_notes(diagnosis),
        again=diagnosis.again,
        words=words,
    )


def _parts(diagnosis: Diagnosis) -> Iterator[AdviceSection]:
    """Yield the sections of advice; a picture has all hops in it, and stands where it is needed first."""
    by_label = group_by(diagnosis.findings, lambda one: one.label)
    pictures = {label: [one.curve for one in some if one.curve] for label, some in by_label.items()}
    shown: dict[str, str] = {}
    for number, group in enumerate(groups(diagnosis.findings), 1):
        anchor = f"finding-{number}"
        labels = [one.label for one in group.members if one.curve]
        above = [(shown[label], label) for label in labels if label in shown]
        new = [label for label in labels if label not in shown]
        shown |= dict.fromkeys(new, anchor)
        charts = list(_charts([pictures[label] for label in new]))
        yield AdviceSection(anchor, group, words.advice(group), group.first.change, charts, above)


def _charts(pictures: Sequence[Sequence[Curve]]) -> Iterator[PageChart]:
    from bench.doctor.reports.arrivals_chart import arrivals  # noqa: PLC0415  (altair)

    for place, curves in enumerate(pictures):
        if chart := arrivals(curves, USUAL if place else TALL):
            yield page_chart(chart)


def _table(sheet: Sheet) -> Table:
    heads = [GridHead(name, text=place < sheet.left) for place, name in enumerate(sheet.heads)]
    kinds = [["", *map(_kind, row)] for row in sheet.verdicts] or [[]] * len(sheet.rows)
    lines = [
        GridLine([GridField(text, kind=kind) for text, kind in zip_longest(row, some[: len(row)], fillvalue="")])
        for row, some in zip(sheet.rows, kinds, strict=True)
    ]
    return Table(sheet.title, Grid(sheet.title, heads, lines, sortable=False), sheet.said)


def _kind(verdict: Verdict | None) -> str:
    """Return the kind of field that shows a verdict; "" where nothing is known."""
    return "good" if verdict == HEALTHY else "bad" if verdict and words.is_bad(verdict) else ""
