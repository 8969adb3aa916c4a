"""`compare.json`: every number that both sides have, for programs."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from bench.analysis.comparison.effects import outcome
from bench.core.comparison import Change, Comparison
from bench.reports.tables import changes as words


def render_json(comparison: Comparison) -> bytes:
    """One object; infinity is the string "inf", what is missing null."""
    return orjson.dumps(as_value(comparison), option=orjson.OPT_INDENT_2) + b"\n"


def as_value(comparison: Comparison) -> dict[str, Any]:
    """As JSON types."""
    value = {
        "kind": comparison.kind,
        "baseline": asdict(comparison.baseline),
        "current": asdict(comparison.current),
        "answer": words.sentence(comparison),
        "watermarks": comparison.watermarks,
        "unmatched": comparison.unmatched,
        "changes": list(map(_change, comparison.changes)),
    }
    found: dict[str, Any] = _plain(value)
    return found


SIDE = ("n", "failed", "estimate", "low", "high", "note")
"""Of the row of each side: the rest is the same in both, or said in the key."""
SAID = ("label", "delivery", "metric", "unit", "statistic", "better", "method")
FOUND = ("ratio", "low", "high", "difference", "difference_low", "difference_high", "n", "note")


def _change(change: Change) -> dict[str, Any]:
    sides = {"baseline": change.baseline, "current": change.current}
    return {
        **change.key._asdict(),
        **{name: getattr(change, name) for name in SAID},
        **{side: {name: getattr(row, name) for name in SIDE} for side, row in sides.items()},
        **{name: getattr(change, name) for name in FOUND},
        "outcome": outcome(change),
    }


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(member) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(member) for member in value]
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value
