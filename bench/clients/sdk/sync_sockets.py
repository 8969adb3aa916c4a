"""A network backend for the synchronous client that stamps each read as soon as it has returned.

The time that a thread waits for Python's lock after a read is in the stamp.
"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter_ns
from typing import Any

import httpcore2

from bench.clients.sdk.connection import (
    NETWORK_ERRORS,
    StampedConnection,
    connect_stamps,
    core_error,
    current_attempt,
    stamp_tls,
)
from bench.clients.sdk.lease import Lease, current_lease


class SyncTapStream(StampedConnection, httpcore2.NetworkStream):
    """One connection. It raises httpcore2's own errors, so the SDK sees what it would see without the tap."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__()
        self._sock = sock
        self.lease: Lease | None = None
        try:
            _take(self)
        except BaseException:
            sock.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _core_errors("Read"):
            self._sock.settimeout(timeout)
            data = self._sock.recv(max_bytes)
            now = perf_counter_ns()
        if self.lease is not None:
            self.lease.check()  # a socket that was cut looks like one that the server has closed
        if data and self.attempt is not None:
            self.attempt.reads.append((now, data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        _take(self)
        self.serve(current_attempt.get())
        with _core_errors("Write"):
            self._sock.settimeout(timeout)
            self._sock.sendall(buffer)
        self.stamp_sent()

    def shut_down(self) -> None:
        """Shut the socket down while another thread reads, which wakes that thread up."""
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)  # TLS's own way would break the reader
        except OSError:
            return  # closed by then

    def close(self) -> None:
        if self.lease is not None:
            self.lease.drop(self)
        self._sock.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        try:
            with _core_errors("Connect"):
                self._sock.settimeout(timeout)
                upgraded = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        stamp_tls()
        if self.lease is not None:
            self.lease.drop(self)
        return SyncTapStream(upgraded)

    def get_extra_info(self, info: str) -> Any:
        if info == "is_readable":
            return _is_readable(self._sock)
        if info == "ssl_object":
            return self._sock if isinstance(self._sock, ssl.SSLSocket) else None
        ways = {"client_addr": self._sock.getsockname, "server_addr": self._sock.getpeername}
        return ways[info]() if info in ways else self._sock if info == "socket" else None


class SyncTapBackend(httpcore2.NetworkBackend):
    """Connects, trying one address after the other as Python's own clients do, and stamps the connect."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        source = (local_address, 0) if local_address else None
        with connect_stamps(), _core_errors("Connect"):
            sock = socket.create_connection((host, port), timeout, source_address=source)
        for option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *(socket_options or ())):
            sock.setsockopt(*option)
        return SyncTapStream(sock)


def _take(stream: SyncTapStream) -> None:
    if lease := current_lease.get():
        lease.take(stream)


def _is_readable(sock: socket.socket) -> bool:
    """Return True if there is something to read, or the socket is closed."""
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


@contextmanager
def _core_errors(operation: str) -> Iterator[None]:
    """Raise httpcore2's exceptions of this operation, or `Cut` if the connection was cut from outside."""
    try:
        yield
    except NETWORK_ERRORS as error:
        if lease := current_lease.get():
            lease.check()
        raise core_error(operation, error, late=isinstance(error, TimeoutError)) from error
