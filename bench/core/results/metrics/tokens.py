"""Tokens by the server's usage."""

from __future__ import annotations

from bench.core.results.metrics.metric import Metric
from bench.core.results.metrics.row_kinds import total

METRICS = (
    Metric(
        "input_tokens",
        "tokens",
        "usage.input_tokens, summed over ok trials.",
        better="neither",
        per_trial=lambda trials: trials["input_tokens"],
        rows=total,
        csv_order=8,
        on_wire=True,
    ),
    Metric(
        "cached_tokens",
        "tokens",
        "usage.input_tokens_details.cached_tokens, summed over ok trials.",
        better="neither",
        per_trial=lambda trials: trials["cached_tokens"],
        rows=total,
        csv_order=8,
        on_wire=True,
    ),
    Metric(
        "output_tokens",
        "tokens",
        "usage.output_tokens (reasoning inside), summed over ok trials.",
        better="neither",
        per_trial=lambda trials: trials["output_tokens"],
        rows=total,
        csv_order=8,
        on_wire=True,
    ),
)
