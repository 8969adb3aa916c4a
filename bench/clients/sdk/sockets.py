"""Sockets that stamp: a network backend for httpcore2 whose every read is timed as the event loop delivers it.

httpcore2 pulls: its own backend hands over data when the consumer asks, which under load is after everything else on
the loop had its turn. Here `data_received` stamps, so that a stamp is the moment of the socket read and what the
consumer adds after it can be told apart. A loop that is saturated reads late all the same: no stamp in it can be
trusted then (docs/architecture.md has the figures).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Iterable
from contextvars import ContextVar
from time import perf_counter_ns
from typing import Any, TypeVar

import httpcore2

from bench.clients.connection_numbers import numbers
from bench.core.trial import Attempt

current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""Set by the transport in the task that sends; connecting and writing happen inside that call and in its context."""
HIGH_WATER = 1 << 20
"""Bytes waiting for a slow consumer above which the socket is left unread, as any asyncio stream would."""
T = TypeVar("T")


class _Protocol(asyncio.Protocol):
    """Received bytes in a queue, each read with its stamp kept in the attempt that the connection now serves."""

    def __init__(self) -> None:
        self.attempt: Attempt | None = None
        self.number = next(numbers)
        self.used = False
        self.chunks: deque[bytes] = deque()
        self.waiting = 0
        self.closed: BaseException | bool = False
        self.transport: asyncio.Transport | None = None
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)  # noqa: S101  (for the type checker)
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        now = perf_counter_ns()
        if self.attempt is not None:
            self.attempt.reads.append((now, data))
        self.chunks.append(data)
        self.waiting += len(data)
        if self.waiting > HIGH_WATER and self.transport is not None:
            self.transport.pause_reading()
        self._arrived.set()

    def eof_received(self) -> bool:
        self.closed = self.closed or True
        self._arrived.set()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = exc or self.closed or True
        self._arrived.set()
        self._writable.set()

    def pause_writing(self) -> None:
        self._writable.clear()

    def resume_writing(self) -> None:
        self._writable.set()

    async def read(self, max_bytes: int) -> bytes:
        """The next chunk, b"" at the end; an error of the connection is raised after the data before it."""
        while not self.chunks:
            if isinstance(self.closed, BaseException):
                raise self.closed
            if self.closed:
                return b""
            self._arrived.clear()
            await self._arrived.wait()
        chunk = self.chunks.popleft()
        if len(chunk) > max_bytes:
            self.chunks.appendleft(chunk[max_bytes:])
            chunk = chunk[:max_bytes]
        self.waiting -= len(chunk)
        if self.waiting <= HIGH_WATER and self.transport is not None and not self.transport.is_closing():
            self.transport.resume_reading()
        return chunk

    async def write(self, data: bytes) -> None:
        if self.transport is None or self.transport.is_closing():
            raise (
                self.closed if isinstance(self.closed, BaseException) else ConnectionResetError("connection is closed")
            )
        self.transport.write(data)
        await self._writable.wait()


class TapStream(httpcore2.AsyncNetworkStream):
    """One connection. Errors are httpcore2's own, so that the SDK sees what it would see without us."""

    def __init__(self, protocol: _Protocol) -> None:
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await _mapped(self._protocol.read(max_bytes), timeout, httpcore2.ReadTimeout, httpcore2.ReadError)

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._serve(current_attempt.get())
        await _mapped(self._protocol.write(buffer), timeout, httpcore2.WriteTimeout, httpcore2.WriteError)
        if self._protocol.attempt is not None:
            self._protocol.attempt.t_sent = perf_counter_ns()

    def _serve(self, attempt: Attempt | None) -> None:
        """Reads from now on belong to this attempt. What a proxy said while the tunnel was set up is not its answer."""
        if attempt is not None and attempt is not self._protocol.attempt:
            attempt.connection, attempt.reused = self._protocol.number, self._protocol.used
            attempt.reads.clear()
        self._protocol.attempt, self._protocol.used = attempt, True

    async def aclose(self) -> None:
        """At once, as httpcore2's own backend does: a farewell of TLS waits for the server's, beyond the loop's end."""
        if self._protocol.transport is not None:
            self._protocol.transport.abort()

    async def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.AsyncNetworkStream:
        protocol = _Protocol()
        upgrade = asyncio.get_running_loop().start_tls(
            self._protocol.transport,  # type: ignore[arg-type]
            protocol,
            ssl_context,
            server_hostname=server_hostname,
        )
        transport = await _mapped(upgrade, timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError)
        if transport is None:
            raise httpcore2.ConnectError("connection lost during the TLS handshake")
        protocol.connection_made(transport)
        if attempt := current_attempt.get():
            attempt.t_tls = perf_counter_ns()
        return TapStream(protocol)

    def get_extra_info(self, info: str) -> Any:
        protocol, transport = self._protocol, self._protocol.transport
        if info == "is_readable":
            return bool(protocol.closed) or bool(protocol.chunks)
        names = {"client_addr": "sockname", "server_addr": "peername"}
        return transport.get_extra_info(names.get(info, info)) if transport is not None else None


class TapBackend(httpcore2.AsyncNetworkBackend):
    """Connects with asyncio (both address families, happy eyeballs), stamping the connect."""

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.t_connect = perf_counter_ns()
        connecting = asyncio.get_running_loop().create_connection(
            _Protocol,
            host,
            port,
            local_addr=(local_address, 0) if local_address else None,
            happy_eyeballs_delay=0.25,
        )
        transport, protocol = await _mapped(connecting, timeout, httpcore2.ConnectTimeout, httpcore2.ConnectError)
        if attempt is not None:
            attempt.t_connected = perf_counter_ns()
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return TapStream(protocol)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _mapped(awaitable: Awaitable[T], timeout: float | None, late: type[Exception], failed: type[Exception]) -> T:
    """Await within the time-out; time-outs and connection errors become the given httpcore2 exceptions."""
    scope = asyncio.timeout(timeout)
    try:
        async with scope:
            return await awaitable
    except (OSError, ssl.SSLError, EOFError) as error:  # a TimeoutError is an OSError, the kernel's own ETIMEDOUT too
        raise (late if scope.expired() else failed)(str(error)) from error
