"""The load generator: send requests, read answers, stamp reads, and nothing else.

    python -m bench.clients.load_generator.shooter FD

It decodes no event and writes no record. Its reads go over the socket FD to the process that started it, and it ends
with that process.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import platform
import signal
import socket
import struct
import sys
from dataclasses import dataclass, field
from time import perf_counter_ns, process_time_ns
from typing import Any

from bench.clients.guard import Guard
from bench.clients.http.pool import Handle, Pool, Server
from bench.clients.load_generator.alarm import Alarm
from bench.clients.load_generator.channel import Channel, FrameKind
from bench.clients.load_generator.group import Pace, RequestGroup
from bench.clients.load_generator.shipping import ROOM, Sweeper
from bench.core.processes.frames import Frame, encode
from bench.core.trial import Attempt

LEAD_NS = 50_000_000
"""An open-loop group starts this long after the order, so that its first requests arrive in time."""
MEASURED = (
    "t_start", "t_connect", "t_connected", "t_tls", "connection", "reused", "t_sent", "t_headers", "t_end",
    "status", "http_version", "headers", "closed_early", "error",
)  # fmt: skip
"""Fields of an attempt that only this process knows."""

_SCHED_SETATTR = {"x86_64": 314, "aarch64": 274}
"""Number of the system call; Python has no function for it."""
_ATTRIBUTES = struct.Struct("=IIQiIQQQII")
"""Size, policy, flags, nice, priority, slice (ns), and four that only other policies use."""
_SLICE_NS = 100_000
"""The shortest slice that the kernel gives."""


@dataclass(slots=True, eq=False)
class Round:
    """A request from its arrival to its end."""

    service: Service
    number: int
    server: Server
    request: bytes
    due: int | None
    deadline_ns: int
    cold: bool
    attempt: Attempt = field(default_factory=lambda: Attempt(0, 0, "", "POST", "", 0, asked_stream=False, t_start=0))
    handle: Handle | None = None
    reads: int = 0

    def begin(self, t_origin: int) -> None:
        self.handle = self.service.pool(self.server).exchange(
            self.request,
            self.attempt,
            deadline_ns=t_origin + self.deadline_ns,
            cold=self.cold,
            on_read=self.ship,
            every=ROOM,
            on_end=self.end,
        )
        self.request = b""
        self.service.round_begun(self, t_origin)

    def ship(self) -> None:
        """Send the kept reads, if there are any."""
        if self.attempt.reads:
            self.service.post(FrameKind.READS, self.number, reads=self.attempt.reads)
            self.forget_reads()

    def end(self) -> None:
        """Report the end of the exchange."""
        measured = {name: getattr(self.attempt, name) for name in MEASURED}
        self.service.post(FrameKind.DONE, self.number, measured, reads=self.attempt.reads)
        self.forget_reads()
        self.handle = None
        self.service.round_ended(self)

    def shed(self, t_origin: int) -> None:
        """Report that the request is not sent: too many are in flight."""
        self.service.post(FrameKind.FIRED, self.number, {"t_origin": t_origin})
        self.service.post(FrameKind.DONE, self.number, {"shed": True})

    def drop(self) -> None:
        self.service.post(FrameKind.DONE, self.number, {"dropped": True})

    def forget_reads(self) -> None:
        self.reads += len(self.attempt.reads)
        self.attempt.reads.clear()


class Service:
    """Carries out the parent's orders."""

    def __init__(self, sock: socket.socket, guard: Guard) -> None:
        self.over = asyncio.get_running_loop().create_future()
        self._channel = Channel(sock, self._message, self._stop)
        asyncio.get_running_loop().set_exception_handler(self._callback_failed)
        self._guard = guard
        self._alarm, self._sweeper = Alarm(), Sweeper(lambda: self.post(FrameKind.PROBES, meta=guard.take()))
        self._pools: dict[Server, Pool] = {}
        self._open: dict[int, Round] = {}
        self._group: RequestGroup | None = None
        self._t_wall = self._t_cpu = self._reads = 0
        self.post(FrameKind.READY)

    def post(self, kind: FrameKind, number: int = 0, meta: Any = None, *, reads: Any = ()) -> None:
        """Send a frame to the parent."""
        self._channel.post(encode(kind, number, meta, reads=reads))

    def pool(self, server: Server) -> Pool:
        if server not in self._pools:
            self._pools[server] = Pool(server)
        return self._pools[server]

    def round_begun(self, planned: Round, t_origin: int) -> None:
        """Record and report that a request has started."""
        self._open[planned.number] = planned
        self._sweeper.add(planned)
        self.post(FrameKind.FIRED, planned.number, {"t_origin": t_origin})

    def round_ended(self, planned: Round) -> None:
        """Record that a request has ended."""
        self._reads += planned.reads
        self._sweeper.remove(planned)
        del self._open[planned.number]
        if self._group is not None:
            self._group.request_ended()

    def _stop(self, error: BaseException | None) -> None:
        """Stop: the parent is gone or, with an error, reads cannot be kept."""
        if self.over.done():
            return
        if error is None:
            self.over.set_result(None)
        else:
            self.over.set_exception(error)

    def _callback_failed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """End the process if one of its callbacks fails: the parent would wait forever, or get half the reads."""
        if context.get("handle") is not None and context.get("exception") is not None:
            self._stop(context["exception"])
        else:
            loop.default_exception_handler(context)

    def _message(self, message: Frame) -> None:
        match message.kind:
            case FrameKind.BEGIN:
                self._begin(message.meta)
            case FrameKind.FIRE if self._group is not None:
                self._group.add(self._round(message))
            case FrameKind.END if self._group is not None:
                self._group.close()
            case FrameKind.CANCEL:
                self._cancel()

    def _round(self, message: Frame) -> Round:
        meta = message.meta
        server = Server(meta["host"], meta["port"], meta["tls"])
        return Round(self, message.number, server, message.data, meta["due"], meta["deadline_ns"], meta["cold"])

    def _begin(self, meta: dict[str, Any]) -> None:
        gc.collect()
        gc.freeze()
        gc.disable()
        pace = Pace(meta["slots"], meta["cap"], meta["ramp_ns"])
        self._reads = 0
        self._t_wall, self._t_cpu = perf_counter_ns(), process_time_ns()
        t_group = self._t_wall + (LEAD_NS if pace.slots is None else 0)
        self._group = RequestGroup(pace, t_group, self._alarm, self._end_group)
        self._guard.begin(meta["cell"])
        self._sweeper.start()
        self.post(FrameKind.BEGUN, meta={"t_group": t_group})

    def _end_group(self) -> None:
        """Report the end of the group and what it cost."""
        self._group = None
        self._sweeper.stop()
        self.post(FrameKind.PROBES, meta=self._guard.end())
        spent = {"cpu_ns": process_time_ns() - self._t_cpu, "wall_ns": perf_counter_ns() - self._t_wall}
        self.post(FrameKind.SPENT, meta={**spent, "reads": self._reads})
        gc.enable()
        gc.unfreeze()

    def _cancel(self) -> None:
        if self._group is not None:
            self._group.drop_waiting()
        for planned in tuple(self._open.values()):
            if planned.handle is not None:
                planned.handle.cancel()

    async def aclose(self) -> None:
        self._alarm.close()
        self._sweeper.stop()
        for pool in self._pools.values():
            await pool.aclose()


