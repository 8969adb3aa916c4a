"""Show on stderr how far the run is: a live view in a terminal, drawn by another process; plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from time import monotonic
from typing import TYPE_CHECKING, Any

from bench.core.text.terminal import _views, say
from bench.run.liveview.feed import Feed, can_show, open_view
from bench.run.liveview.messages import RunView, encode_trial

if TYPE_CHECKING:
    from bench.plan.plan import PlannedCell, PlannedTrial

LINE_EVERY_S = 5.0


class Progress:
    """Is told by the runner how far a run is. This class shows it nowhere."""

    def trial_done(self, cell: PlannedCell, planned: PlannedTrial, row: Mapping[str, Any]) -> None:
        """Count a trial that has ended. `row` is its row of `trials`; a worker's row has only `ROW_COLUMNS`."""

    def skip(self, number: int) -> None:
        """Take `number` trials off the total: they will not run."""

    def skip_rest(self) -> None:
        """Take all remaining trials off the total."""


class ProgressReporter(Progress):
    """Counts and shows finished steps: one reporter for the trials, one for the memory pass."""

    def __init__(
        self, total: int | None, what: str, view: Feed | None, *, most: bool = False, seconds: float | None = None
    ) -> None:
        """`seconds`: the duration, where a schedule or a time limit fixes it."""
        self.total, self.what, self.done, self.failed = total, what, 0, 0
        self._seconds = seconds
        self._most = "at most " if most else ""
        self._view, self._started, self._said = view, monotonic(), monotonic()

    def trial_done(self, cell: PlannedCell, planned: PlannedTrial, row: Mapping[str, Any]) -> None:
        failed = row["status"] != "ok" and planned.phase == "measure"  # of the warm-up no failure counts
        self.failed += failed
        if self._view is not None and self._view.alive:
            self._view.trial(encode_trial(cell, planned, row), row["error"] if failed else None)
        self.step(cell.scenario)

    def step(self, text: str, done: int = 1) -> None:
        """Count `done` steps more; `text` names the last one."""
        self.done += done
        if self._view is not None and self._view.alive:
            self._view.step(done=self.done, total=self.total, text=text)
        elif monotonic() - self._said >= LINE_EVERY_S or self.done == self.total:
            self._said = monotonic()
            most = self._most if self.done != self.total else ""
            of = "" if self.total is None else f" of {most}{self.total}"
            say(f"{self.what}: {self.done}{of}{self._failures()}{self._time_left()}")

    def skip(self, number: int) -> None:
        if self.total is None:
            return
        self.total -= number
        if self._view is not None and self._view.alive:
            self._view.step(done=self.done, total=self.total)
        elif self.done >= self.total:
            say(f"{self.what}: {self.done} of {self.total}{self._failures()}")

    def skip_rest(self) -> None:
        if self.total is not None and self.total > self.done:
            self.skip(self.total - self.done)

    def _failures(self) -> str:
        return f", {self.failed} failed" if self.failed else ""

    def _time_left(self) -> str:
        if self.total is None:
            load = f" (the load alone: {self._seconds:.0f} s)" if self._seconds else ""
            return f", {monotonic() - self._started:.0f} s{load}"
        if not self.done or self.done >= self.total:
            return ""
        passed = monotonic() - self._started
        seconds = max(1.0, self._seconds - passed) if self._seconds else passed / self.done * (self.total - self.done)
        return f", {self._most or 'about '}{seconds:.0f} s left"


@contextmanager
def progress(
    total: int | None, what: str, *, most: bool = False, seconds: float | None = None, run_view: RunView | None = None
) -> Iterator[ProgressReporter]:
    """Yield a reporter for `total` steps, with `most` at most that many; its view is closed at the end.

    Without a total the reporter says how many of the `seconds` have passed. `run_view`: what the view shows.
    """
    view = None
    if can_show():
        opening: dict[str, Any] = {"what": what, "total": total, "most": most and total is not None, "seconds": seconds}
        opening["cells"] = run_view.cells if run_view else []
        view = open_view(opening, run_view.look if run_view else None)
    if view is not None:
        _views.append(view)
    try:
        yield ProgressReporter(total, what, view, most=most, seconds=seconds)
    finally:
        if view is not None:
            _views.remove(view)
            view.close()
