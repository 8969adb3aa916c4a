"""How fast the tokens of an answer come."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

from bench.core.results.metrics.metric import MS, STREAMED, Metric
from bench.core.results.metrics.row_kinds import quantiles

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.cell.arm import Arm
    from bench.core.results.row import Row


def stream_ms(trials: pd.DataFrame) -> pd.Series[float]:
    """Return the time from the first token to the last; null where all of it came in one read, which has no pace."""
    ms: pd.Series[float] = (trials["t_last_token"] - trials["t_first_token"]) / MS
    return ms.where(ms > 0)


def _tpot(trials: pd.DataFrame) -> pd.Series[float]:
    tokens = trials["output_tokens"] - 1
    return stream_ms(trials) / tokens.where(tokens > 0)


def _tokens_per_s(trials: pd.DataFrame) -> pd.Series[float]:
    seconds = (trials["t_end"] - trials["t_origin"]) / MS / 1000
    per_s: pd.Series[float] = trials["output_tokens"] / seconds.where(seconds > 0)
    return per_s


def _tpot_rows(metric: Metric, arm: Arm) -> Iterator[Row]:
    """Make quantiles over the ok trials, with a note where a delta is not a token."""
    note = "" if arm.one_token_a_delta else "approximate where tokens ≠ deltas"
    rows = quantiles(metric, arm)
    yield from (replace(row, note=row.note or note) if row.n else row for row in rows)


TPOT = Metric(
    "tpot",
    "ms/token",
    "(Last token - first token) / (output tokens - 1): the first delta is counted as one token, which is "
    "exact only when tokens = deltas. None if all came in one read.",
    deliveries=STREAMED,
    per_trial=_tpot,
    rows=_tpot_rows,
    csv_order=2,
    on_wire=True,
    quantiles=9,
    compared=("p50",),
)
TOKENS_PER_S = Metric(
    "tokens_per_s",
    "tokens/s",
    "Output tokens by usage / total, per trial.",
    better="higher",
    per_trial=_tokens_per_s,
    rows=quantiles,
    csv_order=5,
    on_wire=True,
    quantiles=12,
    compared=("p50",),
)
