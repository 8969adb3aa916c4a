"""An HTTP/1.1 connection that stamps each read and keeps its bytes.

All connections of a pool share one read buffer: asyncio's own reading allocates 256 KB for every read, which is half of
its cost. The parser only looks for the headers and the end of the answer.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from time import perf_counter_ns
from typing import Any

import httptools

from bench.core.trial import Attempt

connection_numbers = itertools.count()
"""Numbers of this process's connections, whichever client opens them."""
READ_SIZE = 1 << 16
"""Bytes. A fast server fills a larger buffer again and again before another connection has its turn."""
READ_COST = 420
"""Bytes of memory that a kept read takes besides its data."""
NO_ANSWER = "RemoteProtocolError: the server closed the connection without an answer"
CUT = "RemoteProtocolError: the server closed the connection inside of its answer"
UPGRADED = "RemoteProtocolError: the server went over to another protocol, which nobody has asked for"


class Connection(asyncio.BufferedProtocol):
    """A connection that serves one attempt after the other."""

    def __init__(self, buffer: memoryview, on_lost: Callable[[Connection], None]) -> None:
        """`on_lost`: called when the connection is closed, or must not be used again."""
        self.number = next(connection_numbers)
        self.idle_since = 0
        self.transport: Any = None
        self._below: Any = None
        self._buffer, self._on_lost = buffer, on_lost
        self._used = self._unsent = False
        self._attempt: Attempt | None = None
        self._parser: Any = None
        self._feed: Callable[[bytes], None] | None = None
        self._on_read: Callable[[], None] | None = None
        self._on_end: Callable[[str | None], None] | None = None
        self._now = self._every = self._room = 0
        self._answer_headers: list[tuple[bytes, bytes]] = []
        self._whole = self._surplus = self._to_eof = False

    def serve(
        self,
        request: bytes,
        attempt: Attempt,
        on_read: Callable[[], None] | None,
        every: int,
        on_end: Callable[[str | None], None],
    ) -> None:
        """Send the request, and keep reads in the attempt from now on.

        `on_read` is called whenever the reads kept since its last call take more than `every` bytes of memory.
        `on_end` gets the error text, or None.
        """
        attempt.connection, attempt.reused, self._used = self.number, self._used, True
        self._attempt, self._on_read, self._on_end = attempt, on_read, on_end
        self._every = self._room = every
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data
        self._answer_headers.clear()
        self._whole = self._surplus = self._to_eof = False
        self.transport.write(request)
        self._note_sent(attempt)

    def use_tls(self, transport: asyncio.Transport) -> None:
        """Use this TLS transport, which stands on the transport of the connection."""
        self._below, self.transport = self.transport, transport

    def stop(self) -> None:
        """Close the connection at once; its attempt ends without `on_end`."""
        self._release()
        if self.transport is not None:
            self.transport.abort()

    @property
    def reusable(self) -> bool:
        """True if another request can be sent on the connection."""
        return not (self._surplus or self._unsent or self.transport.is_closing())

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        transport.set_write_buffer_limits(0)  # type: ignore[attr-defined]  # paused: not all is with the kernel

    def get_buffer(self, _sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        """Stamp and keep a read, and look for the end of the answer. This is the hot path."""
        now = self._now = perf_counter_ns()
        data = self._buffer[:nbytes].tobytes()
        if self._feed is None:
            self._drop()
            return
        self._attempt.reads.append((now, data))  # type: ignore[union-attr]
        try:
            self._feed(data)
        except httptools.HttpParserUpgrade:
            self._surplus = True
            self._end(UPGRADED)
            self.transport.abort()
        except httptools.HttpParserError as error:
            self._end_on_bad_http(error)
        self._room -= nbytes + READ_COST
        if self._room < 0 and self._on_read is not None:
            self._room = self._every
            self._on_read()
        if self._whole:
            self._end(None)

    def eof_received(self) -> bool:
        self._now = perf_counter_ns()
        if self._attempt is not None:
            self._surplus = True
            self._end(None if self._to_eof else CUT if self._attempt.reads else NO_ANSWER + self._idle())
        self._on_lost(self)
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._now = perf_counter_ns()
        if self._attempt is not None:
            self._end(f"ReadError: {exc or 'the connection was lost'}{self._idle()}")
        self._on_lost(self)

    def pause_writing(self) -> None:
        self._unsent = True

    def resume_writing(self) -> None:
        self._unsent = False
        if self._attempt is not None:
            self._note_sent(self._attempt)

    # what the parser calls, from within `buffer_updated`

    def on_message_begin(self) -> None:
        self._surplus = self._whole

    def on_header(self, name: bytes, value: bytes) -> None:
        self._answer_headers.append((name, value))

    def on_headers_complete(self) -> None:
        status, attempt = self._parser.get_status_code(), self._attempt
        if self._whole or attempt is None or (status < 200 and status != 101):
            return
        attempt.status, attempt.t_headers = status, self._now
        attempt.http_version = f"HTTP/{self._parser.get_http_version()}"
        attempt.headers = join_headers(self._answer_headers)
        chunked = "chunked" in attempt.headers.get("transfer-encoding", "").lower()
        self._to_eof = not chunked and "content-length" not in attempt.headers

    def on_message_complete(self) -> None:
        if self._attempt is None or self._attempt.status is None:  # 1xx: the answer is still to come
            self._answer_headers.clear()
            return
        if not self._whole:
            self._surplus = not self._parser.should_keep_alive()
        self._whole = True

    def _note_sent(self, attempt: Attempt) -> None:
        """Stamp the attempt once the kernel has all of the request. A TLS transport must be polled for that."""
        if self._attempt is not attempt or self._unsent or attempt.t_sent is not None:
            return
        if self._below is not None and self._below.get_write_buffer_size():
            asyncio.get_running_loop().call_later(0.001, self._note_sent, attempt)
            return
        attempt.t_sent = perf_counter_ns()

    # ends

    def _end(self, error: str | None) -> None:
        attempt, on_end = self._attempt, self._on_end
        self._release()
        if attempt is not None and on_end is not None:
            attempt.t_end = self._now
            on_end(error)

    def _idle(self) -> str:
        """Return how long the connection was idle, if that may be why there is no answer."""
        attempt = self._attempt
        if attempt is None or attempt.reads or not attempt.reused:
            return ""
        return f" (kept alive, idle for {(attempt.t_start - self.idle_since) / 1e9:.3g} s)"

    def _release(self) -> None:
        """Drop the attempt and the cycle with the parser: no collector runs while a group does."""
        self._attempt = self._parser = self._feed = self._on_read = self._on_end = None

    def _end_on_bad_http(self, error: Exception) -> None:
        """End on bytes that are not HTTP. After a whole answer they only make the connection unusable."""
        self._surplus = True
        if not self._whole:
            self._end(f"RemoteProtocolError: {error}")
            self.transport.abort()

    def _drop(self) -> None:
        """Drop the connection: its server sent bytes that answer no request."""
        self._on_lost(self)
        self.transport.abort()


def join_headers(pairs: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Return headers by lower-case name; values of the same name are joined with commas."""
    found: dict[str, str] = {}
    for raw_name, raw in pairs:
        name, text = raw_name.decode("latin-1").lower(), raw.decode("latin-1")
        found[name] = f"{found[name]}, {text}" if name in found else text
    return found
