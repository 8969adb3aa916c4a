"""The shooter as its parent sees it: a process that is started, given requests, and gives the reads back.

Reads are kept as they come, packed, in memory up to `KEEP` and beyond it in a temporary file; they become Python
objects when their trial goes on, one trial in each turn of the loop, so that what comes in is always taken in between.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Any, Self

import orjson

from bench.clients.connection_numbers import numbers
from bench.clients.wire.channel import Channel, Kind
from bench.clients.wire.group import Pace
from bench.clients.wire.pool import Server
from bench.core.errors import BenchError
from bench.core.processes.child import SocketChild, how_ended, last_lines
from bench.core.processes.frames import Frame, encode, unpack
from bench.core.processes.spill import Held, Spill
from bench.core.trial import Attempt, Interruption, TrialLost

__all__ = ["GroupSpent", "Pace", "Server", "Shooter", "ShooterLost", "Shot"]
KEEP = 16 << 20
"""Bytes of reads that wait in memory to be decoded."""
MOST_HELD = 2000
"""Answers that wait to be decoded until their group was read; each takes some 10 KB beside its reads."""
LONGEST_HELD_S = 10.0
_START_S = 30.0
SHOOTER = "bench.clients.wire.shooter"


class ShooterLost(TrialLost):
    """The process that sends and reads is gone; the message says which, and how it ended."""


@dataclass(frozen=True)
class GroupSpent:
    """What a group cost the shooter."""

    cpu_ns: int
    wall_ns: int
    reads: int
    probes: list[dict[str, Any]]
    """Rows of the table `probes`, times in raw `perf_counter_ns`."""


class Shot:
    """One request, on its way."""

    def __init__(
        self,
        attempt: Attempt,
        spill: Spill,
        on_fired: Callable[[int], None] | None,
        on_read: Callable[[], None] | None,
    ) -> None:
        self.attempt = attempt
        """Complete once `wait` has returned."""
        self.t_origin = 0
        """When a slot took it (closed loop) or when it was due (open loop); 0: not yet."""
        self.shed = False
        """It was due while the cap was in flight, and never sent: nothing of the attempt is filled in."""
        self.interrupted = False
        """It had not ended when `Shooter.cancel` was called."""
        self.t_read = 0
        """When the parent heard of its end."""
        self._on_fired, self._on_read, self._spill = on_fired, on_read, spill
        self._held: list[tuple[int, Held]] = []
        self._over = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Until it was read completely, failed, or was shed.

        Raises `ShooterLost`, `Interrupted` after `cancel`, and what `on_fired` has raised.
        """
        try:
            await self._over
        finally:
            held, self._held = self._held, []
            packed = [(self._spill.take(one), reads) for reads, one in held]
        self.attempt.reads += [read for blob, reads in packed for read in unpack(blob, reads)]
        if self.interrupted:
            raise Interruption

    # what the shooter says of it

    def fired(self, t_origin: int) -> None:
        """It has been begun, or shed."""
        self.t_origin = t_origin
        if self._on_fired is not None:
            try:
                self._on_fired(t_origin)
            except Exception as error:  # noqa: BLE001  (it is the waiting trial's affair, not the socket's)
                _fail(self._over, error)

    def keep(self, message: Frame) -> None:
        """Some of its reads."""
        if message.reads and not self._over.done():
            self._held.append((message.reads, self._spill.put(message.data)))

    def read(self) -> None:
        """It is complete, and is still to be decoded."""
        self.t_read = perf_counter_ns()
        if self._on_read is not None:
            self._on_read()

    def release(self) -> None:
        """Whoever waits goes on."""
        if not self._over.done():
            self._over.set_result(None)

    def drop(self) -> None:
        """It was not begun, and will not be."""
        self.interrupted = True
        self.release()

    def lose(self, error: ShooterLost) -> None:
        """Nothing more will come of it."""
        _fail(self._over, error)


