"""End a call that runs in a thread: a thread cannot be cancelled, but its sockets can be cut."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.clients.sdk.sync_sockets import SyncTapStream


class Cut(BaseException):
    """The call was ended from outside. No Exception, as `asyncio.CancelledError` is none: retries must not catch it."""


class Lease:
    """The connections that one call uses now."""

    def __init__(self) -> None:
        self.over = False
        self._connections: set[SyncTapStream] = set()

    def take(self, connection: SyncTapStream) -> None:
        """Reserve the connection for this call."""
        if connection.lease is not None and connection.lease is not self:
            connection.lease.drop(connection)
        connection.lease = self
        self._connections.add(connection)
        self.check()  # last: a cut that came just before did not find this connection

    def drop(self, connection: SyncTapStream) -> None:
        """Release the connection: it is closed, or serves another call."""
        self._connections.discard(connection)

    def cut(self) -> None:
        """Make the call raise `Cut`, now if it waits on a connection, else when it next uses one. From any thread."""
        self.over = True
        for connection in tuple(self._connections):
            if connection.lease is self:
                connection.shut_down()

    def check(self) -> None:
        """Raise `Cut` if the call was cut."""
        if self.over:
            raise Cut("ended from outside")


current_lease: ContextVar[Lease | None] = ContextVar("current_lease", default=None)
"""Set in the context of a call's thread."""
