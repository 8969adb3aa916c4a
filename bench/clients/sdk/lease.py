"""How a call that runs in a thread is ended from outside: a thread cannot be cancelled, its sockets can be cut."""

from __future__ import annotations

from contextvars import ContextVar
from typing import Protocol


class Cut(BaseException):
    """The call was ended from outside. No Exception, as `asyncio.CancelledError` is none: retries must not catch it."""


class Leased(Protocol):
    """A connection that a lease can cut."""

    lease: Lease | None

    def shut(self) -> None: ...


class Lease:
    """The connections that one call uses at the moment."""

    def __init__(self) -> None:
        self.over = False
        self._connections: set[Leased] = set()

    def take(self, connection: Leased) -> None:
        """From now on the connection serves this call, and no other."""
        if connection.lease is not None and connection.lease is not self:
            connection.lease.drop(connection)
        connection.lease = self
        self._connections.add(connection)
        self.check()  # last: a cut that came just before did not find this connection

    def drop(self, connection: Leased) -> None:
        """It is closed, or serves another call."""
        self._connections.discard(connection)

    def cut(self) -> None:
        """From any thread: whatever waits on a connection of this call, and whatever it begins, raises `Cut`."""
        self.over = True
        for connection in tuple(self._connections):
            if connection.lease is self:
                connection.shut()

    def check(self) -> None:
        """Raise `Cut` if that has happened."""
        if self.over:
            raise Cut("ended from outside")


current_lease: ContextVar[Lease | None] = ContextVar("current_lease", default=None)
"""Set in the context of a call's thread."""
