"""Write `summary.csv` and `summary.json`: every number, for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import orjson

from bench.core.results.comparison import Comparison, Ranking
from bench.core.results.row import COLUMNS
from bench.core.results.summary import Cell, Summary

CHANGE = (
    *("delivery", "metric", "unit", "statistic", "better", "method", "ratio", "low", "high"),
    *("difference", "difference_low", "difference_high", "n", "note"),
)
"""What `summary.json` says of a change, beside its cell: the numbers of both sides are in its rows."""


def render_csv(summary: Summary) -> str:
    """Write one line per number; empty where there is none, `inf` for infinity."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in summary.rows)
    return out.getvalue()


def render_json(summary: Summary) -> bytes:
    """Write the numbers with the verdicts and the trust lines; infinity is the string "inf", missing is null."""
    run = summary.manifest
    value = {
        **{name: run.get(name) for name in ("run_id", "name", "created", "ended", "schema_version")},
        "headline": summary.headline,
        "answer": summary.answer,
        "trust": asdict(summary.trust),
        "notes": summary.notes,
        "verdicts": list(map(_verdict, summary.cells)),
        "claims": list(map(asdict, summary.claims)),
        "knees": [{**asdict(knee), "key": knee.key._asdict()} for knee in summary.knees],
        "rankings": list(map(_ranking, summary.rankings)),
        "comparisons": list(map(_comparison, summary.comparisons)),
        "failures": list(map(asdict, summary.failures)),
        "failures_unlisted": summary.unlisted,
        "outliers": list(map(asdict, summary.outliers)),
        "outliers_unlisted": summary.outliers_unlisted,
        "rows": list(map(asdict, summary.rows)),
    }
    return orjson.dumps(finite_json(value), option=orjson.OPT_INDENT_2) + b"\n"


def _verdict(cell: Cell) -> dict[str, object]:
    said = {"verdict": cell.verdict, "pairs": cell.pairs, "invalid": cell.invalid, "saturated": cell.saturated}
    return {**cell.key._asdict(), **said, "notes": cell.notes}


def _ranking(ranking: Ranking) -> dict[str, object]:
    """List the fastest first; how far behind the others are stands in the sentence."""
    entries = [{**entry.key._asdict(), "name": entry.name} for entry in ranking.entries]
    return {"label": ranking.label, "sentence": ranking.sentence, "entries": entries}


def _comparison(comparison: Comparison) -> dict[str, object]:
    sides = {"baseline": comparison.baseline.name, "current": comparison.current.name}
    changes = [
        {**change.key._asdict(), **{name: getattr(change, name) for name in CHANGE}} for change in comparison.changes
    ]
    return {"kind": comparison.kind, **sides, "changes": changes, "watermarks": comparison.watermarks}


def finite_json(value: Any, digits: int | None = None) -> Any:
    """Return the value with its infinite numbers as text, however deep they lie, and others rounded to `digits`."""
    if isinstance(value, Mapping):
        return {name: finite_json(member, digits) for name, member in value.items()}
    if isinstance(value, list | tuple):
        return [finite_json(member, digits) for member in value]
    if not isinstance(value, float):
        return value
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value if digits is None else round(value, digits)
