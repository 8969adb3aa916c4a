"""Make the sections of the terminal report, and say what of each may be left out first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.analysis.wording import NA, reason, value, with_interval
from bench.core.results.metrics.registry import places
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Failure, Summary
from bench.reports.tables import changes as words
from bench.reports.tables import claims, recorded, sweep
from bench.reports.tables.times import LONGEST_REASON, NONE, ColumnHead, cost_deliveries, footnotes, pairs_text, unfit
from bench.reports.terminal.columns import clip, paragraph, table
from bench.reports.terminal.fit import TextLine, TextSection

if TYPE_CHECKING:
    from bench.core.results.comparison import Change, Comparison

TRUST_STYLES = {"VALID": "green", "CAUTION": "yellow", "INVALID": "red", "UNCHECKED": "bold"}
ENDED = "ended:"
"""The line that says what ended the run, and its cost, is always there."""
LONGEST_ERROR = 160
MOST_CELLS = 14
MODES = (
    ColumnHead("scenario", ""),
    ColumnHead("pairs", ""),
    ColumnHead("whole", "blocking"),
    ColumnHead("first", "useful"),
    ColumnHead("seen sooner", "by"),
    ColumnHead("finish", "vs blocking"),
    ColumnHead("failed", "str. / blk."),
)
COSTS = (
    ColumnHead("cost", "streamed / blocking"),
    *(ColumnHead(place.top, place.bottom) for _, place in places("costs in short")),
)
CAPTION = "Medians of all trials (a failure is ∞), in brackets the 95 % interval; memory: apart, on sim."


def sections(summary: Summary, compared: Sequence[Comparison], width: int, *, brief: bool) -> list[TextSection]:
    """Make all sections; `brief` where not all of them have room: shorter words, no captions."""
    found = [
        _title_section(summary, width),
        _trust_section(summary, width),
        _cell_section(summary, width),
        _ranking_section(summary, width),
        *_comparison_sections([*summary.comparisons, *compared], width),
        _cost_section(summary, width),
        *_load_sections(summary, width, brief=brief),
        _client_section(summary, width, brief=brief),
        _claim_section(summary, width, brief=brief),
        _recorded_section(summary, width),
    ]
    below = [one for one in _note_sections(summary, width, brief=brief) if one.items or one.head]
    above = [one for one in found if one.items or one.head]
    return [*above, *(one._replace(apart=place == 0) for place, one in enumerate(below))]


def title(summary: Summary) -> str:
    """Return version, run and time in one line."""
    run = summary.manifest
    version = run["versions"].get("streambench", "")
    named = f" ({run['name']})" if run.get("name") else ""
    return f"streambench {version}  run {run['run_id']}{named}  {run['created']}"


def _title_section(summary: Summary, width: int) -> TextSection:
    head = [TextLine(clip(title(summary), width), "bold"), *paragraph(summary.headline, width, most=2, style="bold")]
    return TextSection("title", (), head, keep=True)


def _trust_section(summary: Summary, width: int) -> TextSection:
    trust = summary.trust
    style = TRUST_STYLES[trust.verdict]
    said = paragraph(f"{trust.verdict}: {trust.sentence}", width, most=3, lead="TRUST", style=style)
    return TextSection("trust", (), [*said, *paragraph(summary.answer, width, most=5, lead="ANSWER")], keep=True)


def _cell_section(summary: Summary, width: int) -> TextSection:
    rows = [
        (
            [cell.label, pairs_text(cell), *_time_texts(summary, cell), _failed_text(summary, cell)],
            "dim" if unfit(cell) else "",
        )
        for cell in summary.cells
    ]
    head, items = table(MODES, rows, width)
    caption = [] if sweep.sweeps(summary) else paragraph(CAPTION, width, most=2, style="dim")
    return TextSection("cells", items, head, caption, rank=12, least=6, most=MOST_CELLS)


def _time_texts(summary: Summary, cell: Cell) -> list[str]:
    """Return four times under MODES; of numbers that may not be believed only the word for it."""
    if word := unfit(cell):
        return [word, NONE, NONE, NONE]
    if cell.unsupported:
        return [NA, NA, NA, NA]
    useful = _number_text(summary.row(cell, "streamed", "ttfu", "p50"), interval=False)
    if cell.unpaired:
        return ["no blocking", useful, NONE, NONE]
    whole = _number_text(summary.row(cell, "blocking", "total", "p50"), interval=False)
    gain = summary.row(cell, "paired", "gain", "hl", "ms")
    overhead = summary.row(cell, "paired", "overhead", "hl", "ratio")
    return [whole, useful, _number_text(gain), _number_text(overhead)]


def _number_text(row: Row | None, *, interval: bool = True) -> str:
    """Return estimate and interval; or n/a, and the reason where it is short."""
    why = reason(row)
    if row and row.estimate is not None:
        return with_interval(row) if interval else value(row)
    return f"{NA} ({why})" if row and why and len(why) <= LONGEST_REASON else NA


def _failed_text(summary: Summary, cell: Cell) -> str:
    """Return the failures of each delivery and the trials offered, as `0 / 1 of 36`."""
    rows = [summary.row(cell, delivery, "failures", "sum") for delivery in cost_deliveries(summary, cell)]
    known = [row for row in rows if row]
    if len({row.n for row in known}) > 1:
        return " / ".join(f"{value(row)} of {row.n}" for row in known)
    return f"{' / '.join(map(value, known))} of {known[0].n}" if known else NA


def _cost_section(summary: Summary, width: int) -> TextSection:
    rows = [
        (_cost_texts(summary, cell), "dim" if unfit(cell) else "") for cell in summary.cells if not cell.unsupported
    ]
    head, items = table(COSTS, rows, width)
    few = len(items) <= MOST_CELLS and not sweep.sweeps(summary)  # else others need the room
    return TextSection("rows of costs", items, head, rank=4 if few else 2, least=int(few), most=MOST_CELLS)


def _cost_texts(summary: Summary, cell: Cell) -> list[str]:
    """Return the cell's texts under COSTS. A cell that is unfit keeps its counts, not its times."""
    deliveries = cost_deliveries(summary, cell)
    texts = [cell.label]
    for metric, place in places("costs in short"):
        of = [place.delivery] if place.delivery else deliveries
        if metric.of == "memory":
            rows = [summary.memory_row(cell, name, metric.name) for name in of]
        else:
            rows = [summary.row(cell, name, metric.name, place.statistic) for name in of]
        hidden = unfit(cell) and metric.unit.startswith("ms")
        texts.append(NONE if hidden else _side_by_side(rows, unit=place.statistic != "slope"))
    return texts


