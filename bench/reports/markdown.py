"""Write `report.md` in at most 60 KB, the size that a comment on a pull request can have."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from bench.core.results.metrics.metric import QUANTILES
from bench.core.results.summary import Cell, Failure, Summary
from bench.reports.tables import changes as words
from bench.reports.tables import claims, recorded, sweep
from bench.reports.tables.checks import FLOORS_CAPTION, FLOORS_HEADS, FLOORS_TITLE, checks, floors
from bench.reports.tables.times import (
    CAPTION,
    COST,
    TIME,
    Entry,
    cost_deliveries,
    cost_texts,
    details,
    footnotes,
    pairs_text,
    time_entries,
)

MOST_FAILURES = 20
LARGEST = 60_000
"""Bytes."""
MOST_CELLS = 60
MOST_RECORDED = 120
MOST_COMPARED = 4
MOST_CHANGES = 24
"""Of each comparison, the worst first."""
MOST_PARTS = 12
"""Of each claim, below the line for all of them together."""
MOST_DETAILS = 20
"""Cells shown in full; the numbers of all are in `summary.csv`."""
LONGEST_ERROR = 200
Rows = Iterable[Sequence[str | Entry]]


def render_markdown(summary: Summary) -> str:
    """Render the report, with as many cells in full as fit."""
    report = ""
    for in_full in (MOST_DETAILS, MOST_DETAILS // 4, 0):
        report = "\n".join(_lines(summary, in_full)) + "\n"
        if len(report.encode()) < LARGEST:
            break
    return report


def _lines(summary: Summary, in_full: int) -> Iterator[str]:
    run = summary.manifest
    yield f"# streambench: {text(str(run.get('name') or run['run_id']))}"
    yield from ("", f"**{text(summary.headline)}**", "")
    yield from (f"**{summary.trust.verdict}:** {text(summary.trust.sentence)}", "", text(summary.answer), "")
    shown = summary.cells[:MOST_CELLS]
    times: Rows = ([cell.label, pairs_text(cell), *time_entries(summary, cell)] for cell in shown)
    yield from _table(["scenario", "pairs", *(column.title for column in TIME)], times)
    costs: Rows = (
        [cell.label, delivery, *cost_texts(summary, cell, delivery)]
        for cell in shown
        for delivery in cost_deliveries(summary, cell)
    )
    yield from _table(["scenario", "delivery", *(column.title for column in COST)], costs, left=2)
    yield from _more_line(len(summary.cells) - MOST_CELLS, " cells, in `summary.csv`. ", blank=False)
    yield from (CAPTION, "")
    yield from _section("Which is fastest", (f"- **{text(r.label)}**: {text(r.sentence)}" for r in summary.rankings))
    yield from _comparisons(summary)
    yield from _loads(summary)
    yield from _claims(summary)
    yield from _recorded_table(summary)
    yield from _list("Can it be trusted?", (*summary.trust.lines, *summary.notes))
    if lines := list(floors(summary)):
        yield from (f"## {FLOORS_TITLE}", "", *_table(FLOORS_HEADS, ([load, *entries] for load, entries in lines)))
        yield from (FLOORS_CAPTION, "")
    notes = (f"- **{text(cell.label)}**: {text(note)}" for cell in shown for note in footnotes(summary, cell))
    yield from _section("Notes", notes)
    yield from _failures(summary.failures, summary.unlisted)
    for cell in summary.cells[:in_full]:
        yield from _details(summary, cell)
    yield from _list("Environment", (f"{name}: {value}" for name, value in summary.environment.items()))
    command = (shlex.quote(str(part)).replace("`", "'").replace("\n", " ") for part in run["command"])
    yield from ("## Reproduce", "", "```", " ".join(command), "```")


def text(value: str) -> str:
    """Escape plain text to one line in which nothing is taken for Markdown or HTML."""
    escaped = re.sub(r"([\\`*|#])", r"\\\1", " ".join(value.split())).replace("](", "]\\(")
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """Yield a heading and its lines; nothing at all without lines."""
    if found := list(lines):
        yield from (f"## {title}", "", *found, "")


def _list(title: str, texts: Iterable[str]) -> Iterator[str]:
    return _section(title, (f"- {text(line)}" for line in texts))


def _more_line(number: int, what: str, *, blank: bool = True) -> Iterator[str]:
    """Yield a line that says how many more there are and where; nothing if there are none."""
    if number > 0:
        yield from (f"… and {number} more{what}", *([""] if blank else []))


def _table(heads: Sequence[str], rows: Rows, left: int = 1) -> Iterator[str]:
    """Yield a table; texts are escaped, the numbers of entries are ours."""
    yield f"| {' | '.join(heads)} |"
    yield "| " + " | ".join("---" if i < left else "---:" for i in range(len(heads))) + " |"
    for row in rows:
        yield f"| {' | '.join(map(_field, row))} |"
    yield ""


def _field(value: str | Entry) -> str:
    if isinstance(value, str):
        return text(value)
    return f"{value.main}<br>{text(value.below)}" if value.below else value.main


def _comparisons(summary: Summary) -> Iterator[str]:
    """Compare the other targets or models with the one that is their baseline."""
    for one in map(words.select_shown, summary.comparisons[:MOST_COMPARED]):
        yield from (f"## {text(one.current.name)} against {text(one.baseline.name)}, within this run", "")
        yield from (text(words.sentence(one)), "")
        yield from _table(words.HEADS, map(words.fields, one.changes[:MOST_CHANGES]))
        said = [*one.watermarks, *one.unmatched]
        said += [words.chance_text(words.counts(one.changes)), words.resolution_text(one)]
        yield from (*(f"- {text(line)}" for line in said), "")
    yield from _more_line(len(summary.comparisons) - MOST_COMPARED, " comparisons, in `summary.json`.")


def _loads(summary: Summary) -> Iterator[str]:
    """Tabulate loads, and what the SDK adds, where the run has several loads or clients."""
    if shown := sweep.sweeps(summary):
        yield from (f"## {sweep.TITLE}", "")
        for found in shown[:MOST_CELLS]:
            yield from (f"**{text(found.label)}**", "")
            heads = ["load", "delivery", *(column.title for column in found.columns)]
            yield from _table(heads, ([line.name, line.delivery, *line.entries] for line in found.lines), left=2)
            yield from (*(f"- {text(line)}" for line in found.knees), "")
        yield from (text(sweep.caption(summary)), "")
    if costs := sweep.sdk_costs(summary):
        heads = ["scenario", "delivery", *(column.title for column in sweep.COLUMNS_SDK)]
        rows: Rows = ([one.name, one.delivery, *one.entries] for one in costs[:MOST_CELLS])
        yield from (f"## {sweep.TITLE_SDK}", "", *_table(heads, rows, left=2), sweep.CAPTION_SDK, "")


def _claims(summary: Summary) -> Iterator[str]:
    if not summary.claims:
        return
    parts = [claims.rows(claim) for claim in summary.claims]
    rows = (row for lines in parts for row in lines[: MOST_PARTS + 1])
    yield from (f"## {claims.TITLE}", "", *_table(claims.HEADS, rows, left=len(claims.HEADS)))
    yield from _more_line(sum(max(len(lines) - MOST_PARTS - 1, 0) for lines in parts), ", in `summary.json`.")
    yield from ("<details><summary>How each was tested</summary>", "")
    yield from (f"- **{text(claim.statement)}** {text(claim.test)}" for claim in summary.claims)
    yield from ("", "</details>", "")


def _recorded_table(summary: Summary) -> Iterator[str]:
    if lines := list(recorded.recorded_lines(summary)):
        rows = ([line.cell.label, *line.texts] for line in lines[:MOST_RECORDED])
        yield from (f"## {recorded.TITLE}", "", *_table(recorded.HEADS, rows, left=2))
        yield from _more_line(len(lines) - MOST_RECORDED, ", in `summary.csv`. ", blank=False)
        yield from (recorded.CAPTION, "")


def _failures(failures: Sequence[Failure], unlisted: int) -> Iterator[str]:
    if failures:
        heads = ["trial", "cell", "delivery", "class", "client id", "server id", "what happened"]
        rows = (
            [str(f.trial_id), f.cell, f.delivery, f.status, f.client_id, f.server_id, f.error[:LONGEST_ERROR]]
            for f in failures[:MOST_FAILURES]
        )
        yield from ("## Failures", "", *_table(heads, rows, left=len(heads)))
        yield from _more_line(len(failures[MOST_FAILURES:]) + unlisted, ", in `trials.parquet`.")


def _details(summary: Summary, cell: Cell) -> Iterator[str]:
    """Write everything that the tables leave out, folded."""
    yield from (f"<details><summary>{text(cell.label)}: all quantiles</summary>", "")
    yield from (f"{text(cell.description)} First useful: {text(cell.useful)}", "", text(cell.verdict), "")
    heads = ["metric", "delivery", "n", "failed", *QUANTILES]
    rows: Rows = (
        [Entry(f"`{text(d.metric)}`"), d.delivery, d.n, d.failed, *d.quantiles] for d in details(summary, cell)
    )
    yield from _table(heads, rows, left=2)
    if lines := list(checks(summary, cell)):
        yield from (*(f"- {text(line)}" for line in lines), "")
    yield from ("</details>", "")
