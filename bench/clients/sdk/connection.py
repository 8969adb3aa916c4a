"""Keep reads and stamps in the attempt that a connection serves: the base of both clients' sockets."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from time import perf_counter_ns

import httpcore2

from bench.clients.http.connection import connection_numbers
from bench.core.trial import Attempt

current_attempt: ContextVar[Attempt | None] = ContextVar("current_attempt", default=None)
"""Set by the transport in the task that sends; connecting and writing happen inside that call and in its context."""
NETWORK_ERRORS = (OSError, ssl.SSLError, EOFError)
"""TimeoutError included, which is an OSError; the kernel's own ETIMEDOUT too."""


class StampedConnection:
    """A connection that keeps its reads in the attempt that it serves."""

    def __init__(self) -> None:
        self.number = next(connection_numbers)
        self.used = False
        self.attempt: Attempt | None = None

    def serve(self, attempt: Attempt | None) -> None:
        """Keep reads in this attempt from now on."""
        if attempt is not None and attempt is not self.attempt:
            attempt.connection, attempt.reused = self.number, self.used
            attempt.reads.clear()  # what a proxy said while the tunnel was set up is not the answer
        self.attempt, self.used = attempt, True

    def stamp_sent(self) -> None:
        """Stamp the attempt: all of its request was written."""
        if self.attempt is not None:
            self.attempt.t_sent = perf_counter_ns()


@contextmanager
def connect_stamps() -> Iterator[None]:
    """Stamp the current attempt before and after its TCP connect."""
    attempt = current_attempt.get()
    if attempt is not None:
        attempt.t_connect = perf_counter_ns()
    yield
    if attempt is not None:
        attempt.t_connected = perf_counter_ns()


def stamp_tls() -> None:
    """Stamp the current attempt: its TLS handshake is done."""
    if attempt := current_attempt.get():
        attempt.t_tls = perf_counter_ns()


def core_error(operation: str, error: BaseException, *, late: bool) -> Exception:
    """Return httpcore2's exception, such as `ReadTimeout` or `ReadError` for the operation `Read`."""
    kind: type[Exception] = getattr(httpcore2, operation + ("Timeout" if late else "Error"))
    return kind(str(error))
