"""What a target cannot do: found out in the warm-up, said once, and no failure. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import openai

from bench.outcome import Exchange, Outcome, wire_problem
from bench.trial import Trial

REFUSED = frozenset({400, 404, 405, 415, 422, 501})
"""HTTP statuses by which servers say that they do not know such a request."""
LONGEST = 300


def refusal(trial: Trial, exchanges: Sequence[Exchange], outcome: Outcome) -> str:
    """How the server refused what this trial asked for last (`HTTP 400: …`); empty when it did not."""
    if outcome.status == "ok":
        return ""
    cause = trial.error.__cause__ if trial.error else None
    if not exchanges and isinstance(cause, openai.APIStatusError):  # in `setup`, whose requests are not kept
        return _line(outcome.error) if cause.status_code in REFUSED else ""
    if not exchanges or exchanges[-1][0].status not in REFUSED:
        return ""
    problem = wire_problem(*exchanges[-1])
    return _line(problem.error) if problem else ""


def _line(text: str | None) -> str:
    """What the server said, fit for a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text or "").split())[:LONGEST]


@dataclass
class Refusals:
    """What came of each cell's warm-up trials."""

    _seen: dict[int, list[str]] = field(default_factory=dict)

    def add(self, cell: int, refused: str) -> None:
        """One more warm-up trial of a cell has ended; empty: it was not refused."""
        self._seen.setdefault(cell, []).append(refused)

    def reason(self, cell: int) -> str:
        """Why the cell is unsupported: all of its warm-up trials were refused. Empty when it is not."""
        seen = self._seen.get(cell, [])
        return seen[-1] if seen and all(seen) else ""
