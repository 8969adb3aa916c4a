"""One end of the socket between parent and load generator: send frames without waiting, receive them as they come.

Frames that the other end is too slow to take wait here in order, in memory and then in a file. Nothing is lost, and
the event loop is never blocked.
"""

from __future__ import annotations

import asyncio
import socket
from collections import deque
from collections.abc import Callable
from enum import IntEnum

from bench.core.processes.frames import Frame, FrameReader
from bench.core.processes.spill import Held, Spill

BACKLOG = 8 << 20
"""Bytes that may wait in memory for the other end."""
BUFFER = 4 << 20
"""Bytes of send buffer to ask the kernel for; it may give less."""
_READ = 1 << 18
_READS_AT_ONCE = 16
"""After this many reads everything else on the loop has its turn."""
_LONG = 1 << 16
"""Bytes that are sent at once, without waiting for the end of the loop's turn."""
_PARTS = 1000
"""Buffers sent in one call; the kernel takes 1024."""


class FrameKind(IntEnum):
    """Kinds of frames; the first four go from the parent to the load generator."""

    BEGIN = 1
    FIRE = 2
    END = 3
    CANCEL = 4
    READY = 5
    BEGUN = 6
    FIRED = 7
    READS = 8
    DONE = 9
    PROBES = 10
    SPENT = 11


class Channel:
    """Sends and receives frames. A channel belongs to one event loop."""

    def __init__(
        self,
        sock: socket.socket,
        on_message: Callable[[Frame], None],
        on_closed: Callable[[OSError | None], None],
    ) -> None:
        """`on_closed`: called when the other end is gone or, with an error, when waiting frames find no room."""
        self._socket, self._on_message, self._on_closed = sock, on_message, on_closed
        self._loop = asyncio.get_running_loop()
        self._reader, self._spill = FrameReader(), Spill(BACKLOG)
        self._parts: list[bytes] = []
        self._size = 0
        self._backlog: deque[Held] = deque()
        self._unsent = memoryview(b"")
        self._open = True
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
        self._loop.add_reader(sock, self._readable)

    def post(self, parts: list[bytes]) -> None:
        """Send the parts of a frame together with others of this turn of the loop; at once if they are long."""
        if not self._parts and self._open:
            self._loop.call_soon(self._flush)
        self._parts += parts
        self._size += sum(map(len, parts))
        if self._size > _LONG:
            self._flush()

    def close(self) -> None:
        """Close the socket and drop what was not sent."""
        if self._open:
            self._open = False
            self._loop.remove_reader(self._socket)
            self._loop.remove_writer(self._socket)
            self._socket.close()
            self._spill.close()

    def _flush(self) -> None:
        parts, self._parts, self._size = self._parts, [], 0
        if not self._open:
            return
        waiting = bool(self._backlog or self._unsent)
        while parts and not waiting:
            some, parts = parts[:_PARTS], parts[_PARTS:]
            sent = self._send(some)
            if sent < sum(map(len, some)):
                parts = [b"".join(some)[sent:], *parts]
                waiting = True
                self._loop.add_writer(self._socket, self._writable)
        if parts:
            try:
                self._backlog.append(self._spill.put(b"".join(parts)))
            except OSError as error:  # the disk is full
                self.close()
                self._on_closed(error)

    def _writable(self) -> None:
        """Send what waits, one piece in each turn of the loop."""
        if not self._unsent and self._backlog:
            self._unsent = memoryview(self._spill.take(self._backlog.popleft()))
        self._unsent = self._unsent[self._send([self._unsent]) :]
        if not self._unsent and not self._backlog:
            self._loop.remove_writer(self._socket)

    def _send(self, parts: list[bytes] | list[memoryview]) -> int:
        """Return the number of bytes that the kernel took."""
        try:
            return self._socket.sendmsg(parts)
        except (BlockingIOError, InterruptedError):
            return 0
        except OSError:  # it is gone: reading says so too
            return 0

    def _readable(self) -> None:
        for _ in range(_READS_AT_ONCE):
            try:
                data = self._socket.recv(_READ)
            except (BlockingIOError, InterruptedError):
                return
            except OSError:
                data = b""
            if not data:
                self.close()
                self._on_closed(None)
                return
            for message in self._reader.feed(data):
                self._on_message(message)
            if not self._open:
                return
            if len(data) < _READ // 8:
                return
