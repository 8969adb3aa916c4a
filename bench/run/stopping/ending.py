"""Say what ended a run and what it cost: `stopping` in the manifest."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from bench.core.results.labels import cell_labels
from bench.core.target import Target
from bench.plan.plan import Plan
from bench.run.stopping.stopping import Stopping

Reason = Literal["pairs", "precision", "budget", "interrupted", "lost"]
FEW = 3
"""At most this many cells are named; further ones are counted."""


def ending(stopping: Stopping, plan: Plan, targets: Sequence[Target], *, whole: bool, lost: str = "") -> dict[str, Any]:
    """Return the reason, sentences that say it, and what was spent.

    `whole`: the plan was not interrupted; `lost`: which measuring process was lost, "" if none.
    """
    stopping.look()  # nobody has since the last pairs
    reason = "lost" if lost else _reason(stopping, whole=whole)
    said = _sentences(stopping, plan) if reason not in {"interrupted", "lost"} else filter(None, [lost])
    return {"reason": reason, "said": list(said), "spent": _cost(stopping, targets)}


def _sentences(stopping: Stopping, plan: Plan) -> Iterator[str]:
    labels = _labels(plan)
    met = [len(width.pairs) for width in stopping.widths.values() if width.met]
    if stopping.out_of:
        tokens, usd = stopping.ledger.total()
        spent = {"time": f"{stopping.seconds:,.0f} s", "tokens": f"{tokens:,}", "money": f"{usd:,.4g}"}
        yield f"budget of {stopping.out_of.text} ({spent[stopping.out_of.kind]} spent)"
    if stopping.precision is not None:
        pairs = f" ({', '.join(map(str, met))} pairs)" if met else ""
        cells = len(stopping.widths) or len(labels)
        yield f"precision of {100 * stopping.precision:g} % met in {len(met)} of {cells} cells{pairs}"
    if not stopping.out_of and (stopping.precision is None or len(met) < len(stopping.widths)):
        yield f"{_plan_done(plan)}{' of the others' if met else ''}"
    if stopping.out_of or stopping.precision is not None:
        yield from _widths(stopping, labels)


def _plan_done(plan: Plan) -> str:
    """Say that the whole plan was measured: its pairs, its load, or both."""
    pairs = f"all {plan.pairs} pairs"
    if not plan.segments:
        return pairs
    return f"{pairs} at c=1 and all of the planned load" if plan.trials else "all of the planned load"


def _labels(plan: Plan) -> dict[int, str]:
    cells = [cell for cell in plan.cells if cell.role == "scenario"]
    named = cell_labels([{name: getattr(cell, name) for name in cell.__dataclass_fields__} for cell in cells])
    return {cell.cell: label for cell, label in zip(cells, named, strict=True)}


def _reason(stopping: Stopping, *, whole: bool) -> Reason:
    if not whole:
        return "interrupted"
    if stopping.out_of:
        return "budget"
    met = stopping.widths and all(width.met for width in stopping.widths.values())
    return "precision" if met else "pairs"


def _widths(stopping: Stopping, labels: Mapping[int, str]) -> list[str]:
    """Return the interval widths of the cells that missed the precision, the widest first."""
    halves = {labels[cell]: width.half_width() for cell, width in stopping.widths.items() if not width.met}
    percents = {label: math.inf if half is None else 100 * math.expm1(half) for label, half in halves.items()}
    widest = sorted(percents.items(), key=lambda item: -item[1])
    texts = [f"±{width:.0f} % in {label}" if width < math.inf else f"no interval in {label}" for label, width in widest]
    return texts[:FEW] + ([f"closer in {len(texts) - FEW} more"] if len(texts) > FEW else [])


def _cost(stopping: Stopping, targets: Sequence[Target]) -> dict[str, Any]:
    known, unknown = stopping.ledger.by_usage, stopping.ledger.without_usage
    priced = all(target.free or target.price for target in targets)
    return {
        "seconds": round(stopping.seconds, 1),
        "input_tokens": known.tokens.input,
        "output_tokens": known.tokens.output,
        "usd": round(known.usd, 6) if priced else None,
        "trials": known.trials,
        "simulated": all(target.simulated for target in targets),
        "untold": {
            "trials": unknown.trials,
            "tokens": unknown.tokens.total,
            "usd": round(unknown.usd, 6) if priced else None,
        },
    }
