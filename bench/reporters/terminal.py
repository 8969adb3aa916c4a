"""The report on the terminal: at most 100 columns, plain when piped."""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import TYPE_CHECKING, Literal

from bench.reporters.table import CAPTION, COST, TIME, cost_deliveries, cost_texts, footnotes, time_entries
from bench.summary import Cell, Summary

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

WIDEST = 100
MOST_FAILURES = 5
LONGEST_ERROR = 160


def render_terminal(summary: Summary, width: int = WIDEST, *, color: bool = False) -> str:
    """Answer first, then the two tables, then what to know about them."""
    out = io.StringIO()
    console = _console(out, min(width, WIDEST), color=color)
    console.print(f"{title(summary)}\n{summary.headline}", style="bold")
    console.print()
    console.print(summary.answer)
    console.print()
    console.print(_time_table(summary))
    console.print()
    console.print(_cost_table(summary))
    console.print(CAPTION, style="dim")
    console.print()
    for line in _below(summary):
        console.print(line)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


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


def _time_table(summary: Summary) -> Table:
    table = _table(("scenario", "pairs"), *TIME)
    for cell in summary.cells:
        entries = time_entries(summary, cell)
        table.add_row(_label(cell), *(f"{entry.main}\n{entry.below}".rstrip() for entry in entries))
    return table


def _cost_table(summary: Summary) -> Table:
    table = _table(("scenario", ""), ("", "delivery"), *COST)
    for cell in summary.cells:
        for place, delivery in enumerate(cost_deliveries(summary, cell)):
            table.add_row("" if place else cell.label, delivery, *cost_texts(summary, cell, delivery))
    return table


def _table(*heads: tuple[str, str]) -> Table:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="bold", show_edge=False)
    for top, bottom in heads:
        left = top == "scenario" or bottom == "delivery"
        table.add_column(f"{top}\n{bottom}".rstrip(), justify="left" if left else "right", overflow="fold")
    return table


def _label(cell: Cell) -> str:
    """The scenario, and on a second line its pairs and whatever else tells this cell apart."""
    rest = cell.label.removeprefix(cell.key.scenario).strip()
    trials = max(cell.first_useful.offered, cell.blocking_total.offered)
    size = f"{cell.pairs} pairs" if cell.pairs else f"{trials} trials"
    return f"{cell.key.scenario}\n" + ", ".join(part for part in (rest, size) if part)


def _below(summary: Summary) -> Iterator[str]:
    for cell in summary.cells:
        for note in footnotes(summary, cell):
            yield f"{cell.label}: {note}"
    for failure in summary.failures[:MOST_FAILURES]:
        what = f"{failure.status}: {failure.error[:LONGEST_ERROR]}"
        yield f"failed: trial {failure.trial_id} {failure.cell} {failure.delivery}, {what}"
    if len(summary.failures) > MOST_FAILURES:
        yield f"… and {len(summary.failures) - MOST_FAILURES} more failures: report.md lists them"
    yield from (f"trust: {line}" for line in summary.trust)
    yield from (f"note: {line}" for line in summary.notes)
