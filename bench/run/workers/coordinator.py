"""Coordinate several workers on one plan.

No worker begins a segment before all have ended the one before, and lost workers are not waited for. The workers' rows
go to the run's journal as they arrive.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from time import perf_counter_ns
from typing import Any, Protocol

from bench.core.errors import BenchError, NotEnough, RunInvalid
from bench.core.processes.frames import FrameReader, message
from bench.core.text.terminal import say
from bench.plan.plan import PlannedTrial
from bench.plan.share import Share, shares
from bench.run.assignment import Assignment
from bench.run.runner import note_unsupported
from bench.run.workers.lost import Loss, known_trials, lost_rows, lost_trials

LINES = 1
"""Kind of a frame with lines of the journal; every other frame is a message."""
GRACE_S = 10.0
"""Workers that were report to stop may take this long to end what is in flight."""
LEAD_NS = 20_000_000
"""Workers on one clock begin a segment together, this long after its gate has opened."""
ERRORS = {one.exit_code: one for one in (BenchError, RunInvalid, NotEnough)}


class Member(Protocol):
    """A worker that the coordinator can send to."""

    label: str
    where: str
    """Names the process for the user."""

    def send(self, data: bytes) -> None:
        """Send frames to the worker."""


class Coordinator:
    """Takes what the workers send (`receive`, `worker_lost`); `wait_until_done` waits for the end."""

    def __init__(self, assignment: Assignment, members: Sequence[Member], *, one_clock: bool) -> None:
        """`one_clock`: all workers have this machine's clock."""
        self._run, self._plan, self._prompts = assignment.run, assignment.plan, assignment.choice.prompts
        self._journal, self._reporter = assignment.journal, assignment.reporter
        self._members, self._one_clock = members, one_clock
        self._readers = [FrameReader() for _ in members]
        self._live = set(range(len(members)))
        self._done: set[int] = set()
        self._ready: dict[int, int] = {}
        """By waiting worker, the number of its gate: 0, then one for each segment."""
        self._gate = -1
        """The latest open gate."""
        self._shares: dict[int, Share | None] = {}
        self._seen: dict[int, dict[int, str]] = {}
        """By worker and cell: why the cell seems unsupported, or ""."""
        self._losses: list[Loss] = []
        self._error: BenchError | None = None
        self._changed, self._stopping = asyncio.Event(), False
        self._let_go = 0
        self.uncertainty_ns = 0
        """For workers with clocks of their own: their times may be too small by at most this many ns."""

    # messages from the workers

    def receive(self, index: int, data: bytes) -> None:
        """Handle the bytes that a worker sent."""
        try:
            for frame in self._readers[index].feed(data):
                if frame.kind == LINES:
                    self._journal.append(frame.data)
                else:
                    self._message(index, frame.meta)
        except BenchError as error:
            self._fail(error)

    def worker_lost(self, index: int, how: str) -> None:
        """Record the end of a worker; it is a loss unless the worker was done."""
        if index not in self._live:
            return
        self._live.discard(index)
        if not self._stopping:
            self._note_loss(index, how)
            self._open()
        self._changed.set()

    def is_done(self, index: int) -> bool:
        """Return True if the worker has reported that its work is done."""
        return index in self._done

    async def wait_until_done(self) -> None:
        """Wait until all workers are done or lost. If cancelled, or if a worker fails, stop the others and raise."""
        self._run.stopping.begin()
        try:
            await self._until_over()
            if error := self._error:
                await self._stop()
                raise error
        except asyncio.CancelledError:
            await self._stop()
            raise
        finally:
            self._journal_losses()

    async def _until_over(self) -> None:
        while self._live and self._error is None:
            self._changed.clear()
            await self._changed.wait()

    async def _stop(self) -> None:
        self._stopping = True
        for index in self._live:
            self._members[index].send(message(kind="stop"))
        self._error = None
        try:
            async with asyncio.timeout(GRACE_S):
                await self._until_over()
        except TimeoutError:
            names = ", ".join(self._members[index].label for index in sorted(self._live))
            say(f"workers {names} did not end in {GRACE_S:g} s: what they had in flight is cancelled")

    def _fail(self, error: BenchError) -> None:
        if not self._stopping:
            self._error = self._error or error
        self._changed.set()

    def _message(self, index: int, report: Mapping[str, Any]) -> None:
        match report["kind"]:
            case "ready":
                self._ready[index] = report["gate"]
                self._seen[index] = {int(cell): reason for cell, reason in report["seen"].items()}
                self._open()
            case "went":
                self.uncertainty_ns = max(self.uncertainty_ns, perf_counter_ns() - self._let_go)
            case "ended":
                self._count_trial(report)
            case "tally":
                self._run.tally.orphans += report["orphans"]
                for cell, line in report["unsupported"].items():
                    if int(cell) not in self._run.tally.unsupported:
                        self._run.tally.unsupported[int(cell)] = line
                        say(line)
            case "failed":
                self._fail(ERRORS.get(report["exit_code"], BenchError)(report["error"]))
            case "done":
                self._done.add(index)
                self._live.discard(index)
                self._changed.set()

    def _count_trial(self, report: Mapping[str, Any]) -> None:
        row, cell = report["row"], self._plan.cells[report["cell"]]
        planned = PlannedTrial(
            **{name: report[name] for name in ("trial_id", "cell", "pair", "block", "delivery", "ask")},
            phase=row["phase"],
            order=0,
            nonce="",
            seed=0,
        )
        if planned.phase == "measure":
            self._run.tally.statuses[row["status"]] += 1
        self._run.stopping.trial_ended(planned, cell, row, report["untold"])
        self._reporter.trial_done(cell, planned, row)

    # gates

    def _open(self) -> None:
        """Open the next gate once all live workers wait."""
        if not self._live or self._live != self._ready.keys() & self._live or self._stopping:
            return
        self._gate = min(self._ready[index] for index in self._live)
        self._find_unsupported()
        live = sorted(self._live)
        self._shares = dict(zip(live, self._shares_of(len(live)), strict=True))
        self._ready.clear()
        self._let_go = perf_counter_ns()
        order = {
            "t": self._let_go - self._run.t0,
            "at": self._let_go + LEAD_NS if self._one_clock and self._gate else None,
            "unsupported": self._run.tally.unsupported,
        }
        for index in live:
            share = self._shares[index]
            whose = [share.index, share.of] if share else None
            self._members[index].send(message(kind="go", gate=self._gate, share=whose, **order))

    def _shares_of(self, live: int) -> list[Share | None]:
        """Split a gate's trials. Gate 0 is the start, where one worker runs the trials that run one at a time."""
        if self._gate == 0:
            return shares(live, 1)
        segment = self._plan.segments[self._gate - 1]
        if segment.phase != "warmup" and segment.cell in self._run.tally.unsupported:
            self._reporter.skip(segment.count)
        return shares(live, self._plan.cells[segment.cell].level.concurrency)

    def _find_unsupported(self) -> None:
        """Record cells of which every worker's warm-up was refused."""
        for cell in {cell for seen in self._seen.values() for cell in seen}:
            reasons = [seen[cell] for seen in self._seen.values() if cell in seen]
            if all(reasons) and cell not in self._run.tally.unsupported:
                say(note_unsupported(self._plan.cells[cell], reasons[0], self._run.tally, self._journal))

    # losses

    def _note_loss(self, index: int, how: str) -> None:
        member, share = self._members[index], self._shares.get(index)
        line = f"worker {member.label} ({member.where}) was lost: {how}"
        say(line)
        self._run.notes.append(line)
        if not self._live and not self._done:
            self._run.lost = "all workers were lost"
        if share is not None and index not in self._ready and self._gate >= 0:
            segment = self._plan.segments[self._gate - 1] if self._gate else None
            t = perf_counter_ns() - self._run.t0
            self._losses.append(Loss(worker=member.label, how=line, t=t, share=share, segment=segment))

    def _journal_losses(self) -> None:
        """Write rows for the lost workers' trials; in an interrupted run, only for trials that had begun."""
        for loss, found in zip(self._losses, known_trials(self._run.folder, self._losses), strict=True):
            number = 0
            for planned in lost_trials(self._plan, loss, found, begun_only=self._stopping):
                prompts = self._prompts[self._plan.cells[planned.cell].scenario]
                rows = lost_rows(self._plan, planned, loss, found, prompts)
                self._journal.write(rows)
                number += 1
                if rows["trials"]["phase"] == ["measure"]:
                    self._run.tally.statuses["lost"] += 1
            self._run.notes.append(f"{number} trials of worker {loss.worker} were lost with it and count as failed")
        self._losses.clear()
