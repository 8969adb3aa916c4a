"""One execution of a scenario in one delivery, as it is measured: what plugins observe and where stamps are kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter_ns
from typing import Any, Literal

Delivery = Literal["streamed", "blocking"]
WEBSOCKET = "WS"
"""`Attempt.method` of a request over a WebSocket."""


@dataclass(slots=True, eq=False)
class Attempt:
    """One HTTP try, stamped in raw `perf_counter_ns`; 0 and None: it never came to that.

    `reads` is all that the hot path keeps: the time of each socket read and its bytes. They are decoded after the
    trial.
    """

    request: int
    number: int
    client_id: str
    method: str
    path: str
    retry_count: int
    asked_stream: bool
    t_start: int
    t_connect: int | None = None
    t_connected: int | None = None
    t_tls: int | None = None
    connection: int | None = None
    reused: bool = False
    t_sent: int | None = None
    t_headers: int | None = None
    t_end: int | None = None
    status: int | None = None
    http_version: str | None = None
    headers: dict[str, str] = field(default_factory=dict)
    closed_early: bool = False
    """The client closed the body before its end was read."""
    error: str | None = None
    reads: list[tuple[int, bytes]] = field(default_factory=list)
    answer: Any = field(default=None, repr=False)
    """`clients.decode.Answer` where the client has decoded the reads already."""
    sent: bytes = field(default=b"", repr=False)
    """The request's body. Nothing is looked for in it, and it is not copied, before it has been sent."""


@dataclass(slots=True, eq=False)
class Trial:
    """What `observe` is given. Use `record` for numbers of your own; everything else is for reading."""

    trial_id: int
    scenario: str
    delivery: Delivery
    target: str
    model: str
    phase: Literal["warmup", "ramp", "measure", "aa", "calibrate"]
    attempts: list[Attempt] = field(default_factory=list, repr=False)
    pieces: list[tuple[int, Any]] = field(default_factory=list, repr=False)
    metrics: list[tuple[str, str, float]] = field(default_factory=list, repr=False)
    t_origin: int = 0
    t_end: int = 0
    useful: list[bool] = field(default_factory=list, repr=False)
    """What `Scenario.useful` says of each piece, asked after the end."""
    result: Any = field(default=None, repr=False)
    error: BaseException | None = None
    cpu_ns: int | None = None
    due: int | None = None
    """Open loop: when it is to begin, in ns from the start of its group."""
    t_intend: int | None = None
    """Open loop: the same as a time; then the origin."""
    t_call: int = 0
    """When it was really begun."""
    deferred: bool = False
    """Client `wire`: its request is read by another process, and the scenario goes on when that is complete. `now()` is
    then the stamp of the read that completed the latest event it was given."""
    on_fired: Callable[[int], None] | None = field(default=None, repr=False)
    """Deferred trial: is called with the trial's origin once its request has started."""
    on_read: Callable[[], None] | None = field(default=None, repr=False)
    """Deferred trial: is called once the answer is complete, before the answer is decoded."""
    cold: bool = False
    """True where the trial begins without an open connection."""
    over: bool = False
    """True once the trial has ended: requests that it still makes are not its own any more."""
    clock: Callable[[], int] = field(default=perf_counter_ns, repr=False)

    def now(self) -> int:
        """Nanoseconds on the run's clock."""
        return self.clock()

    def mark(self, name: str) -> None:
        """Name this moment: `mark.NAME`, in ms from the origin."""
        if not self.t_origin:
            raise RuntimeError(f"mark({name!r}): the trial's clock has not started; `setup` cannot mark")
        self.record(f"mark.{name}", (self.now() - self.t_origin) / 1e6, "ms")

    def record(self, name: str, value: float, unit: str) -> None:
        """Add a number of your own; it lands in `metrics.parquet` and in the report."""
        if {type(name), type(unit)} != {str}:  # plugins are seldom type-checked
            raise TypeError(f"record({name!r}, …, {unit!r}): name and unit are texts")
        self.metrics.append((name, unit, float(value)))


class Deadline(Exception):
    """The trial's total deadline passed."""


class SetupFault(Exception):
    """`Scenario.setup` failed, entering or leaving; the cause says how."""


class Shed(Exception):
    """Open loop: more were in flight than --max-in-flight allows when it was to begin, so it was not sent."""


class Interruption(asyncio.CancelledError):
    """The run was stopped while another process read its answer, or before that was begun."""


class TrialLost(Exception):
    """The process that measured it is gone."""
