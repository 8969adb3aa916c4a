"""What every trial of a run shares: links, tally, gate, progress."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import pluggy

from bench.clients.guard import Guard
from bench.clients.sdk.sync_tap import SyncTapTransport
from bench.clients.sdk.tap import TapTransport
from bench.core.ask import Options
from bench.core.scenario import Endpoint, Prompt, Scenario, is_sync
from bench.core.target import Target
from bench.core.trial import Trial
from bench.plan.plan import Cell, Group, Phase, PlannedTrial
from bench.plan.share import Share
from bench.records.journal import Journal
from bench.run.outcome.unsupported import Refusals
from bench.run.pacing import Places
from bench.run.stopping.stopping import Stopping

if TYPE_CHECKING:
    from bench.clients.wire.client import WireClient
    from bench.clients.wire.process import GroupSpent, Shooter


DEADLINE_S = 30.0
"""Of a trial, where the user sets none."""


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
        """What the scenario's functions are given, in a cell of this client."""
        if scenario.client == "own":
            return self.endpoint
        if client == "wire":
            return self.wire
        return self.sync_client if is_sync(scenario) else self.client

    def ledger(self, client: str) -> TapTransport | WireClient:
        """Whose attempts are whose, in a cell of this client."""
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
    """What came of the measured trials."""

    statuses: Counter[str] = field(default_factory=Counter)
    orphans: int = 0
    """Requests that belonged to no trial: whose time they took cannot be said."""
    refusals: Refusals = field(default_factory=Refusals)
    unsupported: dict[int, str] = field(default_factory=dict)
    """By cell: the line that says what its target cannot do. None of its measured trials was run."""


@dataclass(frozen=True, kw_only=True)
class Context:
    """All that running a trial takes, beside the plan."""

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
    """The process that sends and reads for the client `wire`, where a cell has that."""
    max_in_flight: int = 500
    """Open loop: a trial that finds more than these is `shed`."""
    events: float = 1.0
    """Share of the trials whose events and pieces are stored."""
    worker: str | None = None
    """What this process is called where several measure."""
    gate: Gate | None = None
    """Where several measure: what keeps them together."""


class Gate(Protocol):
    """Keeps several workers together: none begins a group before all have ended the one before."""

    async def opened(self, group: Group, tally: Tally) -> Share | None:
        """Wait until all may begin it: this worker's share, None where it has none.

        What any worker has found to be unsupported is in the tally's `unsupported` then.
        """


class Progress(Protocol):
    """What the runner tells while it works."""

    def trial_done(self, cell: Cell, planned: PlannedTrial, row: Mapping[str, Any]) -> None:
        """A trial has ended; `row` is its row of the table `trials`, of a worker's only the columns `TOLD`."""

    def skip(self, number: int) -> None:
        """So many trials need no doing."""

    def rest(self) -> None:
        """All that is left needs no doing."""


@dataclass(kw_only=True)
class Running:
    """A group of trials while it runs."""

    group: Group
    link: Link
    t_group: int = 0
    """Its start: what its schedule and its ramp count from."""
    in_flight: int = 0
    events: int = 0
    out: bool = False
    """The budget is spent: nothing more is begun."""
    shooter: Shooter | None = None
    """Of a deferred group: it sends the requests and reads the answers."""
    places: Places = field(default_factory=Places)
    """Of a deferred group: those of its trials that are not read yet."""
    ending: asyncio.Task[GroupSpent] | None = None
    """Of a deferred group that is broken off."""

    @property
    def deferred(self) -> bool:
        """Is what it sends timed elsewhere, and decoded later?"""
        return self.shooter is not None

    def all_read(self) -> None:
        """Nothing is timed any more: what was read can be decoded."""
        if self.shooter is not None:
            self.shooter.close()

    def broken_off(self) -> asyncio.Task[GroupSpent] | None:
        """End it in the shooter, once. Until that is done it may tell of trials that were just sent."""
        if self.ending is None and self.shooter is not None:
            self.shooter.cancel()
            self.ending = asyncio.create_task(self.shooter.end())
        return self.ending

    @property
    def cell(self) -> Cell:
        return self.group.cell

    @property
    def alone(self) -> bool:
        """Is nothing else done in this process while a trial is timed?"""
        return self.group.load.sequential and not self.deferred

    def most_in_flight(self, limit: int) -> int:
        """This worker's part of the limit of open loop."""
        return max(1, self.group.share.part(limit))

    def phase(self, planned: PlannedTrial, t_begun: int) -> Phase:
        """Its phase: a measured trial that is begun while the load comes up is part of the ramp."""
        ramping = planned.phase == "measure" and t_begun - self.t_group < self.group.ramp_s * 1e9
        return "ramp" if ramping else planned.phase
