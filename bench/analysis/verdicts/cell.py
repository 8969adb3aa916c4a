"""Say what the numbers of a cell show: decided only where the interval decides, and the instrument can see it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Literal

from bench.analysis.checks.floor import Resolution
from bench.analysis.wording import milliseconds, with_interval
from bench.core.results.row import Row
from bench.core.results.summary import Cell
from bench.stats.mover import Bounds, bounds

MARGIN = 0.02
"""Totals this close count as equal."""
Find = Callable[[Cell, str, str, str, str], Row | None]
"""(cell, delivery, metric, statistic, unit) → its row."""
Outcome = Literal["more", "less", "same", "unresolved", "undecided", "missing"]
"""`unresolved`: the interval excludes 0, but so small an effect may be the instrument's own."""


def known_values(row: Row | None) -> Bounds | None:
    """Return the estimate with its interval; None where there is none."""
    return None if row is None else bounds(row.estimate, row.low, row.high)


def judge_effect(row: Row | None, in_ms: Row | None, resolves: float | None, margin: float | None = None) -> Outcome:
    """Judge an effect: more than 0, less, or neither.

    `in_ms`: the effect in ms. An effect below `resolves`, what the instrument resolves, is not judged.
    """
    found = known_values(row)
    if found is None:
        return "missing"
    _, low, high = found
    if margin is not None and low >= -margin and high <= margin:
        return "same"
    if low <= 0 <= high:
        return "undecided"
    effect = known_values(in_ms)
    if resolves is not None and effect is not None and abs(effect[0]) < resolves:
        return "unresolved"
    return "more" if low > 0 else "less"


def gain_of(find: Find, cell: Cell, resolution: Resolution) -> tuple[Row | None, Outcome]:
    """Return how much sooner something useful is there: the row in ms, and what it says."""
    gain = find(cell, "paired", "gain", "hl", "ms")
    return gain, judge_effect(gain, gain, resolution.gain_ms)


def overhead_of(find: Find, cell: Cell, resolution: Resolution) -> tuple[Row | None, Outcome]:
    """Return how much longer the whole answer takes: the row as a ratio, and what it says."""
    ratio = find(cell, "paired", "overhead", "hl", "ratio")
    in_ms = find(cell, "paired", "overhead", "hl", "ms")
    return ratio, judge_effect(ratio, in_ms, resolution.total_ms, MARGIN)


def sooner(gain: Row | None, outcome: Outcome, resolves: float | None) -> str:
    """Write the sentence about the first useful output."""
    if gain is None or outcome == "missing":
        return f"how much sooner the first useful output arrives cannot be said: {missing_reason(gain)}"
    if outcome == "more":
        return f"the first useful output arrives {with_interval(gain)} sooner"
    if outcome == "less":
        return f"the first useful output arrives later than the blocking answer (by {with_interval(negate(gain))})"
    if outcome == "unresolved":
        return (
            f"how much sooner the first useful output arrives ({with_interval(gain)}) is {_resolution_words(resolves)}"
        )
    return f"whether the first useful output arrives sooner cannot be told ({with_interval(gain)})"


def finish(overhead: Row | None, outcome: Outcome, resolves: float | None) -> str:
    """Write the sentence about the whole answer, from the ratio of the totals."""
    if overhead is None or outcome == "missing":
        return f"the totals cannot be compared: {missing_reason(overhead)}"
    if outcome == "same":
        return f"the whole answer takes the same time within 2 % ({with_interval(overhead)})"
    if outcome == "unresolved":
        return (
            f"the difference in time to the whole answer ({with_interval(overhead)}) is {_resolution_words(resolves)}"
        )
    if outcome == "undecided":
        return f"whether the whole answer is slower cannot be told ({with_interval(overhead)})"
    return f"the whole answer is {'slower' if outcome == 'more' else 'faster'} ({with_interval(overhead)})"


def _resolution_words(resolves: float | None) -> str:
    return f"below what this instrument resolves ({milliseconds(resolves or 0)})"


def negate(row: Row) -> Row:
    """Return the effect seen from the other side."""
    estimate, low, high = known_values(row) or (0.0, 0.0, 0.0)
    return replace(row, estimate=-estimate, low=-high, high=-low)


def missing_reason(row: Row | None) -> str:
    """Return why a paired number is missing."""
    return "not measured" if row is None else row.note.removeprefix("n/a ").strip("()")


def cell_verdict(find: Find, cell: Cell, resolution: Resolution) -> str:
    """Write one or two sentences for a cell."""
    if cell.invalid:
        return f"INVALID: {cell.invalid}; no verdict."
    if cell.unsupported:
        return f"Unsupported there, so not measured: {cell.unsupported}"
    if cell.saturated:
        return f"SATURATED, so no verdict: {cell.saturated.rstrip('.')}."
    (gain, seen), (overhead, ends) = gain_of(find, cell, resolution), overhead_of(find, cell, resolution)
    if gain is None:
        return _capital(f"{medians_sentence(find, cell)}.")
    if missing_reason(gain) == missing_reason(overhead) and seen == "missing":
        return f"No comparison: {missing_reason(gain)}."
    said = (sooner(gain, seen, resolution.gain_ms), finish(overhead, ends, resolution.total_ms))
    return _capital(f"{'; '.join(said)}.")


def medians_sentence(find: Find, cell: Cell) -> str:
    """Write the medians of a cell without pairs."""
    parts = [
        f"{name} {with_interval(row)}"
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
