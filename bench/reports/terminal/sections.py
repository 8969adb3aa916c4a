"""What the terminal shows of a summary, section by section, and what of it may be left out first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from bench.analysis.wording import NA, both, reason, value
from bench.core.row import Row
from bench.core.summary import Cell, Claim, Failure, Summary
from bench.reports.tables import changes as words
from bench.reports.tables import claims, recorded, sweep
from bench.reports.tables.times import LONGEST_REASON, NONE, Column, cost_deliveries, footnotes, pairs_text, unfit
from bench.reports.terminal.columns import clipped, paragraph, table
from bench.reports.terminal.fit import Line, Section

if TYPE_CHECKING:
    from bench.core.comparison import Change, Comparison
    from bench.reports.tables.times import Entry

TRUST_STYLES = {"VALID": "green", "CAUTION": "yellow", "INVALID": "red", "UNCHECKED": "bold"}
ENDED = "ended:"
"""The line that says what ended the run, and its cost, is always there."""
LONGEST_ERROR = 160
MOST_CELLS = 14
MODES = (
    Column("scenario", ""),
    Column("pairs", ""),
    Column("whole", "blocking"),
    Column("first", "useful"),
    Column("seen sooner", "by"),
    Column("finish", "vs blocking"),
    Column("failed", "str. / blk."),
)
COSTS = (
    Column("cost", "streamed / blocking"),
    Column("attempts", "in all"),
    Column("back-off", "in all"),
    Column("memory peak", "RSS"),
    Column("memory slope", "B per token"),
    Column("CPU", "per event"),
)
CAPTION = "Medians of all trials (a failure is ∞), in brackets the 95 % interval; memory: apart, on sim."


def sections(summary: Summary, compared: Sequence[Comparison], width: int, *, brief: bool) -> list[Section]:
    """All that there is to show; `brief` where not all of it has room: shorter words, no captions."""
    found = [
        _title(summary, width),
        _trust(summary, width),
        _modes(summary, width),
        *_rankings(summary, width),
        *_compared([*summary.comparisons, *compared], width),
        _costs(summary, width),
        *_loads(summary, width, brief=brief),
        *_clients(summary, width, brief=brief),
        _claims(summary, width, brief=brief),
        _recorded(summary, width),
    ]
    below = list(filter(_has_lines, _below(summary, width, brief=brief)))
    return [*filter(_has_lines, found), *(one._replace(apart=place == 0) for place, one in enumerate(below))]


def _has_lines(section: Section) -> bool:
    return bool(section.items or section.head)


def title(summary: Summary) -> str:
    """Version, run and time."""
    run = summary.manifest
    version = run["versions"].get("streambench", "")
    named = f" ({run['name']})" if run.get("name") else ""
    return f"streambench {version}  run {run['run_id']}{named}  {run['created']}"


def _title(summary: Summary, width: int) -> Section:
    head = [Line(clipped(title(summary), width), "bold"), *paragraph(summary.headline, width, most=2, style="bold")]
    return Section("title", (), head, keep=True)


def _trust(summary: Summary, width: int) -> Section:
    trust = summary.trust
    style = TRUST_STYLES[trust.verdict]
    said = paragraph(f"{trust.verdict}: {trust.sentence}", width, most=3, lead="TRUST", style=style)
    return Section("trust", (), [*said, *paragraph(summary.answer, width, most=5, lead="ANSWER")], keep=True)


def _modes(summary: Summary, width: int) -> Section:
    rows = [(_mode(summary, cell), "dim" if unfit(cell) else "") for cell in summary.cells]
    head, items = table(MODES, rows, width)
    caption = [] if sweep.sweeps(summary) else paragraph(CAPTION, width, most=2, style="dim")
    return Section("cells", items, head, caption, rank=12, least=6, most=MOST_CELLS)


def _mode(summary: Summary, cell: Cell) -> list[str]:
    """The cell's texts under MODES; of numbers that may not be believed only the word for it."""
    return [cell.label, pairs_text(cell), *_times(summary, cell), _failed(summary, cell)]


def _times(summary: Summary, cell: Cell) -> list[str]:
    if word := unfit(cell):
        return [word, NONE, NONE, NONE]
    if cell.unsupported:
        return [NA, NA, NA, NA]
    useful = _number(summary.row(cell, "streamed", "ttfu", "p50"), interval=False)
    if cell.unpaired:
        return ["no blocking", useful, NONE, NONE]
    whole = _number(summary.row(cell, "blocking", "total", "p50"), interval=False)
    gain, overhead = (
        summary.row(cell, "paired", "gain", "hl", "ms"),
        summary.row(cell, "paired", "overhead", "hl", "ratio"),
    )
    return [whole, useful, _number(gain), _number(overhead)]


def _number(row: Row | None, *, interval: bool = True) -> str:
    """Estimate and interval; or n/a and why, where the reason is short."""
    why = reason(row)
    if row and row.estimate is not None:
        return both(row) if interval else value(row)
    return f"{NA} ({why})" if row and why and len(why) <= LONGEST_REASON else NA


