"""Draw the state, fitted to the terminal: the cells that matter now, never more lines than there are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from statistics import quantiles

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from bench.core.text.terminal import escape_control
from bench.run.liveview.estimates import FiguresCache
from bench.run.liveview.state import CellState, State
from bench.stats.intervals import Estimate

WIDE = 100
"""Terminal width from which a cell takes one line; in narrower ones its intervals are in a second line."""
MEDIUM = 72
"""Terminal width below which `seen sooner` is left out."""
BAR = 12
PHASES = {"warmup": "warm-up", "ramp": "ramp", "measure": "measuring", "aa": "A/A check", "calibrate": "calibration"}
AROUND = 10
"""Lines besides those of the cells: two above, two of the table's head, one sum, three below, and two spare."""


def page(state: State, cache: FiguresCache, now: float, width: int, height: int) -> RenderableType:
    """Draw the view at this time (`monotonic`) for a terminal of this size."""
    parts: list[RenderableType] = [_progress(state), _line(_clock(state, now))]
    if state.cells:
        room = max(1, (height - AROUND) // (1 if width >= WIDE else 2))
        shown, others = choose_cells(list(state.cells.values()), room)
        parts += [_table(shown, cache, width), *map(_line, _other_lines(others)), *map(_line, _footer(state))]
    return Group(*parts)


def choose_cells(cells: Sequence[CellState], room: int) -> tuple[Sequence[CellState], Sequence[CellState]]:
    """Return the cells to show and all others, in plan order. Running cells come first, then those that ended last."""
    ranked = sorted(cells, key=_rank)
    shown = {cell.number for cell in ranked[:room]}
    return [cell for cell in cells if cell.number in shown], [cell for cell in cells if cell.number not in shown]


def _rank(cell: CellState) -> tuple[int, int]:
    """Rank a cell. Cells that take turns keep their order, or rows would jump with every pair."""
    if cell.is_over:
        return 1, -cell.last
    if not cell.last:
        return 2, cell.number
    return 0, cell.number if cell.alone else -cell.last


def _other_lines(cells: Sequence[CellState]) -> Iterator[str]:
    if not cells:
        return
    over = sum(cell.is_over for cell in cells)
    begun = sum(bool(cell.last) and not cell.is_over for cell in cells)
    counts = ((over, "done"), (begun, "under way"), (len(cells) - over - begun, "to come"))
    yield f"… {len(cells)} more: " + ", ".join(f"{number} {what}" for number, what in counts if number)


def _progress(state: State) -> RenderableType:
    """Draw the progress as a bar and in numbers."""
    grid = Table.grid(padding=(0, 1), expand=True)
    grid.add_column(no_wrap=True)
    grid.add_column(ratio=1)
    grid.add_column(no_wrap=True, justify="right")
    of = (
        ""
        if state.total is None
        else f" of {'at most ' if state.most and state.done < state.total else ''}{state.total:,}"
    )
    bar = ProgressBar(total=max(state.total or 0, 1), completed=state.done if state.total is not None else 0)
    grid.add_row(Text(state.what, style="bold"), bar, Text(f"{state.done:,}{of}"))
    return grid


def _clock(state: State, now: float) -> str:
    """Return the phase, the time that has passed and the time that is left."""
    doing = PHASES.get(state.phase, state.phase) if state.cells else one_line(state.text)
    left, load = state.remaining_s(now), ""
    if state.total is None:
        load = f" (the load alone: {clock(state.seconds)})" if state.seconds else ""
    elif left is not None:
        load = f", {'at most' if state.most else 'about'} {clock(left)} left"
    return " · ".join(filter(None, (doing, f"{clock(state.elapsed_s(now))} passed{load}")))


def clock(seconds: float) -> str:
    """Format seconds as `0:42` or `1:02:03`."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _table(cells: Sequence[CellState], cache: FiguresCache, width: int) -> Table:
    wide, known = width >= WIDE, cache.get(cells)
    heads = ["first useful\nstreamed, ms", "whole\nblocking, ms", "seen sooner\nby, ms"][: 3 if width >= MEDIUM else 2]
    table = Table(box=None, padding=(0, 1), pad_edge=False, expand=True, header_style="dim")
    table.add_column("", ratio=1, no_wrap=True, overflow="ellipsis")
    table.add_column("", width=BAR if wide else 0)
    for head in ("pairs\n", *heads, "failed\n"):
        table.add_column(head, justify="right", no_wrap=True)
    for cell in cells:
        name = one_line(cell.label) + (f" ({cell.closed})" if cell.closed else "")
        bar: RenderableType = ""
        of = ""
        if cell.pairs is not None:
            of = f"/{cell.pairs:,}"
            bar = ProgressBar(total=cell.pairs or 1, completed=cell.pairs_done, width=BAR) if wide else ""
        figures = known[cell.number]
        estimates = (figures.useful, figures.whole, figures.sooner)[: len(heads)]
        table.add_row(
            Text(name, style="dim" if cell.is_over else ""),
            bar,
            Text(f"{cell.pairs_done:,}{of}"),
            *(_estimate(estimate, wide=wide) for estimate in estimates),
            Text(str(cell.failed), style="red" if cell.failed else ""),
        )
    return table


def _estimate(e: Estimate, *, wide: bool) -> Text:
    """Draw the median with its interval beside or below it, or why there is none."""
    if e.value is None or e.low is None or e.high is None:
        return Text(e.note if wide else _fold(e.note), style="dim")
    to = " to " if e.low < 0 else "–"
    interval = f"[{number(e.low)}{to}{number(e.high)}]"
    return Text(number(e.value)).append(" " if wide else "\n").append(interval, style="dim")


def _fold(note: str) -> str:
    """Break `n/a (n=3 < 6)` into two lines."""
    first, bracket, rest = note.partition(" (")
    return f"{first}\n{rest.removesuffix(')')}" if bracket else note


def number(ms: float) -> str:
    """Format ms with three digits, or all digits before the point."""
    if not math.isfinite(ms):
        return "∞" if ms > 0 else "-∞"
    return f"{ms:,.0f}" if abs(ms) >= 99.95 else f"{ms:.1f}" if abs(ms) >= 9.995 else f"{ms:.2f}"


def _footer(state: State) -> Iterator[str]:
    """Yield the last failure, the client's lag, and the cost."""
    if state.error:
        cell, status, text = map(one_line, state.error)
        yield f"{state.failures} failed, last: {cell} {status}: {text}"
    if len(state.lags) < 2:
        yield "loop lag n/a"
    else:
        yield f"loop lag p90 {quantiles(state.lags, n=10)[-1]:.1f} ms, now {state.lags[-1]:.1f} ms"
    yield " · ".join(_cost_parts(state))


def _cost_parts(state: State) -> Iterator[str]:
    spent = state.spent
    more = f" (and up to {spent.untold:,} not told)" if spent.untold else ""
    yield f"tokens {spent.input:,} in, {spent.output:,} out{more}"
    if spent.usd is not None:
        yield f"{spent.usd:.4g} USD" + (" where a price is known" if spent.unpriced else "")


def _line(text: str) -> Text:
    return Text(text, style="dim", no_wrap=True, overflow="ellipsis")


def one_line(text: str) -> str:
    """Return the text in one line without control characters: errors and names may come from a server."""
    return " ".join(escape_control(text, " ").split())
