"""Write `compare.json`: every number that both sides have, for programs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

import orjson

from bench.analysis.comparison.effects import outcome
from bench.core.results.comparison import Change, Comparison
from bench.reports.data_files import finite_json
from bench.reports.tables import changes as words

SIDE = ("n", "failed", "estimate", "low", "high", "note")
"""Of the row of each side: the rest is the same in both, or said in the key."""
SAID = ("label", "delivery", "metric", "unit", "statistic", "better", "method")
FOUND = ("ratio", "low", "high", "difference", "difference_low", "difference_high", "n", "note")


def render_json(comparison: Comparison) -> bytes:
    """Write one object; infinity is the string "inf", what is missing null."""
    return orjson.dumps(as_value(comparison), option=orjson.OPT_INDENT_2) + b"\n"


def as_value(comparison: Comparison) -> dict[str, Any]:
    """Return the comparison as JSON types."""
    value = {
        "kind": comparison.kind,
        "baseline": asdict(comparison.baseline),
        "current": asdict(comparison.current),
        "answer": words.sentence(comparison),
        "watermarks": comparison.watermarks,
        "unmatched": comparison.unmatched,
        "changes": list(map(_change, comparison.changes)),
    }
    return dict(finite_json(value))


def _change(change: Change) -> dict[str, Any]:
    sides = {"baseline": change.baseline, "current": change.current}
    return {
        **change.key._asdict(),
        **{name: getattr(change, name) for name in SAID},
        **{side: {name: getattr(row, name) for name in SIDE} for side, row in sides.items()},
        **{name: getattr(change, name) for name in FOUND},
        "outcome": outcome(change),
    }