def _failed(summary: Summary, cell: Cell) -> str:
    """`0 / 1 of 36`: of each delivery, of how many that were offered."""
    rows = [summary.row(cell, delivery, "failures", "sum") for delivery in cost_deliveries(summary, cell)]
    known = [row for row in rows if row]
    if len({row.n for row in known}) > 1:
        return " / ".join(f"{value(row)} of {row.n}" for row in known)
    return f"{' / '.join(map(value, known))} of {known[0].n}" if known else NA


def _costs(summary: Summary, width: int) -> Section:
    rows = [(_cost(summary, cell), "dim" if unfit(cell) else "") for cell in summary.cells if not cell.unsupported]
    head, items = table(COSTS, rows, width)
    few = len(items) <= MOST_CELLS and not sweep.sweeps(summary)  # else others need the room
    return Section("rows of costs", items, head, rank=4 if few else 2, least=int(few), most=MOST_CELLS)


def _cost(summary: Summary, cell: Cell) -> list[str]:
    """The cell's texts under COSTS. What is counted stands in any cell, what is timed does not."""
    deliveries = cost_deliveries(summary, cell)
    counted = [[summary.row(cell, of, metric, "sum") for of in deliveries] for metric in ("attempts", "backoff")]
    memory = [[summary.memory_row(cell, of, f"memory_{what}.rss") for of in deliveries] for what in ("peak", "slope")]
    cpu = [summary.row(cell, "streamed", "cpu_per_event", "mean")]
    timed = [NONE, NONE] if unfit(cell) else [_side_by_side(counted[1]), _side_by_side(cpu)]
    return [
        cell.label,
        _side_by_side(counted[0]),
        timed[0],
        _side_by_side(memory[0]),
        _side_by_side(memory[1], unit=False),
        timed[1],
    ]


def _side_by_side(rows: Sequence[Row | None], *, unit: bool = True) -> str:
    """`36 / 38`, `78 / 414 kB`; n/a once where all are, and why where that is the scenario's own doing."""
    texts = [f"{NA}: own" if reason(row) == "own client" else value(row, unit=unit) for row in rows]
    if len(set(texts)) <= 1:
        return texts[0] if texts and (len(texts) == 1 or NA in texts[0]) else " / ".join(texts)
    units = {text.partition(" ")[2] for text in texts}
    if len(units) == 1 and (name := units.pop()):
        return f"{' / '.join(text.partition(' ')[0] for text in texts)} {name}"
    return " / ".join(texts)


def _rankings(summary: Summary, width: int) -> Iterator[Section]:
    """Which target or model is fastest, in a sentence for each scenario."""
    items = [paragraph(f"{one.label}: {one.sentence}", width, most=2) for one in summary.rankings]
    yield Section("rankings", items, [Line("fastest", "bold")] if items else (), rank=11, least=2, most=6)


def _compared(comparisons: Sequence[Comparison], width: int) -> Iterator[Section]:
    """What became worse by most, with what may explain it."""
    for one in comparisons:
        how = "pair by pair" if any(change.method == "paired" for change in one.changes) else "unpaired"
        how = how if one.kind == "within" else f"two runs, {how}"
        head = [Line(clipped(f"{one.current.name} compared with {one.baseline.name} ({how})", width), "bold")]
        head += [line for mark in one.watermarks[:2] for line in paragraph(f"caution: {mark}", width, most=1)]
        where = "report.md" if one.kind == "within" else "compare.md"
        changes = words.telling(words.displayed(one).changes)
        items = [[Line(clipped(_change(change), width))] for change in changes]
        yield Section("changes", items, head, rank=10, least=2, most=6, where=where)


def _change(change: Change) -> str:
    """The number on both sides, what became of it with its interval, or why that cannot be said."""
    sides = f"{value(change.baseline)} → {value(change.current)}"
    return f"{words.name(change)}: {sides}, {words.change_text(change)}, n={change.n}: {words.verdict(change)}"


def _loads(summary: Summary, width: int, *, brief: bool) -> Iterator[Section]:
    """A table for each sweep, and its knee, which always stays."""
    shown = sweep.sweeps(summary)
    for one in shown:
        columns = (Column(f"{sweep.TITLE.lower()}:", one.label), Column("", "delivery"), *one.columns)
        streamed = [line for line in one.lines if line.delivery == "streamed"]
        listed = streamed if brief and streamed else one.lines
        rows = [([line.load, line.delivery, *_mains(line.entries)], "dim" if line.unfit else "") for line in listed]
        head, items = table(columns, rows, width, left=2)
        more = len(one.lines) - len(listed)
        yield Section("lines of loads", items, head, rank=8, least=2, most=12, unlisted=more)
        knees = [paragraph(said, width, most=2 if brief else 3) for said in one.knees]
        yield Section("knees", knees, rank=13, least=2, apart=False)
    if shown:
        caption = paragraph(sweep.caption(summary), width, most=1 if brief else 4, style="dim")
        yield Section("", (), caption, apart=False)


