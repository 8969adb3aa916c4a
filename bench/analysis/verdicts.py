"""What the numbers say, in sentences: decided only where the interval decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby

from bench.analysis.wording import both, interval, value
from bench.summary import Cell, Row

MARGIN = 0.02
"""Totals this close count as equal."""

Find = Callable[[Cell, str, str, str, str], Row | None]
"""(cell, delivery, metric, statistic, unit) → its row."""


def known(row: Row | None) -> tuple[float, float, float] | None:
    """(estimate, low, high) where there is an interval."""
    if row is None or row.estimate is None or row.low is None or row.high is None:
        return None
    return row.estimate, row.low, row.high


def sooner(gain: Row | None) -> str:
    """Sentence about the first useful output."""
    found = known(gain)
    if gain is None or found is None:
        return f"how much sooner the first useful output arrives cannot be said: {why(gain)}"
    estimate, low, high = found
    if low > 0:
        return f"the first useful output arrives {both(gain)} sooner"
    if high < 0:
        loss = replace(gain, estimate=-estimate, low=-high, high=-low)
        return f"the first useful output arrives later than the blocking answer (by {both(loss)})"
    return f"whether the first useful output arrives sooner cannot be told ({both(gain)})"


def finish(overhead: Row | None) -> str:
    """Sentence about the whole answer, from the ratio of the totals."""
    found = known(overhead)
    if found is None:
        return f"the totals cannot be compared: {why(overhead)}"
    _, low, high = found
    if low >= -MARGIN and high <= MARGIN:
        return f"the whole answer takes the same time within 2 % ({both(overhead)})"
    if low > 0:
        return f"the whole answer is slower ({both(overhead)})"
    if high < 0:
        return f"the whole answer is faster ({both(overhead)})"
    return f"whether the whole answer is slower cannot be told ({both(overhead)})"


def why(row: Row | None) -> str:
    """Why a paired number is missing."""
    return "not measured" if row is None else row.note.removeprefix("n/a ").strip("()")


def cell_verdict(find: Find, cell: Cell) -> str:
    """One or two sentences for a cell."""
    if cell.invalid:
        return f"INVALID: {cell.invalid}; no verdict."
    if cell.unsupported:
        return f"Unsupported there, so not measured: {cell.unsupported}"
    gain = find(cell, "paired", "gain", "hl", "ms")
    overhead = find(cell, "paired", "overhead", "hl", "ratio")
    if gain is None:
        return _capital(f"{alone(find, cell)}.")
    if why(gain) == why(overhead) and known(gain) is None:
        return f"No comparison: {why(gain)}."
    return _capital(f"{sooner(gain)}; {finish(overhead)}.")


def alone(find: Find, cell: Cell) -> str:
    """A cell without pairs has only its own numbers."""
    parts = [
        f"{name} {both(row)}"
        for delivery, metric, name in (
            ("streamed", "ttfu", "first useful output after"),
            ("streamed", "total", "the whole streamed answer after"),
            ("blocking", "total", "the whole blocking answer after"),
        )
        if (row := find(cell, delivery, metric, "p50", "")) is not None
    ]
    return f"{cell.unpaired or 'no pairs'}, so no comparison" + (f": {', '.join(parts)} (medians)" if parts else "")


def answer(find: Find, cells: Sequence[Cell]) -> str:
    """The answer of the whole run: what streaming buys, and which endpoint or model is fastest."""
    if cells and all(cell.unsupported for cell in cells):
        return "Nothing was measured: the target supports none of it."
    valid = [cell for cell in cells if not cell.invalid and not cell.unsupported]
    if not valid:
        return "No verdict: no cell of this run is valid." if cells else "Nothing was measured."
    first = valid[0].verdict if len(valid) == 1 else over_all(find, valid)
    return " ".join([first, *fastest(find, valid)])


def over_all(find: Find, cells: Sequence[Cell]) -> str:
    """Gain and overhead of several cells in one sentence; how many have no blocking counterpart in another."""
    paired = [cell for cell in cells if not cell.unpaired]
    rest = len(cells) - len(paired)
    counted = "1 cell, its own medians" if rest == 1 else f"{rest} cells, their own medians"
    others = f" No blocking counterpart: {counted} are in the table." if rest else ""
    return _compared(find, paired) + others if paired else _NO_PAIRS


_NO_PAIRS = "No pairs, so no comparison of streamed and blocking; the medians are in the table."


def _compared(find: Find, cells: Sequence[Cell]) -> str:
    gains = [(cell, find(cell, "paired", "gain", "hl", "ms")) for cell in cells]
    ratios = [(cell, find(cell, "paired", "overhead", "hl", "ratio")) for cell in cells]
    if all(row is None for _, row in gains):
        return _NO_PAIRS
    compared = [(cell, row) for cell, row in gains if known(row)]
    if not compared:
        return f"No comparison: {'; '.join(sorted({why(row) for _, row in gains}))}."
    early = [(cell, row) for cell, row in compared if (k := known(row)) and k[1] > 0]
    of = f"{len(early)} of {len(compared)}" + ("" if len(compared) == len(cells) else " comparable")
    first = f"The first useful output arrives sooner in {of} cells{_range(early)}"
    return f"{first}. Time to the whole answer, against blocking: {', '.join(_finishes(ratios))}."


def _range(cells: Sequence[tuple[Cell, Row | None]]) -> str:
    """By how much, each cell with its interval; of many cells only the extremes."""
    ordered = sorted(((cell, row) for cell, row in cells if row), key=lambda pair: -(pair[1].estimate or 0))
    shown = ordered if len(ordered) <= 4 else [ordered[0], ordered[-1]]
    text = (", " if len(ordered) <= 4 else " … ").join(f"{cell.label} by {both(row)}" for cell, row in shown)
    return f": {text}" if text else ""


def _finishes(ratios: Sequence[tuple[Cell, Row | None]]) -> Iterator[str]:
    """`slower in 1 (text +3.0 % [2.1, 4.0])`, and so on, for each outcome that occurs."""
    named = [(_outcome(row), f"{cell.label} {both(row)}" if known(row) else cell.label) for cell, row in ratios]
    for outcome in ("slower", "faster", "the same within 2 %", "undecided", "not comparable"):
        labels = [label for found, label in named if found == outcome]
        if labels:
            yield f"{outcome} in {len(labels)}" + (f" ({'; '.join(labels)})" if len(labels) <= 4 else "")


def _outcome(row: Row | None) -> str:
    found = known(row)
    if found is None:
        return "not comparable"
    _, low, high = found
    if low >= -MARGIN and high <= MARGIN:
        return "the same within 2 %"
    return "slower" if low > 0 else "faster" if high < 0 else "undecided"


def fastest(find: Find, cells: Sequence[Cell]) -> Iterator[str]:
    """For each scenario that ran on several models or targets: the one with the lowest streamed TTFU, if one has."""
    for (scenario, _), group in groupby(sorted(cells, key=_workload), key=_workload):
        rivals = list(group)
        if len(rivals) > 1:
            yield f"{scenario}: {_winner(find, rivals)}."


def _workload(cell: Cell) -> tuple[str, tuple[str, ...]]:
    key = cell.key
    return key.scenario, (key.params, key.api, key.client, key.load)


def _winner(find: Find, rivals: Sequence[Cell]) -> str:
    rows = [(cell, find(cell, "streamed", "ttfu", "p50", "")) for cell in rivals]
    placed = sorted(((k[1], k[2], i) for i, (_, row) in enumerate(rows) if (k := known(row))), key=lambda p: p[1])
    if len(placed) < len(rivals):
        return "which is fastest streamed cannot be said (a median is missing)"
    cell, row = rows[placed[0][2]]
    if placed[0][1] < min(low for low, _, i in placed if i != placed[0][2]):
        return (
            f"{_rival(cell)} is the fastest streamed, first useful output after {value(row)} {interval(row)} (median)"
        )
    listed = ", ".join(f"{_rival(cell)} {both(row)}" for cell, row in rows)
    return f"cannot tell apart which is fastest streamed by the first useful output ({listed})"


def _rival(cell: Cell) -> str:
    return f"{cell.key.target}/{cell.key.model}"


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
