"""Keep-alive connections of one server, with one exchange at a time on each: send a request, fill its attempt.

Errors have httpx2's names, so a failed attempt has the same class for both clients.
"""

from __future__ import annotations

import asyncio
import select
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from time import perf_counter_ns

from bench.clients.http.connect import connect
from bench.clients.http.connection import READ_SIZE, Connection
from bench.core.trial import Attempt

KEEPALIVE_NS = 600_000_000_000
"""A connection that was idle for longer is closed."""


@dataclass(frozen=True)
class Server:
    """The address of the server that a pool connects to."""

    host: str
    port: int
    tls: bool


class Pool:
    """Connections to one server, one for each concurrent exchange. A pool belongs to one event loop."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self._buffer = memoryview(bytearray(READ_SIZE))
        self._idle: list[Connection] = []
        self._handles: set[Handle] = set()

    def exchange(
        self,
        request: bytes,
        attempt: Attempt,
        *,
        deadline_ns: int | None,
        cold: bool,
        on_read: Callable[[], None] | None,
        on_end: Callable[[], None],
        every: int = 0,
    ) -> Handle:
        """Send the request and read the whole answer into the attempt; call `on_end` once at the end.

        `deadline_ns`: on `perf_counter_ns`. `cold`: use a new connection and close it. `on_read` is called after each
        read, or whenever the kept reads take another `every` bytes. Neither is called before this returns.
        """
        attempt.t_start = perf_counter_ns()
        handle = Handle(self, request, attempt, on_read, every, on_end, keep=not cold)
        self._handles.add(handle)
        handle.start(None if cold else self._take(), deadline_ns)
        return handle

    async def aclose(self) -> None:
        """Cancel all exchanges and close every connection."""
        for handle in tuple(self._handles):
            handle.cancel()
        while self._idle:
            self._idle.pop().stop()
        await asyncio.sleep(0)  # the transports' farewells

    async def connection(self, attempt: Attempt) -> Connection:
        server = self.server
        new = partial(Connection, self._buffer, self._forget)
        return await connect(server.host, server.port, tls=server.tls, attempt=attempt, new=new)

    def exchange_ended(self, handle: Handle, connection: Connection | None, *, keep: bool) -> None:
        """Keep or close the connection of an exchange that has ended."""
        self._handles.discard(handle)
        if connection is None:
            return
        if keep and connection.reusable:
            connection.idle_since = perf_counter_ns()
            self._idle.append(connection)
        else:
            connection.stop()

    def _forget(self, connection: Connection) -> None:
        """Stop using a connection that is closed."""
        if connection in self._idle:
            self._idle.remove(connection)

    def _take(self) -> Connection | None:
        """Return the idle connection that was used last, if it is still good."""
        while self._idle:
            connection = self._idle.pop()
            fresh = perf_counter_ns() - connection.idle_since < KEEPALIVE_NS
            if fresh and connection.reusable and not _has_news(connection):
                return connection
            connection.stop()
        return None


class Handle:
    """An exchange that is under way."""

    def __init__(
        self,
        pool: Pool,
        request: bytes,
        attempt: Attempt,
        on_read: Callable[[], None] | None,
        every: int,
        on_end: Callable[[], None],
        *,
        keep: bool,
    ) -> None:
        self._pool, self._request, self._attempt, self._keep = pool, request, attempt, keep
        self._on_read, self._every, self._on_end = on_read, every, on_end
        self._connection: Connection | None = None
        self._opening: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._over = False

    def cancel(self) -> None:
        """End the exchange as closed by the client, unless it has ended."""
        if not self._over:
            self._attempt.closed_early = True
            self._give_up(None)

    def start(self, connection: Connection | None, deadline_ns: int | None) -> None:
        """Start the exchange on this connection, or on a new one; end it at the deadline on `perf_counter_ns`."""
        loop = asyncio.get_running_loop()
        if deadline_ns is not None:
            seconds = (deadline_ns - self._attempt.t_start) / 1e9
            late = f"ReadTimeout: not done after {seconds:.3g} s (--deadline)"
            self._timer = loop.call_later(max(0.0, seconds), self._give_up, late)
        if connection is None:
            self._opening = loop.create_task(self._open())
        else:
            self._use(connection)

    def _use(self, connection: Connection) -> None:
        self._connection = connection
        connection.serve(self._request, self._attempt, self._on_read, self._every, self._end)

    async def _open(self) -> None:
        try:
            connection = await self._pool.connection(self._attempt)
        except Exception as error:  # noqa: BLE001  (whatever it was: an exchange ends)
            self._attempt.t_end = perf_counter_ns()
            self._end(f"ConnectError: {error}" if str(error) else f"ConnectError: {type(error).__name__}")
            return
        if self._over:  # it came in the same turn of the loop
            connection.stop()
        else:
            self._use(connection)

    def _give_up(self, error: str | None) -> None:
        """End the exchange from this side, at its deadline or when cancelled."""
        self._keep = False
        self._attempt.t_end = perf_counter_ns()
        if self._opening is not None:
            self._opening.cancel()
        self._end(error)

    def _end(self, error: str | None) -> None:
        if self._over:
            return
        self._over = True
        if self._timer is not None:
            self._timer.cancel()
        self._attempt.error = error
        self._opening = self._timer = None  # no cycles: no collector runs while a group does
        connection, self._connection = self._connection, None
        self._pool.exchange_ended(self, connection, keep=self._keep and error is None)
        self._on_end()


def _has_news(connection: Connection) -> bool:
    """Return True if an idle connection has something to read: mostly its end, which the loop has not seen yet."""
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket").fileno(), select.POLLIN)
    return bool(poll.poll(0))
