"""Open a connection: resolve the name, connect TCP and TLS, and stamp each step in the attempt."""

from __future__ import annotations

import asyncio
import os
import socket
import ssl
from collections import deque
from collections.abc import Callable
from functools import lru_cache
from itertools import chain, zip_longest
from time import perf_counter_ns
from typing import Any

from bench.clients.http.connection import Connection
from bench.core.trial import Attempt

HEAD_START_S = 0.25
"""Head start of an address before the next one is tried beside it (RFC 8305)."""
Address = tuple[int, Any]
"""Family, and the address as `connect` takes it."""


async def connect(host: str, port: int, *, tls: bool, attempt: Attempt, new: Callable[[], Connection]) -> Connection:
    """Open a connection. Raises `OSError` (also `ssl.SSLError`, `socket.gaierror`) that says what failed."""
    loop = asyncio.get_running_loop()
    attempt.t_connect = perf_counter_ns()
    sock = await _first(await _addresses(host, port))
    attempt.t_connected = perf_counter_ns()
    try:
        transport, connection = await loop.create_connection(new, sock=sock)
    except BaseException:
        sock.close()
        raise
    if tls:
        context = _new_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))
        try:
            upgraded = await loop.start_tls(transport, connection, context, server_hostname=host)
        except BaseException:
            transport.abort()
            raise
        assert upgraded is not None  # noqa: S101  (for the type checker)
        connection.use_tls(upgraded)
        attempt.t_tls = perf_counter_ns()
    return connection


@lru_cache(maxsize=4)
def _new_context(_file: str | None, _folder: str | None) -> ssl.SSLContext:
    """Read the certificates, which takes about 20 ms, once for each setting of the environment."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["http/1.1"])
    return context


async def _addresses(host: str, port: int) -> list[Address]:
    """Resolve the host; IPv4 and IPv6 alternate, the resolver's first choice first."""
    try:  # a literal address needs no resolver, and no thread
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_NUMERICHOST)
    except socket.gaierror:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    families = dict.fromkeys(info[0] for info in found)
    by_family = ([(info[0], info[4]) for info in found if info[0] == family] for family in families)
    return [address for address in chain.from_iterable(zip_longest(*by_family)) if address is not None]


async def _first(addresses: list[Address]) -> socket.socket:
    """Return a socket to the first address that answers. Addresses are tried in order, each with a head start."""
    queue, pending, failed = deque(addresses), set[asyncio.Task[socket.socket]](), list[BaseException]()
    try:
        while queue or pending:
            if queue:
                pending.add(asyncio.create_task(_open(*queue.popleft())))
            first = asyncio.FIRST_COMPLETED
            done, pending = await asyncio.wait(pending, timeout=HEAD_START_S if queue else None, return_when=first)
            if winners := [task for task in done if task.exception() is None]:
                pending |= set(winners[1:])
                return winners[0].result()
            failed += [error for task in done if (error := task.exception())]
        raise failed[0]
    finally:
        for task in pending:
            task.cancel()
            task.add_done_callback(_close)
        error, done = None, set()  # errors have this frame in their tracebacks: no cycle, for no collector runs
        failed.clear()


def _close(task: asyncio.Task[socket.socket]) -> None:
    """Close the socket of an address that was slower."""
    if not task.cancelled() and task.exception() is None:
        task.result().close()


async def _open(family: int, address: Any) -> socket.socket:
    sock = socket.socket(family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        await asyncio.get_running_loop().sock_connect(sock, address)
    except BaseException:
        sock.close()
        raise
    return sock
