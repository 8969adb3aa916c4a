"""Explain the words of a report, and the metrics that it has numbers of."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.results.metrics.registry import METRICS
from bench.core.results.summary import Summary
from bench.reports.page.grid import Grid, plain

TERMS = (
    ("streamed, blocking", "The same work done twice: the answer taken piece by piece, and taken whole."),
    ("pair", "A streamed and a blocking trial of the same prompt, next to each other in random order."),
    ("first useful", "The first piece that a user could do something with; each scenario says what that is."),
    (
        "95 % interval",
        "Written [low, high]: about 95 of 100 such intervals hold the true value. Over zero: no difference was shown.",
    ),
    (
        "p50, p90, p99",
        "So many percent of the trials were at least as fast. A quantile that rests on too few trials is not printed.",
    ),
    ("n/a", "Not measured, or too few trials for an honest number; the reason stands beside it. Never 0."),
    ("∞", "It never arrived: a failed trial counts as one that takes for ever, and is never left out of a latency."),
    (
        "A/A",
        "A delivery measured against itself. It should show no difference; what it shows is what this method makes up.",
    ),
    ("drift", "Did times change from the start of the run to its end?"),
    ("SATURATED", "The client itself was late, so its times are not the server's: they are not shown."),
    ("INVALID", "A check of the run failed: its numbers are not to be believed."),
)


def terms(summary: Summary) -> Iterator[tuple[str, str]]:
    """Return words with their meaning; states of a cell only where a cell is in that state."""
    shown = {
        "SATURATED": any(cell.saturated for cell in summary.cells),
        "INVALID": any(cell.invalid for cell in summary.cells) or summary.trust.verdict == "INVALID",
    }
    return ((word, meaning) for word, meaning in TERMS if shown.get(word, True))


def formulas(summary: Summary) -> Grid:
    """Tabulate the metrics of this report with unit and formula, in the order of the registry."""
    known = {row.metric for row in summary.rows} | {row.metric.split(".")[0] for row in summary.rows}
    rows = [(m.name, m.unit or "count", m.formula) for m in METRICS if m.name in known]
    return plain("Metrics and their formulas", ("metric", "unit", "formula"), rows, left=3)
