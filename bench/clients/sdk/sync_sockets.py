"""Sockets that stamp, for the synchronous client: each read is timed as soon as it has returned.

What a thread has to wait for Python's lock after a read is in the stamp; `net` says what an event loop adds instead.
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

from bench.clients.connection_numbers import numbers
from bench.clients.sdk.lease import Lease, current_lease
from bench.clients.sdk.sockets import current_attempt
from bench.core.trial import Attempt


class SyncTapStream(httpcore2.NetworkStream):
    """One connection. Errors are httpcore2's own, so that the SDK sees what it would see without us."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._number = next(numbers)
        self._attempt: Attempt | None = None
        self._used = False
        self.lease: Lease | None = None
        try:
            _take(self)
        except BaseException:
            sock.close()
            raise

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _mapped(httpcore2.ReadTimeout, httpcore2.ReadError):
            self._sock.settimeout(timeout)
            data = self._sock.recv(max_bytes)
            now = perf_counter_ns()
        if self.lease is not None:
            self.lease.check()  # a socket that was cut looks like one that the server has closed
        if data and self._attempt is not None:
            self._attempt.reads.append((now, data))
        return data

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._serve(current_attempt.get())
        with _mapped(httpcore2.WriteTimeout, httpcore2.WriteError):
            self._sock.settimeout(timeout)
            self._sock.sendall(buffer)
        if self._attempt is not None:
            self._attempt.t_sent = perf_counter_ns()

    def _serve(self, attempt: Attempt | None) -> None:
        """Reads from now on belong to this attempt. What a proxy said while the tunnel was set up is not its answer."""
        _take(self)
        if attempt is not None and attempt is not self._attempt:
            attempt.connection, attempt.reused = self._number, self._used
            attempt.reads.clear()
        self._attempt, self._used = attempt, True

    def shut(self) -> None:
        """End it while another thread reads: that one wakes up. Past TLS, whose own way would break its reader."""
        try:
            socket.socket.shutdown(self._sock, socket.SHUT_RDWR)
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
            with _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError):
                self._sock.settimeout(timeout)
                upgraded = ssl_context.wrap_socket(self._sock, server_hostname=server_hostname)
        except BaseException:
            self.close()
            raise
        if attempt := current_attempt.get():
            attempt.t_tls = perf_counter_ns()
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
    """Connects, one address after the other as Python's own clients do, stamping the connect."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.NetworkStream:
        attempt = current_attempt.get()
        if attempt is not None:
            attempt.t_connect = perf_counter_ns()
        source = (local_address, 0) if local_address else None
        with _mapped(httpcore2.ConnectTimeout, httpcore2.ConnectError):
            sock = socket.create_connection((host, port), timeout, source_address=source)
        if attempt is not None:
            attempt.t_connected = perf_counter_ns()
        for option in ((socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), *(socket_options or ())):
            sock.setsockopt(*option)
        return SyncTapStream(sock)


def _take(stream: SyncTapStream) -> None:
    if lease := current_lease.get():
        lease.take(stream)


def _is_readable(sock: socket.socket) -> bool:
    """Is there something to read, or has it been closed?"""
    if sock.fileno() < 0:
        return True
    if not hasattr(select, "poll"):  # Windows
        return bool(select.select([sock], [], [], 0)[0])
    waiting = select.poll()
    waiting.register(sock, select.POLLIN)
    return bool(waiting.poll(0))


@contextmanager
def _mapped(late: type[Exception], failed: type[Exception]) -> Iterator[None]:
    """Time-outs and connection errors become the given httpcore2 exceptions; those of a cut connection, `Cut`."""
    try:
        yield
    except (OSError, ssl.SSLError, EOFError) as error:
        if lease := current_lease.get():
            lease.check()
        raise (late if isinstance(error, TimeoutError) else failed)(str(error)) from error
