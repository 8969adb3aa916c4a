"""Find out in the warm-up what a target does not support: such a cell is no failure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from bench.clients.wire.errors import MissingFeature
from bench.core.trial import WEBSOCKET, SetupFault, Trial
from bench.run.outcome.exceptions import status_of
from bench.run.outcome.judge import Exchange, Outcome, passed_over, wire_problem

REFUSED = frozenset({400, 404, 405, 415, 422, 501})
"""HTTP statuses of servers that do not know such a request."""
REFUSED_HANDSHAKE = REFUSED | {200, 403, 426}
"""HTTP statuses of servers that answer the handshake of a WebSocket they do not have."""
LONGEST = 300


class Refusal(NamedTuple):
    """What a server said when it did not know a request; falsy if it knew the request."""

    said: str = ""
    alone: bool = False
    """One such trial is enough: there is no WebSocket, or the client `wire` lacks what the scenario uses."""

    def __bool__(self) -> bool:
        return bool(self.said)


def refusal(trial: Trial, exchanges: Sequence[Exchange], outcome: Outcome) -> Refusal:
    """Return how the server refused or ignored what this trial asked for last (`HTTP 400: …`)."""
    if outcome.status == "ok":
        return Refusal()
    if isinstance(trial.error, MissingFeature):
        return Refusal(_line(str(trial.error)), alone=True)
    if isinstance(trial.error, SetupFault):  # its requests are not kept
        cause = trial.error.__cause__ or trial.error
        return _refusal_by_status(status_of(cause), outcome, handshake=type(cause).__module__.startswith("websockets."))
    if not exchanges:
        return Refusal()
    if ignored := next(filter(None, (passed_over(*exchange) for exchange in exchanges)), ""):
        return Refusal(ignored)
    attempt, _ = exchanges[-1]
    return _refusal_by_status(attempt.status, wire_problem(*exchanges[-1]), handshake=attempt.method == WEBSOCKET)


def _refusal_by_status(status: int | None, problem: Outcome | None, *, handshake: bool) -> Refusal:
    if problem is None or status not in (REFUSED_HANDSHAKE if handshake else REFUSED):
        return Refusal()
    return Refusal(_line("no WebSocket there: " * handshake + (problem.error or "")), handshake)


def _line(text: str) -> str:
    """Return the server's text on one line, safe for a terminal."""
    return " ".join("".join(char if char.isprintable() else " " for char in text).split())[:LONGEST]


@dataclass
class Refusals:
    """Collects by cell how warm-up trials were refused."""

    _seen: dict[int, list[Refusal]] = field(default_factory=dict)

    def add(self, cell: int, refused: Refusal) -> None:
        """Add a warm-up trial of a cell that has ended."""
        self._seen.setdefault(cell, []).append(refused)

    def reasons(self) -> dict[int, str]:
        """Return `reason` of every cell that has warm-up trials."""
        return {cell: self.reason(cell) for cell in self._seen}

    def reason(self, cell: int) -> str:
        """Return why the cell is unsupported; "" if it is supported.

        A cell is unsupported if all of its warm-up trials were refused, or one whose refusal is enough alone.
        """
        seen = self._seen.get(cell, [])
        enough = next((refused.said for refused in seen if refused.alone), "")
        return enough or (seen[-1].said if seen and all(seen) else "")
