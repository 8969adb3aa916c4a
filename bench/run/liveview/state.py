"""What the viewer knows: counted up from messages. Pure."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bench.run.liveview.messages import Told, received

MEASURED = {"measure", "ramp"}
BEATS = 1000
"""The last of them, one in 10 ms, are what the shown lag is of."""


@dataclass
class CellState:
    """A row of the view."""

    number: int
    label: str
    pairs: int | None
    """Planned; None where time ends them."""
    deliveries: Sequence[str]
    simulated: bool
    alone: bool
    """Its trials run one at a time, in turn with those of other cells."""
    closed: str = ""
    """Why it needs no more."""
    measured: list[Told] = field(default_factory=list)
    """Its trials that count."""
    ended: Counter[str] = field(default_factory=Counter)
    """By delivery, all of them that were planned to: those of the ramp too."""
    failed: int = 0
    last: int = 0
    """Greater in a cell whose trial ended later."""

    @property
    def done(self) -> int:
        """Pairs of which as many trials have ended in each delivery."""
        return min((self.ended[name] for name in self.deliveries), default=0)

    @property
    def over(self) -> bool:
        """Does nothing more come of it?"""
        return bool(self.closed) or (self.pairs is not None and self.done >= self.pairs)

    def add(self, one: Told, place: int) -> None:
        """A trial of it has ended, the so-manieth of all."""
        self.last = place
        self.ended[one.seen.delivery] += one.phase in MEASURED
        if one.phase == "measure":
            self.measured.append(one)
            self.failed += one.status != "ok"


@dataclass(frozen=True)
class Spent:
    """Tokens and money of all trials so far."""

    input: int = 0
    output: int = 0
    untold: int = 0
    """At most so many more, of answers that did not say."""
    usd: float | None = None
    """None: nothing here has a price."""
    unpriced: bool = False
    """Some of it has no known price."""


@dataclass
class State:
    """All of the view; `apply` each message in turn."""

    what: str = ""
    total: int | None = None
    most: bool = False
    """`total` is the most that may come."""
    seconds: float | None = None
    """How long it takes, where that is known."""
    started: float = 0.0
    """`monotonic`."""
    done: int = 0
    text: str = ""
    """What it was just doing."""
    phase: str = ""
    """Of the trial that ended last."""
    cells: dict[int, CellState] = field(default_factory=dict)
    spent: Spent = Spent()
    lags: deque[float] = field(default_factory=lambda: deque(maxlen=BEATS))
    """How late the last beats of the loop were, in ms."""
    error: tuple[str, str, str] | None = None
    """Of the last failure: cell, status, and what was said of it."""
    trials: int = 0

    def apply(self, message: Mapping[str, Any]) -> None:
        """A message of the feed."""
        if message["kind"] == "begin":
            self._begin(message)
        elif message["kind"] == "so_far":
            self._so_far(message)

    def passed(self, now: float) -> float:
        """Seconds since the start."""
        return max(0.0, now - self.started)

    def left(self, now: float) -> float | None:
        """Seconds to the end, as it looks: by the schedule where there is one, else at the pace so far."""
        if self.total is None or not 0 < self.done < self.total:
            return None
        passed = self.passed(now)
        return max(1.0, self.seconds - passed) if self.seconds else passed / self.done * (self.total - self.done)

    @property
    def failed(self) -> int:
        """Trials of all cells."""
        return sum(cell.failed for cell in self.cells.values())

    def _begin(self, message: Mapping[str, Any]) -> None:
        self.what, self.total, self.most = message["what"], message["total"], message["most"]
        self.seconds, self.started = message["seconds"], message["t"]
        self.cells = {cell["number"]: CellState(**cell) for cell in message["cells"]}

    def _so_far(self, message: Mapping[str, Any]) -> None:
        self.done, self.total, self.text = (
            message.get(name, getattr(self, name)) for name in ("done", "total", "text")
        )
        self.spent = Spent(**message["spent"]) if "spent" in message else self.spent
        self.lags.extend(message.get("lags", ()))
        for number, why in message.get("closed", ()):
            self.cells[number].closed = why
        for sent in message["trials"]:
            self._trial(received(sent))
        if error := message.get("error"):
            cell, *said = error
            self.error = (self.cells[cell].label if cell in self.cells else "", *said)

    def _trial(self, one: Told) -> None:
        self.trials += 1
        self.phase = one.phase
        if one.cell in self.cells:  # else of the calibration
            self.cells[one.cell].add(one, self.trials)