def _side_by_side(rows: Sequence[Row | None], *, unit: bool = True) -> str:
    """Return `36 / 38` or `78 / 414 kB`; n/a once where all are, and why where the scenario has its own client."""
    texts = [f"{NA}: own" if reason(row) == "own client" else value(row, unit=unit) for row in rows]
    if len(set(texts)) <= 1:
        return texts[0] if texts and (len(texts) == 1 or NA in texts[0]) else " / ".join(texts)
    units = {text.partition(" ")[2] for text in texts}
    if len(units) == 1 and (name := units.pop()):
        return f"{' / '.join(text.partition(' ')[0] for text in texts)} {name}"
    return " / ".join(texts)


def _ranking_section(summary: Summary, width: int) -> TextSection:
    """Say which target or model is fastest, in a sentence for each scenario."""
    items = [paragraph(f"{one.label}: {one.sentence}", width, most=2) for one in summary.rankings]
    return TextSection("rankings", items, [TextLine("fastest", "bold")] if items else (), rank=11, least=2, most=6)


def _comparison_sections(comparisons: Sequence[Comparison], width: int) -> Iterator[TextSection]:
    """Show the changes that are worse by most, with what may explain them."""
    for one in comparisons:
        how = "pair by pair" if any(change.method == "paired" for change in one.changes) else "unpaired"
        how = how if one.kind == "within" else f"two runs, {how}"
        head = [TextLine(clip(f"{one.current.name} compared with {one.baseline.name} ({how})", width), "bold")]
        head += [line for mark in one.watermarks[:2] for line in paragraph(f"caution: {mark}", width, most=1)]
        where = "report.md" if one.kind == "within" else "compare.md"
        changes = words.most_telling(words.select_shown(one).changes)
        items = [[TextLine(clip(f"{_change_text(change)}: {words.verdict(change)}", width))] for change in changes]
        yield TextSection("changes", items, head, rank=10, least=2, most=6, where=where)


def _change_text(change: Change) -> str:
    sides = f"{value(change.baseline)} → {value(change.current)}"
    return f"{words.name(change)}: {sides}, {words.change_text(change)}, n={change.n}"


def _load_sections(summary: Summary, width: int, *, brief: bool) -> Iterator[TextSection]:
    """Tabulate each sweep, with its knee, which always stays."""
    shown = sweep.sweeps(summary)
    for one in shown:
        columns = (ColumnHead(f"{sweep.TITLE.lower()}:", one.label), ColumnHead("", "delivery"), *one.columns)
        streamed = [line for line in one.lines if line.delivery == "streamed"]
        listed = streamed if brief and streamed else one.lines
        rows = [
            ([line.name, line.delivery, *(entry.main for entry in line.entries)], "dim" if line.unfit else "")
            for line in listed
        ]
        head, items = table(columns, rows, width, left=2)
        more = len(one.lines) - len(listed)
        yield TextSection("lines of loads", items, head, rank=8, least=2, most=12, unlisted=more)
        knees = [paragraph(said, width, most=2 if brief else 3) for said in one.knees]
        yield TextSection("knees", knees, rank=13, least=2, apart=False)
    if shown:
        caption = paragraph(sweep.caption(summary), width, most=1 if brief else 4, style="dim")
        yield TextSection("", (), caption, apart=False)


