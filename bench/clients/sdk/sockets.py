"""A network backend for httpcore2 that stamps every read at the moment when the event loop delivers it.

httpcore2's own backend pulls: it hands over data when the consumer asks, which under load is after everything else on
the loop had its turn. Here `data_received` stamps, so the delay that the consumer adds is not in the stamp. A saturated
loop still reads late, and no stamp in it can be trusted then (docs/architecture.md has the numbers).
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import Awaitable, Iterable
from time import perf_counter_ns
from typing import Any, TypeVar

import httpcore2

from bench.clients.sdk.connection import (
    NETWORK_ERRORS,
    StampedConnection,
    connect_stamps,
    core_error,
    current_attempt,
    stamp_tls,
)

HIGH_WATER = 1 << 20
"""Bytes waiting for a slow consumer above which the socket is left unread, as any asyncio stream would."""
T = TypeVar("T")


class _Protocol(StampedConnection, asyncio.Protocol):
    """Queues received bytes, and keeps each read with its stamp in the attempt that the connection serves."""

    def __init__(self) -> None:
        super().__init__()
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
        """Return the next chunk, b"" at the end. Raises an error of the connection after the data before it."""
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
    """One connection. It raises httpcore2's own errors, so the SDK sees what it would see without the tap."""

    def __init__(self, protocol: _Protocol) -> None:
        self._protocol = protocol

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return await _await_within(self._protocol.read(max_bytes), timeout, "Read")

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._protocol.serve(current_attempt.get())
        await _await_within(self._protocol.write(buffer), timeout, "Write")
        self._protocol.stamp_sent()

    async def aclose(self) -> None:
        """Close at once, as httpcore2's own backend does: a TLS goodbye would wait for the server's."""
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
        transport = await _await_within(upgrade, timeout, "Connect")
        if transport is None:
            raise httpcore2.ConnectError("connection lost during the TLS handshake")
        protocol.connection_made(transport)
        stamp_tls()
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
        with connect_stamps():
            connecting = asyncio.get_running_loop().create_connection(
                _Protocol,
                host,
                port,
                local_addr=(local_address, 0) if local_address else None,
                happy_eyeballs_delay=0.25,
            )
            transport, protocol = await _await_within(connecting, timeout, "Connect")
        for option in socket_options or ():
            transport.get_extra_info("socket").setsockopt(*option)
        return TapStream(protocol)

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


async def _await_within(awaitable: Awaitable[T], timeout: float | None, operation: str) -> T:
    """Await within the time-out. Raises httpcore2's exceptions of this operation."""
    scope = asyncio.timeout(timeout)
    try:
        async with scope:
            return await awaitable
    except NETWORK_ERRORS as error:
        raise core_error(operation, error, late=scope.expired()) from error
