"""Hold what the trials of a run share: links, tally, gate, progress, and the group that is running."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from bench.clients.guard import Guard
from bench.clients.sdk.tap import SyncTapTransport, TapTransport
from bench.core.ask import Options
from bench.core.scenario import Endpoint, Prompt, Scenario, is_sync
from bench.core.target import Target
from bench.core.trial import Trial
from bench.plan.plan import Group, Phase, PlannedCell, PlannedTrial
from bench.plan.share import Share
from bench.records.journal import Journal
from bench.run.outcome.unsupported import Refusals
from bench.run.pacing import Outstanding
from bench.run.stopping.stopping import Stopping

if TYPE_CHECKING:
    from bench.clients.load_generator.process import GroupCost, Shooter
    from bench.clients.wire.client import WireClient


DEADLINE_S = 30.0
"""Seconds that a trial may take, unless the user sets a deadline."""


@dataclass(frozen=True, kw_only=True)
class Link:
    """A target as it is reached in this run."""

    target: Target
    client: Any
    tap: TapTransport
    options: Options
    sync_client: Any = None
    """For synchronous scenarios; its attempts are noted in `tap` too."""
    sync_tap: SyncTapTransport | None = None
    endpoint: Endpoint | None = None
    """For scenarios that bring a stack of their own."""
    wire: WireClient | None = None
    """For cells of the client `wire`."""

    def client_of(self, scenario: Scenario, client: str = "sdk") -> Any:
        """Return what the scenario's functions get as `client`, in a cell of this client."""
        if scenario.client == "own":
            return self.endpoint
        if client == "wire":
            return self.wire
        return self.sync_client if is_sync(scenario) else self.client

    def ledger(self, client: str) -> TapTransport | WireClient:
        """Return the log that assigns attempts to trials, in a cell of this client."""
        return self.wire if client == "wire" and self.wire is not None else self.tap

    async def release(self, trial: Trial, client: str = "sdk") -> None:
        """End a trial's claim on the clients: what it still sends is an orphan, connections of its own are closed."""
        ledger = self.ledger(client)
        ledger.forget(trial)
        await ledger.close_cold(trial)
        if self.sync_tap is not None:
            self.sync_tap.close_cold(trial)


@dataclass(kw_only=True)
class Tally:
    """Counts what became of the measured trials."""

    statuses: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    """Requests that belonged to no trial: whose time they took cannot be said."""
    refusals: Refusals = field(default_factory=Refusals)
    unsupported: dict[int, str] = field(default_factory=dict)
    """By cell: the line that says what its target cannot do. None of its measured trials was run."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """What it takes to run a trial, apart from the plan."""

    scenarios: Mapping[str, Scenario]
    prompts: Mapping[str, Sequence[Prompt]]
    """By scenario."""
    links: Mapping[str, Link]
    """By target."""
    hooks: pluggy.HookRelay
    journal: Journal
    t0: int
    """The run's start, `perf_counter_ns`."""
    deadline_s: float = DEADLINE_S
    store_text: bool = False
    redact: Callable[[str], str] = str
    tally: Tally = field(default_factory=Tally)
    stopping: Stopping = field(default_factory=Stopping)
    guard: Guard = field(default_factory=Guard)
    shooter: Shooter | None = None
    """The load generator of the client `wire`, where a cell uses that client."""
    max_in_flight: int = 500
    """Open loop: a trial that finds more than these is `shed`."""
    events: float = 1.0
    """Share of the trials whose events and pieces are stored."""
    worker: str | None = None
    """The label of this process, where several measure."""
    gate: Gate | None = None
    """Keeps the workers in step, where several measure."""


class Gate(Protocol):
    """Keeps several workers in step: none begins a group before all have ended the one before."""

    async def wait_open(self, group: Group, tally: Tally) -> Share | None:
        """Wait until all workers may begin the group. Return this worker's share, None where it has none.

        On return `tally.unsupported` has the cells that any worker found unsupported.
        """


@dataclass(kw_only=True)
class Running:
    """A group of trials while it runs."""

    group: Group
    link: Link
    t_group: int = 0
    """The start of the group, from which its schedule and its ramp count."""
    in_flight: int = 0
    events: int = 0
    out: bool = False
    """The budget is spent: no further trial begins."""
    shooter: Shooter | None = None
    """Deferred group: the load generator, which sends the requests and reads the answers."""
    outstanding: Outstanding = field(default_factory=Outstanding)
    """Deferred group: the trials whose answers are not complete yet."""
    ending: asyncio.Task[GroupCost] | None = None
    """Deferred group: the task that aborts the group in the load generator; None unless it was aborted."""

    @property
    def is_deferred(self) -> bool:
        """True if another process times the group's requests; their answers are decoded later."""
        return self.shooter is not None

    def end_timing(self) -> None:
        """Tell the load generator that nothing is timed any more, so its reads can be decoded."""
        if self.shooter is not None:
            self.shooter.close()

    def abort(self) -> asyncio.Task[GroupCost] | None:
        """End the group in the load generator, once; None if none is used.

        Until the task is done, the load generator may still report trials that it has just sent.
        """
        if self.ending is None and self.shooter is not None:
            self.shooter.cancel()
            self.ending = asyncio.create_task(self.shooter.end())
        return self.ending

    @property
    def cell(self) -> PlannedCell:
        return self.group.cell

    @property
    def is_alone(self) -> bool:
        """True if this process does nothing else while a trial is timed."""
        return self.group.load.sequential and not self.is_deferred

    def most_in_flight(self, limit: int) -> int:
        """Return this worker's part of the open-loop limit `--max-in-flight`."""
        return max(1, self.group.share.part(limit))

    def phase(self, planned: PlannedTrial, t_begun: int) -> Phase:
        """Return the phase of a trial: `ramp` if it is a measured one that begins during the ramp-up."""
        ramping = planned.phase == "measure" and t_begun - self.t_group < self.group.ramp_s * 1e9
        return "ramp" if ramping else planned.phase
