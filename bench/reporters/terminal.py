"""The report on the terminal: at most 100 columns, plain when piped."""

from __future__ import annotations

import io
import re
import textwrap
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Literal

from bench.reporters import claims, recorded, sweep
from bench.reporters.table import COST, SHORT_CAPTION, TIME, cost_deliveries, cost_texts, footnotes, time_entries, unfit
from bench.summary import Cell, Summary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from bench.reporters.recorded import Recorded

WIDEST = 100
MOST_FAILURES = 5
LONGEST_ERROR = 160
MOST_TRUST = 4
"""Lines of evidence; the first ones matter to most."""
ENDED = "ended:"
"""The line that says what ended the run, and its cost, is always there."""
MOST_RECORDED = 36
"""Lines."""
NAME_SHARE = 5
"""A name takes at most this part of the width; a longer one goes on in a line of its own."""


STYLES = {"VALID": "bold green", "CAUTION": "bold yellow", "INVALID": "bold red", "UNCHECKED": "bold"}


def render_terminal(summary: Summary, width: int = WIDEST, *, color: bool = False) -> str:
    """Answer first, then the two tables, then what to know about them."""
    out = io.StringIO()
    console = _console(out, min(width, WIDEST), color=color)
    console.print(f"{title(summary)}\n{summary.headline}", style="bold")
    console.print()
    verdict = summary.trust.verdict
    console.print(_led("TRUST", f"{verdict}: {summary.trust.sentence}", console.width), style=STYLES[verdict])
    console.print(_led("ANSWER", summary.answer, console.width))
    console.print()
    longest = console.width // NAME_SHARE
    console.print(_time_table(summary, longest))
    console.print()
    console.print(_cost_table(summary, longest))
    console.print(SHORT_CAPTION, style="dim")
    console.print()
    _print_load(console, summary, longest)
    if summary.claims:
        for line in _claims(summary, console.width):
            console.print(line)
        console.print()
    if lines := list(recorded.recorded(summary)):
        console.print(_recorded_table(lines, longest))
        if len(lines) > MOST_RECORDED:
            console.print(f"… and {len(lines) - MOST_RECORDED} more recorded numbers: report.md lists them")
        console.print()
    for line in _below(summary):
        console.print(line)
    text = _harmless(out.getvalue(), color=color)
    return "\n".join(line.rstrip() for line in text.splitlines()) + "\n"


def _harmless(text: str, *, color: bool) -> str:
    """Without control characters: a model's name may be the server's. Of escape sequences colours alone are left."""
    keep = r"(?!\x1b\[[\d;]*m)" if color else ""
    return re.sub(rf"{keep}[\x00-\x09\x0b-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]", "", text)


def _led(word: str, text: str, width: int) -> str:
    """A word, and what it says beside it."""
    return textwrap.fill(text, width, initial_indent=f"{word:8}", subsequent_indent=" " * 8)


def title(summary: Summary) -> str:
    """Version, run and time."""
    run = summary.manifest
    version = run["versions"].get("streambench", "")
    named = f" ({run['name']})" if run.get("name") else ""
    return f"streambench {version}  run {run['run_id']}{named}  {run['created']}"


def _console(out: io.StringIO, width: int, *, color: bool) -> Console:
    from rich.console import Console  # noqa: PLC0415  (start-up time)

    system: Literal["standard"] | None = "standard" if color else None
    return Console(
        file=out,
        width=width,
        color_system=system,
        force_terminal=color,
        markup=False,
        highlight=False,
        emoji=False,
        legacy_windows=False,
    )


def _time_table(summary: Summary, longest: int) -> Table:
    table = _table(("scenario", "pairs"), *TIME)
    for cell in summary.cells:
        entries = time_entries(summary, cell)
        texts = (f"{entry.main}\n{entry.below}".rstrip() for entry in entries)
        table.add_row(_label(cell, longest), *texts, style="dim" if unfit(cell) else "")
    return table


def _cost_table(summary: Summary, longest: int) -> Table:
    table = _table(("scenario", ""), ("", "delivery"), *COST)
    for cell in summary.cells:
        for place, delivery in enumerate(cost_deliveries(summary, cell)):
            table.add_row("" if place else folded(cell.label, longest), delivery, *cost_texts(summary, cell, delivery))
    return table


