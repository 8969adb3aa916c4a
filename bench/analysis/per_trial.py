"""From a trial's row to its metrics."""

from __future__ import annotations

import pandas as pd

MS = 1e6
"""Nanoseconds."""


def per_trial(trials: pd.DataFrame) -> pd.DataFrame:
    """The metrics of each trial (rows as in `trials`), in the registry's units; null where a trial has none."""
    since = {name: _since_origin(trials, column) for name, column in _MARKS.items()}
    stream_ms = (trials["t_last_token"] - trials["t_first_token"]) / MS
    stream_ms = stream_ms.where(stream_ms > 0)  # all of it in one read: no pace can be told
    return pd.DataFrame(
        {
            **since,
            "tpot": _ratio(stream_ms, trials["output_tokens"] - 1),
            "stall_share": _ratio(trials["stall_ns"] / MS, stream_ms),
            "stall_ms": trials["stall_ns"] / MS,
            "tokens_per_s": _ratio(trials["output_tokens"], since["total"] / 1000),
            "backoff": trials["backoff_ns"] / MS,
            **{name: trials[name] for name in ("stalls", "attempts", "input_tokens", "cached_tokens", "output_tokens")},
        },
        index=trials.index,
    )


_MARKS = {
    "ttft": "t_first_token",
    "ttft_visible": "t_first_visible",
    "ttfu": "t_first_useful",
    "first_event": "t_first_event",
    "total": "t_end",
}


def _since_origin(trials: pd.DataFrame, column: str) -> pd.Series[float]:
    """ms from the trial's origin to one of its marks."""
    return (trials[column] - trials["t_origin"]) / MS


def _ratio(above: pd.Series[float], below: pd.Series[float]) -> pd.Series[float]:
    """above / below, null unless the denominator is positive."""
    return above / below.where(below > 0)
