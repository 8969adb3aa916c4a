"""The state of the view, counted up from messages."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.run.liveview.messages import TrialMessage, decode_trial

MEASURED = {"measure", "ramp"}
BEATS = 1000
"""Number of latest beats, one every 10 ms, from which the shown lag is computed."""


@dataclass
class CellState:
    """A row of the view."""

    number: int
    label: str
    pairs: int | None
    """Planned pairs; None if time ends them."""
    deliveries: Sequence[str]
    simulated: bool
    alone: bool
    """True if its trials run one at a time, in turn with those of other cells."""
    closed: str = ""
    """Why the cell needs no more trials, or ""."""
    measured: list[TrialMessage] = field(default_factory=list)
    """The measured trials."""
    ended: Counter[str] = field(default_factory=Counter)
    """Ended trials by delivery, those of the ramp included."""
    failed: int = 0
    last: int = 0
    """Place of its latest trial among all trials."""

    @property
    def pairs_done(self) -> int:
        """Pairs whose trials have ended in each delivery."""
        return min((self.ended[name] for name in self.deliveries), default=0)

    @property
    def is_over(self) -> bool:
        """True once the cell needs no more trials."""
        return bool(self.closed) or (self.pairs is not None and self.pairs_done >= self.pairs)

    def add(self, one: TrialMessage, place: int) -> None:
        """Add an ended trial; `place`: its place among all trials."""
        self.last = place
        self.ended[one.times.delivery] += one.phase in MEASURED
        if one.phase == "measure":
            self.measured.append(one)
            self.failed += one.status != "ok"


@dataclass(frozen=True)
class Cost:
    """Tokens and cost of all trials so far."""

    input: int = 0
    output: int = 0
    untold: int = 0
    """Most tokens of answers without usage."""
    usd: float | None = None
    """Cost in USD; None: nothing here has a price."""
    unpriced: bool = False
    """True if a part has no known price."""


@dataclass
class State:
    """The state of the whole view; `apply` each message in turn."""

    what: str = ""
    total: int | None = None
    most: bool = False
    """True if `total` is an upper limit."""
    seconds: float | None = None
    """Duration, if it is known."""
    started: float = 0.0
    """Time of the start on `monotonic`."""
    done: int = 0
    text: str = ""
    """Name of the last scenario."""
    phase: str = ""
    """Phase of the trial that ended last."""
    cells: dict[int, CellState] = field(default_factory=dict)
    spent: Cost = Cost()
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=BEATS))
    """Lateness of the loop's last beats in ms."""
    error: tuple[str, str, str] | None = None
    """Cell, status and error of the last failure."""
    trials: int = 0

    def apply(self, message: Mapping[str, Any]) -> None:
        if message["kind"] == "begin":
            self.what, self.total, self.most = message["what"], message["total"], message["most"]
            self.seconds, self.started = message["seconds"], message["t"]
            self.cells = {cell["number"]: CellState(**cell) for cell in message["cells"]}
        elif message["kind"] == "so_far":
            self._so_far(message)

    def elapsed_s(self, now: float) -> float:
        return max(0.0, now - self.started)

    def remaining_s(self, now: float) -> float | None:
        """Estimate the seconds to the end by the schedule, or at the pace so far; None if unknown."""
        if self.total is None or not 0 < self.done < self.total:
            return None
        passed = self.elapsed_s(now)
        return max(1.0, self.seconds - passed) if self.seconds else passed / self.done * (self.total - self.done)

    @property
    def failures(self) -> int:
        """Failed trials of all cells."""
        return sum(cell.failed for cell in self.cells.values())

    def _so_far(self, message: Mapping[str, Any]) -> None:
        self.done, self.total, self.text = (
            message.get(name, getattr(self, name)) for name in ("done", "total", "text")
        )
        self.spent = Cost(**message["spent"]) if "spent" in message else self.spent
        self.lags.extend(message.get("lags", ()))
        for number, why in message.get("closed", ()):
            self.cells[number].closed = why
        for one in map(decode_trial, message["trials"]):
            self.trials += 1
            self.phase = one.phase
            if one.cell in self.cells:  # else of the calibration
                self.cells[one.cell].add(one, self.trials)
        if error := message.get("error"):
            cell, *said = error
            self.error = (self.cells[cell].label if cell in self.cells else "", *said)