def _print_load(console: Console, summary: Summary, longest: int) -> None:
    """The tables of the loads and of the clients, where the run has several."""
    for found in (shown := sweep.sweeps(summary)):
        table = _table((f"{sweep.TITLE.lower()}:", found.label), ("", "delivery"), *found.columns)
        before = ""
        for line in found.lines:
            texts = (entry.main for entry in line.entries)
            table.add_row("" if line.load == before else line.load, line.delivery, *texts)
            before = line.load
        console.print(table)
        for said in found.knees:
            console.print(said)
        console.print()
    if shown:
        console.print(sweep.caption(summary), style="dim")
        console.print()
    if clients := sweep.added(summary):
        table = _table((sweep.TITLE_SDK, ""), ("", "delivery"), *sweep.COLUMNS_SDK)
        for one in clients:
            texts = (f"{entry.main}\n{entry.below}".rstrip() for entry in one.entries)
            table.add_row(folded(one.label, longest), one.delivery, *texts)
        console.print(table)
        console.print(sweep.CAPTION_SDK, style="dim")
        console.print()


def _claims(summary: Summary, width: int) -> Iterator[str]:
    """One line, or two, for each claim; report.md has them in full."""
    verdicts = {claim.verdict for claim in summary.claims}
    column = max(map(len, verdicts)) + 2
    yield "claims"
    if verdicts == {claims.UNTESTED}:
        yield f"{claims.UNTESTED}  none of the {len(summary.claims)}; report.md says why"
        return
    for claim in summary.claims:
        room = width - column
        statement, *why = claims.in_short(claim, room)
        yield f"{claim.verdict:{column}}{textwrap.shorten(statement, room, placeholder=' …')}"
        yield from (f"{'':{column}}{line}" for line in why)


def _recorded_table(lines: Sequence[Recorded], longest: int) -> Table:
    """What was recorded; the name of a cell stands at its first line."""
    table = _table(("recorded", ""), ("name", ""), ("streamed", ""), ("blocking", ""), ("n", ""))
    before = ""
    for line in lines[:MOST_RECORDED]:
        label = line.cell.label
        table.add_row("" if label == before else folded(label, longest), *line.texts)
        before = label
    return table


NAMED = ("scenario", "recorded", f"{sweep.TITLE.lower()}:", sweep.TITLE_SDK)
"""Heads of the first column."""


def _table(*heads: tuple[str, str]) -> Table:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for top, bottom in heads:
        name = top in NAMED
        left = name or (top in {"name", ""} and (not bottom or bottom in {"pairs", "delivery"}))
        justify: Literal["left", "right"] = "left" if left else "right"
        table.add_column(f"{top}\n{bottom}".rstrip(), justify=justify, overflow="fold", no_wrap=name)
    return table


def _label(cell: Cell, longest: int) -> str:
    """The scenario, and on a second line its pairs and whatever else tells this cell apart."""
    rest = cell.label.removeprefix(cell.key.scenario).strip()
    trials = max(cell.first_useful.offered, cell.blocking_total.offered)
    size = f"{cell.pairs} pairs" if cell.pairs else f"{trials} trials"
    below = ", ".join(part for part in (rest, size) if part)
    return "\n".join(folded(line, longest) for line in (cell.key.scenario, below))


def folded(name: str, longest: int) -> str:
    """A long name on several lines, broken at a space or behind an underscore, and elsewhere only where it must be."""
    lines = [""]
    for part in re.findall(rf"[^_ ]{{1,{longest}}}_?|_|  *", name):
        if lines[-1] and len(lines[-1]) + len(part) > longest:
            lines.append("")
        lines[-1] += part if lines[-1] else part.lstrip()
    return "\n".join(line.rstrip() for line in lines)


def _below(summary: Summary) -> Iterator[str]:
    for cell in summary.cells:
        for note in footnotes(summary, cell):
            yield f"{cell.label}: {note}"
    for failure in summary.failures[:MOST_FAILURES]:
        what = f"{failure.status}: {failure.error[:LONGEST_ERROR]}"
        yield f"failed: trial {failure.trial_id} {failure.cell} {failure.delivery}, {what}"
    if more := len(summary.failures[MOST_FAILURES:]) + summary.unlisted:
        yield f"… and {more} more failures: report.md lists them"
    lines = summary.trust.lines
    shown = [line for place, line in enumerate(lines) if place < MOST_TRUST or line.startswith(ENDED)]
    yield from (f"trust: {line}" for line in shown)
    if rest := len(lines) - len(shown):
        yield f"trust: report.md has {rest} more line{'s' if rest > 1 else ''}"
    yield from (f"note: {line}" for line in summary.notes)
