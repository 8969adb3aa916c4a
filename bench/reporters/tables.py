"""`summary.csv` and `summary.json`: every number, for programs."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import asdict

import orjson

from bench.summary import COLUMNS, Summary


def render_csv(summary: Summary) -> str:
    """One line per number; empty where there is none, `inf` for infinity."""
    out = io.StringIO()
    writer = csv.DictWriter(out, COLUMNS, lineterminator="\n")
    writer.writeheader()
    writer.writerows(asdict(row) for row in summary.rows)
    return out.getvalue()


def render_json(summary: Summary) -> bytes:
    """The same numbers with the verdicts and the trust lines; infinity is the string "inf", missing is null."""
    value = {
        "run_id": summary.manifest.get("run_id"),
        "name": summary.manifest.get("name"),
        "created": summary.manifest.get("created"),
        "ended": summary.manifest.get("ended"),
        "schema_version": summary.manifest.get("schema_version"),
        "headline": summary.headline,
        "answer": summary.answer,
        "trust": asdict(summary.trust),
        "notes": summary.notes,
        "verdicts": [
            {
                **cell.key._asdict(),
                "verdict": cell.verdict,
                "pairs": cell.pairs,
                "invalid": cell.invalid,
                "saturated": cell.saturated,
                "notes": cell.notes,
            }
            for cell in summary.cells
        ],
        "claims": [_json_value(asdict(claim)) for claim in summary.claims],
        "knees": [{**asdict(knee), "key": knee.key._asdict()} for knee in summary.knees],
        "rows": [_json_value(asdict(row)) for row in summary.rows],
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def _json_value(value: object) -> object:
    """The value, its infinite numbers as text, however deep they lie."""
    if isinstance(value, Mapping):
        return {name: _json_value(member) for name, member in value.items()}
    return [_json_value(member) for member in value] if isinstance(value, list | tuple) else _json_number(value)


def _json_number(value: object) -> object:
    if isinstance(value, float) and math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return value
