"""Decide the conditions of a result, and tell the verdicts."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from bench.gate import github, junit, terminal
from bench.gate.judge import judge_all

if TYPE_CHECKING:
    from bench.core.results.comparison import Comparison
    from bench.core.results.summary import Summary
    from bench.reports.output import Output


def run_gate(
    summary: Summary, comparisons: Sequence[Comparison], output: Output, conditions: Sequence[str] | None = None
) -> int:
    """Decide every condition, print the verdicts and tell CI; return the exit code: 0, 1 (failed) or 4 (undecided).

    Returns 2 where a condition is about nothing that was measured; all others are told before. Call it without
    conditions too, as the step summary of GitHub has the report in any case. `conditions`: else those of `output`.
    """
    conditions = output.fail_on if conditions is None else conditions
    judged, errors = judge_all(conditions, summary, comparisons)
    stream = sys.stderr if output.as_json or any(name.endswith("=-") for name in output.exports) else sys.stdout
    terminal.write(judged, errors, stream, allow_undecided=output.allow_undecided)
    if output.junit:
        junit.write(output.junit, summary, judged, errors)
    github.tell(summary, judged, errors, stream, allow_undecided=output.allow_undecided)
    return terminal.exit_code(judged, errors, allow_undecided=output.allow_undecided)