async def serve(fd: int) -> None:
    """Serve the process at the other end of the socket until it is gone."""
    async with Guard() as guard:
        service = Service(socket.socket(fileno=fd), guard)
        await service.over
        await service.aclose()


def main() -> None:
    """Serve the socket whose descriptor is the only argument. Ctrl-C is ignored: the parent cancels."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    take_short_turns()
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        runner.run(serve(int(sys.argv[1])))


def take_short_turns() -> bool:
    """Ask the kernel for short turns of this thread, and so for early ones; return True if it took the request.

    A read that waits for a CPU is stamped late. Linux 6.12 and later give a task with short slices its turn sooner, and
    no more time in total; older kernels take the request without effect. On two busy cores this halved the median
    error of the stamps.
    """
    call = _SCHED_SETATTR.get(platform.machine())
    if not sys.platform.startswith("linux") or call is None:
        return False
    attributes = _ATTRIBUTES.pack(_ATTRIBUTES.size, 0, 0, 0, 0, _SLICE_NS, 0, 0, 0, 0)
    return int(ctypes.CDLL(None).syscall(call, 0, ctypes.create_string_buffer(attributes), 0)) == 0


def loop_factory() -> Any:
    """Return uvloop's loop factory if it is installed, else None for asyncio's own."""
    try:
        import uvloop  # noqa: PLC0415  (an optional extra)
    except ImportError:
        return None
    return uvloop.new_event_loop


if __name__ == "__main__":
    main()
