"""Record the trials of lost workers as failures, with rows of their own."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from bench.core.scenario import Prompt
from bench.plan.plan import Plan, PlannedTrial, Segment
from bench.plan.share import Share
from bench.records.journal import Rows, columns_of, read_journal
from bench.run.trial.trial import planned_columns


@dataclass(frozen=True, kw_only=True)
class Loss:
    """A lost worker, and the trials it was running."""

    worker: str
    how: str
    """Names the process and how it ended."""
    t: int
    """Time when the loss was noticed, ns from the run's start."""
    share: Share
    segment: Segment | None
    """None: the worker ran the trials that run one at a time."""

    def has(self, trial_id: int) -> bool:
        """Return True if the worker was to run this trial. Without a segment, `trial_id` is one of `plan.trials`."""
        if self.segment is None:
            return True
        place = trial_id - self.segment.first_trial
        return 0 <= place < self.segment.count and self.share.has(place)


@dataclass
class KnownTrials:
    """A worker's trials in the journal."""

    begun: dict[int, Mapping[str, Any]] = field(default_factory=dict)
    """Rows of the table `starts`, by trial id."""
    ended: set[int] = field(default_factory=set)


def known_trials(run: Path, losses: Sequence[Loss]) -> list[KnownTrials]:
    """Find the trials of each loss, in one pass over the journal."""
    found = [KnownTrials() for _ in losses]
    for rows in read_journal(run):
        starts, ended = rows.get("starts", {}), rows.get("trials", {}).get("trial_id", [])
        begun = [dict(zip(starts, values, strict=True)) for values in zip(*starts.values(), strict=True)]
        for loss, one in zip(losses, found, strict=True):
            one.begun |= {row["trial_id"]: row for row in begun if loss.has(row["trial_id"])}
            one.ended |= {trial_id for trial_id in ended if loss.has(trial_id)}
    return found


def lost_trials(plan: Plan, loss: Loss, found: KnownTrials, *, begun_only: bool) -> Iterator[PlannedTrial]:
    """Yield the lost trials: those that had begun and, if their number is known, those that had not.

    `begun_only`: only those that had begun, because the run was interrupted.
    """
    begun_only |= loss.segment is not None and loss.segment.seconds is not None
    left = found.begun.keys() - found.ended
    for planned in _trials(plan, loss):
        if begun_only and not left:
            return
        if planned.trial_id not in found.ended and (planned.trial_id in left or not begun_only):
            left.discard(planned.trial_id)
            yield planned


def _trials(plan: Plan, loss: Loss) -> Iterator[PlannedTrial]:
    if loss.segment is None:
        yield from plan.trials
        return
    group = next(group for group in plan.groups() if group.segment == loss.segment)
    for unit in replace(group, share=loss.share).units():
        yield from unit


def lost_rows(plan: Plan, planned: PlannedTrial, loss: Loss, found: KnownTrials, prompts: Sequence[Prompt]) -> Rows:
    """Return the journal rows of a lost trial. A trial that had not begun counts as begun when the worker was lost."""
    start = found.begun.get(planned.trial_id)
    t, phase = (start["t_start"], start["phase"]) if start else (loss.t, planned.phase)
    cell = plan.cells[planned.cell]
    row = {
        **planned_columns(planned, cell, prompts[planned.ask]),
        "phase": phase,
        "status": "lost",
        "error": loss.how if start else f"{loss.how}, before this trial had begun",
        "t_origin": t,
        "t_call": t,
        "t_intend": t if planned.due is not None else None,
        "t_end": loss.t,
        "worker": loss.worker,
        "stored": False,
    }
    rows: Rows = {"trials": columns_of("trials", [row])}
    if start is None:
        of_start = {name: row[name] for name in ("trial_id", "cell", "pair", "block", "phase", "delivery")}
        rows["starts"] = columns_of("starts", [{**of_start, "t_start": t}])
    return rows
