"""How far the run is, on stderr: a bar in a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from bench.outcome import Outcome
    from bench.plan import Cell, PlannedTrial

LINE_EVERY_S = 5.0


class Reporter:
    """Counts trials and says so. One for the trials, then one for the memory pass."""

    def __init__(
        self, total: int | None, what: str, bar: Bar | None, *, most: bool = False, seconds: float | None = None
    ) -> None:
        """`seconds`: how long it takes, where a schedule or a time says that."""
        self.total, self.what, self.done, self.failed = total, what, 0, 0
        self._seconds = seconds
        self._most = "at most " if most else ""
        self._bar, self._started, self._said = bar, monotonic(), monotonic()
        self._task: TaskID | None = bar.add_task(what, total=total) if bar else None

    def trial_done(self, cell: Cell, planned: PlannedTrial, outcome: Outcome, total_ms: float) -> None:
        """A trial has ended. A failure in the warm-up is none: it is in no figure."""
        self.failed += outcome.status != "ok" and planned.phase == "measure"
        so_far = self._left() if self.total is None else ""
        self.step(f"{cell.scenario} {planned.delivery} {total_ms:,.0f} ms{self._failures()}{so_far}")

    def step(self, text: str, done: int = 1) -> None:
        """So much more is done; `text` says what it was."""
        self.done += done
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, advance=done, description=f"{self.what}: {text}")
        elif monotonic() - self._said >= LINE_EVERY_S or self.done == self.total:
            self._said = monotonic()
            most = self._most if self.done != self.total else ""
            of = "" if self.total is None else f" of {most}{self.total}"
            say(f"{self.what}: {self.done}{of}{self._failures()}{self._left()}")

    def skip(self, number: int) -> None:
        """So many need no doing: they do not count."""
        if self.total is None:
            return
        self.total -= number
        if self._bar is not None and self._task is not None:
            self._bar.update(self._task, total=self.total)
        elif self.done >= self.total:
            say(f"{self.what}: {self.done} of {self.total}{self._failures()}")

    def rest(self) -> None:
        """What is left needs no doing."""
        if self.total is not None and self.total > self.done:
            self.skip(self.total - self.done)

    def _failures(self) -> str:
        return f", {self.failed} failed" if self.failed else ""

    def _left(self) -> str:
        if self.total is None:
            load = f" (the load alone: {self._seconds:.0f} s)" if self._seconds else ""
            return f", {monotonic() - self._started:.0f} s{load}"
        if not self.done or self.done >= self.total:
            return ""
        passed = monotonic() - self._started
        seconds = max(1.0, self._seconds - passed) if self._seconds else passed / self.done * (self.total - self.done)
        return f", {self._most or 'about '}{seconds:.0f} s left"


class Silent:
    """Progress that nobody watches."""

    def trial_done(self, cell: Cell, planned: PlannedTrial, outcome: Outcome, total_ms: float) -> None:
        """Nothing."""

    def skip(self, number: int) -> None:
        """Nothing."""

    def rest(self) -> None:
        """Nothing."""


def say(line: str) -> None:
    """A line on stderr."""
    print(line, file=sys.stderr, flush=True)  # noqa: T201  (this is where progress goes)


@contextmanager
def progress(total: int | None, what: str, *, most: bool = False, seconds: float | None = None) -> Iterator[Reporter]:
    """A reporter for so many steps, or at `most` so many; its bar goes when the work is done or breaks off.

    Without a total it says how many of the `seconds` have passed.
    """
    if not sys.stderr.isatty():
        yield Reporter(total, what, None, most=most, seconds=seconds)
        return
    from rich.console import Console  # noqa: PLC0415  (start-up time)
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn  # noqa: PLC0415

    columns = (BarColumn(), MofNCompleteColumn(), TimeRemainingColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        yield Reporter(total, f"{what}, at most" if most and total else what, bar, seconds=seconds)
