"""Tokens by the server's usage."""

from __future__ import annotations

from bench.core.results.metrics.metric import Metric
from bench.core.results.metrics.row_kinds import total


def _usage(name: str, formula: str) -> Metric:
    return Metric(
        name,
        "tokens",
        formula,
        better="neither",
        per_trial=lambda trials: trials[name],
        rows=total,
        csv_order=8,
        on_wire=True,
    )


METRICS = (
    _usage("input_tokens", "usage.input_tokens, summed over ok trials."),
    _usage("cached_tokens", "usage.input_tokens_details.cached_tokens, summed over ok trials."),
    _usage("output_tokens", "usage.output_tokens (reasoning inside), summed over ok trials."),
)
