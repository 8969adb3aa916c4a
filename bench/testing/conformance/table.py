"""Format the results as a table and as JSON."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.testing.conformance.check import Mark, StreamResult

WIDTH = 100


@dataclass(frozen=True, kw_only=True)
class Conclusion:
    """All results, and how exact times are on this machine."""

    results: Sequence[StreamResult]
    repeat: int
    read_lag_p95: float | None
    """ms; null: not known"""
    tolerance: float
    """ms"""

    @property
    def right(self) -> int:
        """The number of streams that are right."""
        return sum(result.right for result in self.results)

    @property
    def busy(self) -> bool:
        """True if only times are wrong and this machine is too slow to decide."""
        wrong = any(result.wrong for result in self.results)
        late = any(result.late for result in self.results)
        return late and not wrong and (self.read_lag_p95 is None or 3 * self.read_lag_p95 > self.tolerance)

    @property
    def last_line(self) -> str:
        """The line that sums up the results."""
        errors = [abs(error) for result in self.results if (error := result.marks["ttft"].error) is not None]
        worst = f"worst TTFT error {max(errors):.1f} ms (median of {self.repeat}); " if errors else ""
        floor = "" if self.read_lag_p95 is None else f"read lag p95 {self.read_lag_p95:.1f} ms, "
        return f"{self.right} of {len(self.results)} right; {worst}{floor}tolerance {self.tolerance:.1f} ms"


def as_json(conclusion: Conclusion) -> str:
    """Return one JSON object: the counts, and each stream with truth, readings and what is wrong."""
    streams = [
        {
            "stream": result.stream.model,
            "right": result.right,
            "wrong": result.wrong,
            "late": result.late,
            "truth": result.stream.truth.model_dump(mode="json"),
            "status": result.status,
            "marks_ms": {name: asdict(mark) for name, mark in result.marks.items()},
            "gaps_ms": [asdict(gap) for gap in result.gaps],
        }
        for result in conclusion.results
    ]
    head: dict[str, Any] = {
        "right": conclusion.right,
        "of": len(streams),
        "busy": conclusion.busy,
        "repeat": conclusion.repeat,
        "read_lag_p95_ms": conclusion.read_lag_p95,
        "tolerance_ms": conclusion.tolerance,
    }
    return json.dumps({**head, "streams": streams}, indent=1)


def as_table(conclusion: Conclusion, *, color: bool) -> str:
    """Return a table with a line for each stream, truth beside reading; below it what is wrong, and the sum."""
    table = Table(box=None, pad_edge=False, header_style="bold", collapse_padding=True)
    table.add_column("stream", no_wrap=True)
    table.add_column("status")
    for name in ("TTFT", "visible", "TTFU", "gap"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("error", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for result in conclusion.results:
        table.add_row(*_cells(result), style=None if result.right else "bold red")
    out = io.StringIO()
    console = Console(file=out, width=WIDTH, force_terminal=color, highlight=False, markup=False, emoji=False)
    console.print("The instrument against streams of known truth: truth→reading, medians, ms", style="bold")
    console.print(table)
    for result in conclusion.results:
        for line in [*result.wrong, *result.late]:
            console.print(f"✗ {result.stream.model}: {line}", soft_wrap=True)
    console.print(conclusion.last_line, style="bold", soft_wrap=True)
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines())


def _cells(result: StreamResult) -> list[str]:
    marks = [_mark(mark) for mark in result.marks.values()]
    every = [*result.marks.values(), *result.gaps]
    errors = [mark.error for mark in every if mark.error is not None]
    worst = f"{max(errors, key=abs):+.1f}" if errors else "–"
    true = result.stream.truth.status
    status = true if result.status == true else f"{true}→{result.status}"
    return [result.stream.model, status, *marks, _gap(result.gaps), worst, "✓" if result.right else "✗"]


def _mark(mark: Mark) -> str:
    return "–" if mark.truth is None and mark.reading is None else f"{_ms(mark.truth)}→{_ms(mark.reading)}"


def _gap(gaps: Sequence[Mark]) -> str:
    """Write the median gap: the true one beside the measured one."""
    pairs = [(gap.truth, gap.reading) for gap in gaps if gap.truth is not None and gap.reading is not None]
    if not pairs:
        return "–"
    return f"{_ms(median(true for true, _ in pairs))}→{_ms(median(read for _, read in pairs))}"


def _ms(value: float | None) -> str:
    return "none" if value is None else f"{value:.0f}"