def _client_section(summary: Summary, width: int, *, brief: bool) -> TextSection:
    """Tabulate what the SDK adds to client wire."""
    columns = (ColumnHead(sweep.TITLE_SDK, ""), ColumnHead("", "delivery"), *sweep.COLUMNS_SDK)
    rows = []
    for one in sweep.sdk_costs(summary):  # the intervals stand below the numbers
        rows.append(([one.name, one.delivery, *(entry.main for entry in one.entries)], ""))
        rows.append((["", "", *(entry.below for entry in one.entries)], ""))
    head, items = table(columns, rows, width, left=2) if rows else ([], [])
    pairs = [[*above, *below] for above, below in zip(items[::2], items[1::2], strict=True)]
    caption = [] if brief else paragraph(sweep.CAPTION_SDK, width, most=3, style="dim")
    return TextSection("lines of clients", pairs, head, caption if rows else (), rank=13, least=2, most=12)


def _claim_section(summary: Summary, width: int, *, brief: bool) -> TextSection:
    """Write a line for each claim, and where there is room a second one with the number that decided."""
    untested = [claim for claim in summary.claims if claim.verdict == claims.UNTESTED]
    folded = len(untested) if brief or len(untested) == len(summary.claims) else 0
    listed = [claim for claim in summary.claims if not (folded and claim in untested)]
    column = max((len(claim.verdict) for claim in listed), default=0) + 2
    room = width - column
    items = []
    for claim in listed:
        texts = [claims.in_a_line(claim, room)] if brief else claims.in_short(claim, room)
        verdicts = (claim.verdict, *[""] * len(texts))
        both_texts = zip(verdicts, texts, strict=False)
        items.append([TextLine(f"{verdict:{column}}{clip(text, room)}") for verdict, text in both_texts])
    if folded:
        of = str(folded) if listed else "none"
        items.append(
            paragraph(f"{claims.UNTESTED}  {of} of the {len(summary.claims)}; report.md says why", width, most=2)
        )
    return TextSection("claims", items, [TextLine("claims", "bold")] if items else (), rank=5, least=1, most=6)


def _recorded_section(summary: Summary, width: int) -> TextSection:
    """Tabulate what scenarios and plugins recorded; the name of a cell stands at its first line."""
    rows, before = [], ""
    for line in recorded.recorded_lines(summary):
        label = line.cell.label
        rows.append((["" if label == before else label, *line.texts], ""))
        before = label
    columns = [ColumnHead(head, "") for head in ("recorded", *recorded.HEADS[1:])]
    head, items = table(columns, rows, width, left=2) if rows else ([], [])
    return TextSection("recorded numbers", items, head, rank=1, most=12)


def _note_sections(summary: Summary, width: int, *, brief: bool) -> Iterator[TextSection]:
    """Yield notes on cells, failures, evidence, and what the run itself had to say."""
    yield TextSection(
        "notes on cells", [paragraph(note, width, most=2) for note in _notes(summary)], rank=4, least=2, most=8
    )
    first = {one.status: one for one in reversed(summary.failures)}
    failures = [  # the first of each class in front
        paragraph(f"failed: {_failure_text(one)}", width, most=1 if brief else 2)
        for one in sorted(summary.failures, key=lambda one: one is not first[one.status])
    ]
    yield TextSection("failures", failures, rank=3, least=1, most=3, apart=False, unlisted=summary.unlisted)
    evidence = [line for line in summary.trust.lines if not line.startswith(ENDED)]
    ended = [line for line in summary.trust.lines if line.startswith(ENDED)]
    said = [paragraph(f"trust: {line}", width, most=2) for line in evidence]
    yield TextSection("lines of evidence", said, rank=2, least=1, most=3, apart=False)
    yield TextSection("", (), [x for line in ended for x in paragraph(f"trust: {line}", width, most=2)], apart=False)
    notes = [paragraph(f"note: {line}", width, most=2) for line in summary.notes]
    yield TextSection("notes", notes, rank=0, least=1, most=2, apart=False)


def _notes(summary: Summary) -> list[str]:
    """Return each note once, with the cells it is about; notes that make numbers unusable come first."""
    cells: dict[str, list[str]] = {}
    for cell in summary.cells:
        for note in footnotes(summary, cell):
            cells.setdefault(note, []).append(cell.label)
    grave = ("INVALID", "SATURATED", "unsupported", "NOT ENOUGH DATA")
    ordered = sorted(cells.items(), key=lambda item: not item[0].startswith(grave))
    return [f"{', '.join(labels) if len(labels) < 4 else f'{len(labels)} cells'}: {note}" for note, labels in ordered]


def _failure_text(one: Failure) -> str:
    return f"trial {one.trial_id} {one.cell} {one.delivery}, {one.status}: {one.error[:LONGEST_ERROR]}"
