"""Describe plan, run and trials to the live view in short plain values."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from bench.core.results.labels import cell_labels
from bench.plan.plan import Plan, PlannedCell, PlannedTrial
from bench.run.stopping.precision import TrialTimes, trial_times

if TYPE_CHECKING:
    from bench.run.folder import Run  # the viewer has no use for what that loads

HASH = 16
"""Characters of a result's hash to send: enough to tell the two answers of a pair apart."""
LONGEST_TEXT = 300


class TrialMessage(NamedTuple):
    """A trial that has ended."""

    cell: int
    pair: int
    block: int
    phase: str
    status: str
    times: TrialTimes


Sent = tuple[Any, ...]
"""A `TrialMessage` as sent: its fields, with those of `times` in place of it."""


def decode_trial(sent: Sequence[Any]) -> TrialMessage:
    """Decode what `encode_trial` returned."""
    cell, pair, block, phase, status, *rest = sent
    return TrialMessage(cell, pair, block, phase, status, TrialTimes(*rest))


@dataclass(frozen=True, kw_only=True)
class RunView:
    """The parts of a run that the view shows besides the number of trials."""

    cells: list[dict[str, Any]]
    """Cells as `cells_of` returns them."""
    look: Callable[[], dict[str, Any]]
    """Returns the run's state; called in the measuring process before each message."""


def run_view(plan: Plan, run: Run) -> RunView:
    """Return the view of a run that is about to start this plan."""
    return RunView(cells=cells_of(plan), look=lambda: snapshot(run))


def cells_of(plan: Plan) -> list[dict[str, Any]]:
    """Return the cells of the report, each with its planned pairs, or None if time ends them."""
    cells = [cell for cell in plan.cells if cell.role == "scenario"]
    labels = cell_labels([{**vars(cell)} for cell in cells])
    planned = _planned_trials(plan)
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


def _planned_trials(plan: Plan) -> dict[int, int | None]:
    """Count the planned measured trials by cell; None if time ends them."""
    counts = Counter(trial.cell for trial in plan.trials if trial.phase == "measure")
    for segment in plan.segments:
        counts[segment.cell] += segment.count if segment.phase == "measure" else 0
    timed = {segment.cell for segment in plan.segments if segment.seconds is not None}
    return {cell.cell: None if cell.cell in timed else counts[cell.cell] for cell in plan.cells}


def snapshot(run: Run) -> dict[str, Any]:
    """Return tokens and cost so far, the loop's lag since the last call, and the cells that need no more trials."""
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


def encode_trial(cell: PlannedCell, planned: PlannedTrial, row: Mapping[str, Any]) -> Sent:
    """Encode an ended trial from its row of the table `trials`."""
    one = trial_times(row)
    short = one.result[:HASH] if one.result else one.result
    return (cell.cell, planned.pair, planned.block, row["phase"], row["status"], *one._replace(result=short))


def sendable(text: str) -> str:
    """Cut and clean a text so that it can be sent. Its secrets are hidden already."""
    return text[:LONGEST_TEXT].encode("utf-8", "replace").decode()
