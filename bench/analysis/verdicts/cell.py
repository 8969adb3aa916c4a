"""What the numbers of a cell say: decided only where the interval decides, and the instrument can see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from bench.analysis.checks.floor import Resolution
from bench.analysis.wording import both, milliseconds
from bench.core.row import Row
from bench.core.summary import Cell

MARGIN = 0.02
"""Totals this close count as equal."""
Find = Callable[[Cell, str, str, str, str], Row | None]
"""(cell, delivery, metric, statistic, unit) → its row."""
Outcome = Literal["more", "less", "same", "unresolved", "undecided", "missing"]
"""`unresolved`: the interval excludes 0, but so small an effect may be the instrument's own."""


def known(row: Row | None) -> tuple[float, float, float] | None:
    """(estimate, low, high) where there is an interval."""
    if row is None or row.estimate is None or row.low is None or row.high is None:
        return None
    return row.estimate, row.low, row.high


def judged(row: Row | None, in_ms: Row | None, resolves: float | None, margin: float | None = None) -> Outcome:
    """More than 0, less, or neither. `in_ms`: the same effect in ms, held against what the instrument resolves."""
    found = known(row)
    if found is None:
        return "missing"
    _, low, high = found
    if margin is not None and low >= -margin and high <= margin:
        return "same"
    if low <= 0 <= high:
        return "undecided"
    effect = known(in_ms)
    if resolves is not None and effect is not None and abs(effect[0]) < resolves:
        return "unresolved"
    return "more" if low > 0 else "less"


def gain_of(find: Find, cell: Cell, resolution: Resolution) -> tuple[Row | None, Outcome]:
    """How much sooner something useful is there: the row in ms, and what it says."""
    gain = find(cell, "paired", "gain", "hl", "ms")
    return gain, judged(gain, gain, resolution.gain_ms)


def overhead_of(find: Find, cell: Cell, resolution: Resolution) -> tuple[Row | None, Outcome]:
    """How much longer the whole answer takes: the row as a ratio, and what it says."""
    ratio = find(cell, "paired", "overhead", "hl", "ratio")
    in_ms = find(cell, "paired", "overhead", "hl", "ms")
    return ratio, judged(ratio, in_ms, resolution.total_ms, MARGIN)


def sooner(gain: Row | None, outcome: Outcome, resolves: float | None) -> str:
    """Sentence about the first useful output."""
    if gain is None or outcome == "missing":
        return f"how much sooner the first useful output arrives cannot be said: {why(gain)}"
    if outcome == "more":
        return f"the first useful output arrives {both(gain)} sooner"
    if outcome == "less":
        return f"the first useful output arrives later than the blocking answer (by {both(negated(gain))})"
    if outcome == "unresolved":
        return f"how much sooner the first useful output arrives ({both(gain)}) is {_below(resolves)}"
    return f"whether the first useful output arrives sooner cannot be told ({both(gain)})"


def finish(overhead: Row | None, outcome: Outcome, resolves: float | None) -> str:
    """Sentence about the whole answer, from the ratio of the totals."""
    if overhead is None or outcome == "missing":
        return f"the totals cannot be compared: {why(overhead)}"
    if outcome == "same":
        return f"the whole answer takes the same time within 2 % ({both(overhead)})"
    if outcome == "unresolved":
        return f"the difference in time to the whole answer ({both(overhead)}) is {_below(resolves)}"
    if outcome == "undecided":
        return f"whether the whole answer is slower cannot be told ({both(overhead)})"
    return f"the whole answer is {'slower' if outcome == 'more' else 'faster'} ({both(overhead)})"


def _below(resolves: float | None) -> str:
    return f"below what this instrument resolves ({milliseconds(resolves or 0)})"


def negated(row: Row) -> Row:
    """The same effect seen from the other side."""
    estimate, low, high = known(row) or (0.0, 0.0, 0.0)
    return replace(row, estimate=-estimate, low=-high, high=-low)


def why(row: Row | None) -> str:
    """Why a paired number is missing."""
    return "not measured" if row is None else row.note.removeprefix("n/a ").strip("()")


def cell_verdict(find: Find, cell: Cell, resolution: Resolution) -> str:
    """One or two sentences for a cell."""
    if cell.invalid:
        return f"INVALID: {cell.invalid}; no verdict."
    if cell.unsupported:
        return f"Unsupported there, so not measured: {cell.unsupported}"
    if cell.saturated:
        return f"SATURATED, so no verdict: {cell.saturated.rstrip('.')}."
    (gain, seen), (overhead, ends) = gain_of(find, cell, resolution), overhead_of(find, cell, resolution)
    if gain is None:
        return _capital(f"{alone(find, cell)}.")
    if why(gain) == why(overhead) and seen == "missing":
        return f"No comparison: {why(gain)}."
    said = (sooner(gain, seen, resolution.gain_ms), finish(overhead, ends, resolution.total_ms))
    return _capital(f"{'; '.join(said)}.")


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


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
