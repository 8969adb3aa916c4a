"""The load generator process as its parent sees it: start it, give it requests, take their reads back.

Reads are kept packed, in memory up to `KEEP` and beyond it in a temporary file. They become Python objects when their
trial goes on, one trial in each turn of the loop, so the socket is always read in between.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable
from dataclasses import asdict, dataclass
from time import perf_counter_ns
from typing import Any, Self

import orjson

from bench.clients.http.connection import connection_numbers
from bench.clients.http.pool import Server
from bench.clients.load_generator.channel import Channel, FrameKind
from bench.clients.load_generator.group import Pace
from bench.core.errors import BenchError
from bench.core.processes.child import SocketChild, how_ended, last_lines
from bench.core.processes.frames import Frame, encode, unpack
from bench.core.processes.spill import Held, Spill
from bench.core.trial import Attempt, Interruption, TrialLost

__all__ = ["GroupCost", "Pace", "Server", "Shooter", "ShooterLost", "Shot"]
KEEP = 16 << 20
"""Bytes of reads that may wait in memory to be decoded."""
MOST_HELD = 2000
"""Answers that may wait for the end of their group; each takes about 10 KB beside its reads."""
LONGEST_HELD_S = 10.0
_START_S = 30.0
SHOOTER = "bench.clients.load_generator.shooter"


class ShooterLost(TrialLost):
    """The load generator is gone; the message says which process, and how it ended."""


@dataclass(frozen=True)
class GroupCost:
    """The resources that a group took in the load generator."""

    cpu_ns: int
    wall_ns: int
    reads: int
    probes: list[dict[str, Any]]
    """Rows of the table `probes`, times in raw `perf_counter_ns`."""


class Shot:
    """A request that was handed to the load generator."""

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
        """Time when a slot took it (closed loop) or when it was due (open loop); 0: not yet."""
        self.shed = False
        """True if it was due while the cap was in flight: it was never sent, and the attempt is empty."""
        self.interrupted = False
        """True if it had not ended when `Shooter.cancel` was called."""
        self.t_read = 0
        """Time when the parent received its end."""
        self._on_fired, self._on_read, self._spill = on_fired, on_read, spill
        self._held: list[tuple[int, Held]] = []
        self._over = asyncio.get_running_loop().create_future()

    async def wait(self) -> None:
        """Wait until the answer is complete, has failed, or was shed.

        Raises `ShooterLost`, `Interruption` after `cancel`, and what `on_fired` raised.
        """
        try:
            await self._over
        finally:
            held, self._held = self._held, []
            packed = [(self._spill.take(one), reads) for reads, one in held]
        self.attempt.reads += [read for blob, reads in packed for read in unpack(blob, reads)]
        if self.interrupted:
            raise Interruption

    # reports of the load generator

    def record_start(self, t_origin: int) -> None:
        """Record the origin: the request was started, or shed."""
        self.t_origin = t_origin
        if self._on_fired is not None:
            try:
                self._on_fired(t_origin)
            except Exception as error:  # noqa: BLE001  (it belongs to the waiting trial, not to the socket)
                _fail(self._over, error)

    def keep(self, message: Frame) -> None:
        """Keep some of the reads."""
        if message.reads and not self._over.done():
            self._held.append((message.reads, self._spill.put(message.data)))

    def read(self) -> None:
        """Record that the answer is complete; it is still to be decoded."""
        self.t_read = perf_counter_ns()
        if self._on_read is not None:
            self._on_read()

    def release(self) -> None:
        """Let the waiting trial go on."""
        if not self._over.done():
            self._over.set_result(None)

    def drop(self) -> None:
        """Record that the request will not be sent."""
        self.interrupted = True
        self.release()

    def lose(self, error: ShooterLost) -> None:
        """Fail: nothing more will arrive."""
        _fail(self._over, error)


class Shooter:
    """The load generator process. Use it as an async context manager."""

    def __init__(self, child: SocketChild) -> None:
        """Use `start` instead."""
        self.pid = child.pid
        self.t_group = 0
        """Start of the group on `perf_counter_ns`: due times count from it."""
        self._child = child
        self._spill = Spill(KEEP)
        self._shots: dict[int, Shot] = {}
        self._complete: deque[Shot] = deque()
        self._connections = defaultdict[int, int](connection_numbers.__next__)
        """This run's number of a connection, by the load generator's."""
        self._probes: list[bytes] = []
        self._last = 0
        self._expected: dict[int, asyncio.Future[Frame]] = {}
        self._lost: ShooterLost | None = None
        self._losing: asyncio.Task[None] | None = None
        self._ending = self._held = self._releasing = False
        self._channel = Channel(child.sock, self._message, self._socket_ended)

    @classmethod
    async def start(cls) -> Shooter:
        """Start the process, which ends with this one. Raises `BenchError` if it does not come up."""
        shooter = cls(SocketChild(SHOOTER))
        shooter._expect(FrameKind.READY)
        try:
            async with asyncio.timeout(_START_S):
                await shooter._receive(FrameKind.READY)
        except (ShooterLost, TimeoutError) as error:
            await shooter.aclose()
            raise BenchError(f"the process that sends and reads did not start: {str(error) or 'no word'}") from error
        return shooter

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the process, whatever it does."""
        self._channel.close()
        if self._losing is not None:
            await self._losing
        self._lose(ShooterLost(f"the process {self.pid} that sends and reads was ended"))
        await asyncio.to_thread(self._child.end)
        self._child.errors.close()
        self._spill.close()

    async def begin(self, pace: Pace, cell: int, *, hold: bool = False) -> None:
        """Start a group of this cell's trials. Raises `ShooterLost`.

        `hold`: trials go on with their answers only after `close`, because decoding takes a CPU that the server or the
        load generator may need. At most `MOST_HELD` answers are held, none for longer than `LONGEST_HELD_S`.
        """
        self._held = hold
        self._expect(FrameKind.BEGUN)
        self._expect(FrameKind.SPENT)
        self._ending = False
        self._post(FrameKind.BEGIN, meta={**asdict(pace), "cell": cell})
        self.t_group = (await self._receive(FrameKind.BEGUN)).meta["t_group"]

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
        """Hand in a request, to start when a slot is free (`due` None) or `due` ns after the group's start.

        `on_fired` is called with the origin once the request is started or shed; `on_read` once its answer is complete.
        After `close` or `cancel` the request is dropped.
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
        self._post(FrameKind.FIRE, self._last, meta, request)
        return shot

    def close(self) -> None:
        """Close the group to new requests, and release held answers."""
        if not self._ending:
            self._post(FrameKind.END)
            self._ending = True
        self._held = False
        self._go_on()

    async def end(self) -> GroupCost:
        """Close the group and wait until all of it has ended. Raises `ShooterLost`.

        It may be called again if it was cancelled.
        """
        self.close()
        spent = (await self._receive(FrameKind.SPENT)).meta
        probes = [row for rows in self._probes for row in orjson.loads(rows)]
        self._probes.clear()
        return GroupCost(**spent, probes=probes)

    def cancel(self) -> None:
        """Close the group, end what is in flight as closed by the client, and drop what has not started.

        Held answers are released.
        """
        for shot in self._shots.values():
            shot.interrupted = True
        self._post(FrameKind.CANCEL)
        self.close()

    def _post(self, kind: FrameKind, number: int = 0, meta: Any = None, data: bytes = b"") -> None:
        self._channel.post(encode(kind, number, meta, data=data))

    def _expect(self, kind: FrameKind) -> None:
        self._expected[kind] = asyncio.get_running_loop().create_future()
        if self._lost is not None:
            _fail(self._expected[kind], self._lost)

    async def _receive(self, kind: FrameKind) -> Frame:
        """Wait for the expected frame of this kind."""
        return await asyncio.shield(self._expected[kind])

    def _message(self, message: Frame) -> None:
        try:
            match message.kind:
                case FrameKind.READS:
                    self._shots[message.number].keep(message)
                case FrameKind.FIRED:
                    self._shots[message.number].record_start(message.meta["t_origin"])
                case FrameKind.DONE:
                    self._complete_shot(self._shots.pop(message.number), message)
                case FrameKind.PROBES:
                    self._probes.append(message.json)
                case _:
                    self._expected[message.kind].set_result(message)
        except OSError as error:  # no room for its reads
            self._socket_ended(error)

    def _complete_shot(self, shot: Shot, message: Frame) -> None:
        measured = message.meta
        if measured.get("dropped"):
            shot.drop()
            shot.read()
            return
        shot.shed = measured.pop("shed", False)
        if measured.get("connection") is not None:
            measured["connection"] = self._connections[measured["connection"]]
        for name, value in measured.items():
            setattr(shot.attempt, name, value)
        shot.keep(message)
        shot.read()
        self._complete.append(shot)
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
        """Release one answer in each turn of the loop: decoding many at once would leave the socket unread."""
        self._releasing = False
        if self._complete:
            self._complete.popleft().release()
        self._go_on()

    def _socket_ended(self, error: OSError | None) -> None:
        """Handle the end of the socket, and so of the process; or, with an error, that there is no room for reads."""
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
    """Fail a future, without a warning if nothing waits for it."""
    if not future.done():
        future.set_exception(error)
        future.exception()
