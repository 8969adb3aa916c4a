"""`report.md`: the report where Markdown is read. Below 60 KB, which is what a pull request's comment takes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator, Sequence

from bench.core.metrics import QUANTILES
from bench.core.summary import Cell, Failure, Summary
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


def render_markdown(summary: Summary) -> str:
    """The report, with as many cells in full as fit."""
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
    yield from _time_table(summary)
    yield from _cost_table(summary)
    if len(summary.cells) > MOST_CELLS:
        yield f"… and {len(summary.cells) - MOST_CELLS} more cells, in `summary.csv`. "
    yield from (CAPTION, "")
    yield from _section("Which is fastest", (f"- **{text(r.label)}**: {text(r.sentence)}" for r in summary.rankings))
    yield from _comparisons(summary)
    yield from _load_tables(summary)
    yield from _claim_table(summary)
    yield from _recorded_lines(summary)
    yield from _section("Can it be trusted?", (f"- {text(line)}" for line in (*summary.trust.lines, *summary.notes)))
    yield from _floor_table(summary)
    shown = summary.cells[:MOST_CELLS]
    yield from _section("Notes", (f"- {_name(cell)}: {text(n)}" for cell in shown for n in footnotes(summary, cell)))
    yield from _failure_table(summary.failures, summary.unlisted)
    for cell in summary.cells[:in_full]:
        yield from _details(summary, cell)
    yield from _section(
        "Environment", (f"- {text(name)}: {text(value)}" for name, value in summary.environment.items())
    )
    yield from ("## Reproduce", "", "```", " ".join(map(_argument, run["command"])), "```")


def text(value: str) -> str:
    """Plain text on one line: nothing in it is taken for Markdown or HTML."""
    escaped = re.sub(r"([\\`*|#])", r"\\\1", " ".join(value.split())).replace("](", "]\\(")
    return escaped.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _argument(value: object) -> str:
    return shlex.quote(str(value)).replace("`", "'").replace("\n", " ")


def _name(cell: Cell) -> str:
    return f"**{text(cell.label)}**"


def _section(title: str, lines: Iterable[str]) -> Iterator[str]:
    """A heading and its lines; nothing at all without lines."""
    found = list(lines)
    if found:
        yield from (f"## {title}", "", *found, "")


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]], left: int = 1) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield "| " + " | ".join("---" if i < left else "---:" for i in range(len(heads))) + " |"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _time_table(summary: Summary) -> Iterator[str]:
    heads = ["scenario", "pairs", *(column.title for column in TIME)]
    rows = ([text(c.label), pairs_text(c), *map(_entry, time_entries(summary, c))] for c in summary.cells[:MOST_CELLS])
    return _table(heads, rows)


def _entry(entry: Entry) -> str:
    return f"{entry.main}<br>{text(entry.below)}" if entry.below else entry.main


def _cost_table(summary: Summary) -> Iterator[str]:
    heads = ["scenario", "delivery", *(column.title for column in COST)]
    rows = (
        [text(cell.label), delivery, *map(text, cost_texts(summary, cell, delivery))]
        for cell in summary.cells[:MOST_CELLS]
        for delivery in cost_deliveries(summary, cell)
    )
    return _table(heads, rows, left=2)


def _comparisons(summary: Summary) -> Iterator[str]:
    """The other targets or models beside the one that is their baseline."""
    for one in map(words.select_shown, summary.comparisons[:MOST_COMPARED]):
        yield from (f"## {text(one.current.name)} against {text(one.baseline.name)}, within this run", "")
        yield from (text(words.sentence(one)), "")
        rows = (list(map(text, words.fields(change))) for change in one.changes[:MOST_CHANGES])
        yield from _table(words.HEADS, rows)
        said = [
            *one.watermarks,
            *one.unmatched,
            words.chance_text(words.counts(one.changes)),
            words.resolution_text(one),
        ]
        yield from (*(f"- {text(line)}" for line in said), "")
    if (more := len(summary.comparisons) - MOST_COMPARED) > 0:
        yield from (f"… and {more} more comparisons, in `summary.json`.", "")


def _load_tables(summary: Summary) -> Iterator[str]:
    """Load by load, and client beside client, where the run has several."""
    shown = sweep.sweeps(summary)
    if shown:
        yield from (f"## {sweep.TITLE}", "")
    for found in shown[:MOST_CELLS]:
        yield from (f"**{text(found.label)}**", "")
        heads = ["load", "delivery", *(column.title for column in found.columns)]
        rows = ([line.load, line.delivery, *map(_entry, line.entries)] for line in found.lines)
        yield from _table(heads, rows, left=2)
        yield from (*(f"- {text(line)}" for line in found.knees), "")
    if shown:
        yield from (text(sweep.caption(summary)), "")
    if clients := sweep.sdk_costs(summary):
        yield from (f"## {sweep.TITLE_SDK}", "")
        rows = ([text(one.label), one.delivery, *map(_entry, one.entries)] for one in clients[:MOST_CELLS])
        yield from _table(["scenario", "delivery", *(c.title for c in sweep.COLUMNS_SDK)], rows, left=2)
        yield from (sweep.CAPTION_SDK, "")


def _claim_table(summary: Summary) -> Iterator[str]:
    if not summary.claims:
        return
    yield from (f"## {claims.TITLE}", "")
    parts = {claim.name: claims.rows(claim) for claim in summary.claims}
    rows = (map(text, row) for lines in parts.values() for row in lines[: MOST_PARTS + 1])
    yield from _table(claims.HEADS, map(list, rows), left=len(claims.HEADS))
    if more := sum(max(len(lines) - MOST_PARTS - 1, 0) for lines in parts.values()):
        yield from (f"… and {more} more, in `summary.json`.", "")
    yield from ("<details><summary>How each was tested</summary>", "")
    yield from (f"- **{text(claim.statement)}** {text(claim.test)}" for claim in summary.claims)
    yield from ("", "</details>", "")


def _floor_table(summary: Summary) -> Iterator[str]:
    if lines := list(floors(summary)):
        yield from (f"## {FLOORS_TITLE}", "")
        yield from _table(FLOORS_HEADS, ([text(load), *map(_entry, entries)] for load, entries in lines))
        yield from (FLOORS_CAPTION, "")


def _recorded_lines(summary: Summary) -> Iterator[str]:
    lines = list(recorded.recorded_lines(summary))
    if not lines:
        return
    yield from (f"## {recorded.TITLE}", "")
    rows = ([text(line.cell.label), *map(text, line.texts)] for line in lines[:MOST_RECORDED])
    yield from _table(recorded.HEADS, rows, left=2)
    if len(lines) > MOST_RECORDED:
        yield f"… and {len(lines) - MOST_RECORDED} more, in `summary.csv`. "
    yield from (recorded.CAPTION, "")


def _failure_table(failures: Sequence[Failure], unlisted: int) -> Iterator[str]:
    if not failures:
        return
    yield from ("## Failures", "")
    heads = ["trial", "cell", "delivery", "class", "client id", "server id", "what happened"]
    yield from _table(heads, (_failure(f) for f in failures[:MOST_FAILURES]), left=len(heads))
    if more := len(failures[MOST_FAILURES:]) + unlisted:
        yield from (f"… and {more} more, in `trials.parquet`.", "")


def _failure(f: Failure) -> list[str]:
    parts = (f.cell, f.delivery, f.status, f.client_id, f.server_id, f.error[:LONGEST_ERROR])
    return [str(f.trial_id), *map(text, parts)]


def _details(summary: Summary, cell: Cell) -> Iterator[str]:
    """Everything that the tables leave out, folded."""
    yield from (f"<details><summary>{text(cell.label)}: all quantiles</summary>", "")
    yield from (f"{text(cell.description)} First useful: {text(cell.useful)}", "", text(cell.verdict), "")
    heads = ["metric", "delivery", "n", "failed", *QUANTILES]
    rows = ([f"`{text(d.metric)}`", d.delivery, d.n, d.failed, *map(text, d.quantiles)] for d in details(summary, cell))
    yield from _table(heads, rows, left=2)
    if lines := list(checks(summary, cell)):
        yield from (*(f"- {text(line)}" for line in lines), "")
    yield from ("</details>", "")