def _mains(entries: Sequence[Entry]) -> list[str]:
    return [entry.main for entry in entries]


def _clients(summary: Summary, width: int, *, brief: bool) -> Iterator[Section]:
    """What the SDK adds to the lean client."""
    added = sweep.added(summary)
    columns = (Column(sweep.TITLE_SDK, ""), Column("", "delivery"), *sweep.COLUMNS_SDK)
    rows = []
    for one in added:  # the intervals stand below the numbers
        rows.append(([one.label, one.delivery, *(entry.main for entry in one.entries)], ""))
        rows.append((["", "", *(entry.below for entry in one.entries)], ""))
    head, items = table(columns, rows, width, left=2) if rows else ([], [])
    pairs = [[*above, *below] for above, below in zip(items[::2], items[1::2], strict=True)]
    caption = [] if brief else paragraph(sweep.CAPTION_SDK, width, most=3, style="dim")
    yield Section("lines of clients", pairs, head, caption if rows else (), rank=13, least=2, most=12)


def _claims(summary: Summary, width: int, *, brief: bool) -> Section:
    """A line for each claim; a second one, where there is room, with the number that decided."""
    untested = [claim for claim in summary.claims if claim.verdict == claims.UNTESTED]
    folded = len(untested) if brief or len(untested) == len(summary.claims) else 0
    listed = [claim for claim in summary.claims if not (folded and claim in untested)]
    column = max((len(claim.verdict) for claim in listed), default=0) + 2
    items = [_claim(claim, column, width, brief=brief) for claim in listed]
    if folded:
        of = str(folded) if listed else "none"
        items.append(
            paragraph(f"{claims.UNTESTED}  {of} of the {len(summary.claims)}; report.md says why", width, most=2)
        )
    return Section("claims", items, [Line("claims", "bold")] if items else (), rank=5, least=1, most=6)


def _claim(claim: Claim, column: int, width: int, *, brief: bool) -> list[Line]:
    room = width - column
    texts = [claims.in_a_line(claim, room)] if brief else claims.in_short(claim, room)
    verdicts = (claim.verdict, *[""] * len(texts))
    return [Line(f"{word:{column}}{clipped(text, room)}") for word, text in zip(verdicts, texts, strict=False)]


def _recorded(summary: Summary, width: int) -> Section:
    """What scenarios and plugins recorded; the name of a cell stands at its first line."""
    rows, before = [], ""
    for line in recorded.recorded(summary):
        label = line.cell.label
        rows.append((["" if label == before else label, *line.texts], ""))
        before = label
    columns = [Column(head, "") for head in ("recorded", *recorded.HEADS[1:])]
    head, items = table(columns, rows, width, left=2) if rows else ([], [])
    return Section("recorded numbers", items, head, rank=1, most=12)


def _below(summary: Summary, width: int, *, brief: bool) -> Iterator[Section]:
    """Notes on cells, failures, evidence, and what the run itself had to say."""
    yield Section(
        "notes on cells", [paragraph(note, width, most=2) for note in _notes(summary)], rank=4, least=2, most=8
    )
    failures = [paragraph(_failure(one), width, most=1 if brief else 2) for one in _telling(summary)]
    yield Section("failures", failures, rank=3, least=1, most=3, apart=False, unlisted=summary.unlisted)
    evidence = [line for line in summary.trust.lines if not line.startswith(ENDED)]
    ended = [line for line in summary.trust.lines if line.startswith(ENDED)]
    said = [paragraph(f"trust: {line}", width, most=2) for line in evidence]
    yield Section("lines of evidence", said, rank=2, least=1, most=3, apart=False)
    yield Section("", (), [x for line in ended for x in paragraph(f"trust: {line}", width, most=2)], apart=False)
    notes = [paragraph(f"note: {line}", width, most=2) for line in summary.notes]
    yield Section("notes", notes, rank=0, least=1, most=2, apart=False)


def _notes(summary: Summary) -> list[str]:
    """Each note once, with the cells that it is about; what makes numbers unusable first."""
    cells: dict[str, list[str]] = {}
    for cell in summary.cells:
        for note in footnotes(summary, cell):
            cells.setdefault(note, []).append(cell.label)
    grave = ("INVALID", "SATURATED", "unsupported", "NOT ENOUGH DATA")
    ordered = sorted(cells.items(), key=lambda item: not item[0].startswith(grave))
    return [f"{', '.join(labels) if len(labels) < 4 else f'{len(labels)} cells'}: {note}" for note, labels in ordered]


def _failure(one: Failure) -> str:
    return f"failed: trial {one.trial_id} {one.cell} {one.delivery}, {one.status}: {one.error[:LONGEST_ERROR]}"


def _telling(summary: Summary) -> list[Failure]:
    """Failures, the first of each class in front."""
    first = {one.status: one for one in reversed(summary.failures)}
    return sorted(summary.failures, key=lambda one: one is not first[one.status])