class Shooter:
    """The process. Use it as an async context manager."""

    def __init__(self, child: SocketChild) -> None:
        """Use `start`."""
        self.pid = child.pid
        self.t_group = 0
        """Start of the group, in `perf_counter_ns`: due times count from it."""
        self._child = child
        self._spill = Spill(KEEP)
        self._shots: dict[int, Shot] = {}
        self._complete: deque[Shot] = deque()
        self._connections: dict[int, int] = {}
        self._probes: list[bytes] = []
        self._last = 0
        self._expected: dict[int, asyncio.Future[Frame]] = {}
        self._lost: ShooterLost | None = None
        self._losing: asyncio.Task[None] | None = None
        self._ending = self._held = self._releasing = False
        self._channel = Channel(child.sock, self._message, self._gone)

    @classmethod
    async def start(cls) -> Shooter:
        """A process of its own that ends with this one. Raises `BenchError` where it does not come up."""
        shooter = cls(SocketChild(SHOOTER))
        shooter._expect(Kind.READY)
        try:
            async with asyncio.timeout(_START_S):
                await shooter._heard(Kind.READY)
        except (ShooterLost, TimeoutError) as error:
            await shooter.aclose()
            raise BenchError(f"the process that sends and reads did not start: {str(error) or 'no word'}") from error
        return shooter

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End it, whatever it does."""
        self._channel.close()
        if self._losing is not None:
            await self._losing
        self._lose(ShooterLost(f"the process {self.pid} that sends and reads was ended"))
        await asyncio.to_thread(self._child.end)
        self._child.errors.close()
        self._spill.close()

    async def begin(self, pace: Pace, cell: int, *, hold: bool = False) -> None:
        """A group of this cell's trials starts. Raises `ShooterLost`.

        `hold`: whoever waits for an answer goes on after `close`. Decoding takes a CPU that the server or the shooter
        may want just then. More than `MOST_HELD` answers, or one for longer than `LONGEST_HELD_S`, are not held.
        """
        self._held = hold
        self._expect(Kind.BEGUN)
        self._expect(Kind.SPENT)
        self._ending = False
        self._post(Kind.BEGIN, meta={**asdict(pace), "cell": cell})
        self.t_group = (await self._heard(Kind.BEGUN)).meta["t_group"]

    def fire(
        self,
        server: Server,
        request: bytes,
        attempt: Attempt,
        *,
        due: int | None,
        deadline_s: float,
        cold: bool,
        on_fired: Callable[[int], None] | None,
        on_read: Callable[[], None] | None = None,
    ) -> Shot:
        """Hand in a request: begun when a slot is free (`due` None) or `due` ns after the group's start.

        `on_fired` is called with the origin once it has been begun, or shed; `on_read` once its answer is complete.
        After `close` or `cancel` it is dropped.
        """
        shot = Shot(attempt, self._spill, on_fired, on_read)
        if self._lost is not None:
            shot.lose(self._lost)
            return shot
        if self._ending:  # Ctrl-C came while its request was being made
            shot.drop()
            return shot
        self._last += 1
        self._shots[self._last] = shot
        meta = {**asdict(server), "due": due, "deadline_ns": int(deadline_s * 1e9), "cold": cold}
        self._post(Kind.FIRE, self._last, meta, request)
        return shot

    def close(self) -> None:
        """No more of this group will be handed in; what is held goes on."""
        if not self._ending:
            self._post(Kind.END)
            self._ending = True
        self._let_go()

    async def end(self) -> GroupSpent:
        """`close`, and wait until all of the group has ended. Raises `ShooterLost`.

        Cancelled while it waits, it may be called again.
        """
        self.close()
        spent = (await self._heard(Kind.SPENT)).meta
        probes = [row for rows in self._probes for row in orjson.loads(rows)]
        self._probes.clear()
        return GroupSpent(**spent, probes=probes)

    def cancel(self) -> None:
        """Whatever is in flight ends now, closed by the client; what was not begun is dropped; what is held goes on.

        The group takes no more, as after `close`.
        """
        for shot in self._shots.values():
            shot.interrupted = True
        self._post(Kind.CANCEL)
        self.close()

    def _post(self, kind: Kind, number: int = 0, meta: Any = None, data: bytes = b"") -> None:
        self._channel.post(encode(kind, number, meta, data=data))

    def _expect(self, kind: Kind) -> None:
        """A message of this kind will come."""
        self._expected[kind] = asyncio.get_running_loop().create_future()
        if self._lost is not None:
            _fail(self._expected[kind], self._lost)

    async def _heard(self, kind: Kind) -> Frame:
        """The message of this kind that was expected."""
        return await asyncio.shield(self._expected[kind])

    def _message(self, message: Frame) -> None:
        try:
            self._take(message)
        except OSError as error:
            self._gone(error)

    def _take(self, message: Frame) -> None:
        match message.kind:
            case Kind.READS:
                self._shots[message.number].keep(message)
            case Kind.FIRED:
                self._shots[message.number].fired(message.meta["t_origin"])
            case Kind.DONE:
                self._done(self._shots.pop(message.number), message)
            case Kind.PROBES:
                self._probes.append(message.json)
            case _:
                self._expected[message.kind].set_result(message)

    def _done(self, shot: Shot, message: Frame) -> None:
        measured = message.meta
        if measured.get("dropped"):
            shot.drop()
            shot.read()
            return
        shot.shed = measured.pop("shed", False)
        if measured.get("connection") is not None:
            measured["connection"] = self._connection(measured["connection"])
        for name, value in measured.items():
            setattr(shot.attempt, name, value)
        shot.keep(message)
        shot.read()
        self._complete.append(shot)
        self._go_on()

    def _let_go(self) -> None:
        self._held = False
        self._go_on()

    def _go_on(self) -> None:
        if not self._releasing and self._may_release():
            self._releasing = True
            asyncio.get_running_loop().call_soon(self._release)

    def _may_release(self) -> bool:
        if not self._complete or not self._held:
            return bool(self._complete)
        age = perf_counter_ns() - self._complete[0].t_read
        return len(self._complete) > MOST_HELD or age > LONGEST_HELD_S * 1e9

    def _release(self) -> None:
        """One in each turn of the loop: decoding many at once would leave the socket unread meanwhile."""
        self._releasing = False
        if self._complete:
            self._complete.popleft().release()
        self._go_on()

    def _connection(self, number: int) -> int:
        """The shooter counts its connections too: no two of a run have one number."""
        if number not in self._connections:
            self._connections[number] = next(numbers)
        return self._connections[number]

    def _gone(self, error: OSError | None) -> None:
        """The socket has ended: so has the process, or will. Or there is no room for what comes."""
        self._channel.close()
        if error is not None:
            self._lose(ShooterLost(f"what process {self.pid} reads cannot be kept in the temporary folder: {error}"))
        elif self._losing is None:
            self._losing = asyncio.create_task(self._find_out())

    async def _find_out(self) -> None:
        status = await asyncio.to_thread(self._child.end)
        how, said = ("was " if status < 0 else "") + how_ended(status), last_lines(self._child.errors, 5)
        self._lose(ShooterLost(f"the process {self.pid} that sends and reads {how}{said and ': '}{said}"))

    def _lose(self, error: ShooterLost) -> None:
        if self._lost is None:
            self._lost = error
        waiting = [*self._complete, *self._shots.values()]
        for shot in waiting:
            shot.lose(error)
        self._complete.clear()
        self._shots.clear()
        for expected in self._expected.values():
            _fail(expected, error)


def _fail(future: asyncio.Future[Any], error: Exception) -> None:
    """Whoever waits for it is told; it is no news when nobody does."""
    if not future.done():
        future.set_exception(error)
        future.exception()
