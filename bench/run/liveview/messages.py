"""What the live view is told of a plan, a run and its trials: short plain values, sent while it measures."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.core.labels import cell_labels
from bench.plan.plan import Cell, Plan, PlannedTrial
from bench.run.stopping.precision import Seen, seen

if TYPE_CHECKING:
    from bench.run.folder import Run  # the viewer has no use for what that loads

HASH = 16
"""Characters of a result's hash: enough to tell the two answers of a pair apart."""
LONGEST_TEXT = 300


class Told(NamedTuple):
    """A trial that has ended."""

    cell: int
    pair: int
    block: int
    phase: str
    status: str
    seen: Seen


Sent = tuple[Any, ...]
"""A `Told` as it is sent: its fields, those of `seen` in their places."""


def received(sent: Sequence[Any]) -> Told:
    """What `told` has made of a trial."""
    cell, pair, block, phase, status, *rest = sent
    return Told(cell, pair, block, phase, status, Seen(*rest))


@dataclass(frozen=True, kw_only=True)
class Watched:
    """What there is to see of a run beside the number of its trials."""

    cells: list[dict[str, Any]]
    """As `cells_of` has them."""
    look: Callable[[], dict[str, Any]]
    """What has come of it so far; called in the measuring process before each message."""


def watched(plan: Plan, run: Run) -> Watched:
    """A run that is about to carry out this plan."""
    return Watched(cells=cells_of(plan), look=lambda: look_at(run))


def cells_of(plan: Plan) -> list[dict[str, Any]]:
    """The cells of the report, each with its planned pairs: None where time ends them."""
    cells = [cell for cell in plan.cells if cell.role == "scenario"]
    labels = cell_labels([{**vars(cell)} for cell in cells])
    planned = _planned(plan)
    return [
        {
            "number": cell.cell,
            "label": label,
            "pairs": None if planned[cell.cell] is None else (planned[cell.cell] or 0) // len(cell.deliveries),
            "deliveries": cell.deliveries,
            "simulated": cell.simulated,
            "alone": cell.level.sequential,
        }
        for cell, label in zip(cells, labels, strict=True)
    ]


def _planned(plan: Plan) -> dict[int, int | None]:
    """Measured trials by cell."""
    counts = Counter(trial.cell for trial in plan.trials if trial.phase == "measure")
    for segment in plan.segments:
        counts[segment.cell] += segment.count if segment.phase == "measure" else 0
    timed = {segment.cell for segment in plan.segments if segment.seconds is not None}
    return {cell.cell: None if cell.cell in timed else counts[cell.cell] for cell in plan.cells}


def look_at(run: Run) -> dict[str, Any]:
    """Tokens and money so far, how late the loop has been since the last look, and the cells that need no more."""
    ledger = run.stopping.ledger
    prices = {most.price for most in ledger.most.values()}
    met = {number: "narrow enough" for number, width in run.stopping.widths.items() if width.met}
    return {
        "spent": {
            "input": ledger.by_usage.tokens.input,
            "output": ledger.by_usage.tokens.output,
            "untold": ledger.without_usage.tokens.total,
            "usd": ledger.total()[1] if any(price and price.input + price.output for price in prices) else None,
            "unpriced": None in prices,
        },
        "lags": run.guard.lags_since(),
        "closed": list({**met, **dict.fromkeys(run.tally.unsupported, "unsupported")}.items()),
    }


def told(cell: Cell, planned: PlannedTrial, row: Mapping[str, Any]) -> Sent:
    """A trial by its row of the table `trials`."""
    one = seen(row)
    short = one.result[:HASH] if one.result else one.result
    return (cell.cell, planned.pair, planned.block, row["phase"], row["status"], *one._replace(result=short))


def sendable(text: str) -> str:
    """Of a length and in characters that can be sent; the secrets in it have been hidden before."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()
