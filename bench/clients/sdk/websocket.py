"""A WebSocket connection that stamps its reads: one attempt for each `response.create` that is sent on it.

It needs the package `websockets`, so it is imported only where a scenario connects. As in `sockets`, `data_received`
stamps, and the bytes are decoded after the trial.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterable, Iterable
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from websockets.asyncio.client import ClientConnection
from websockets.datastructures import Headers, HeadersLike
from websockets.typing import Data

from bench.clients.decode.websocket import is_websocket, without_head
from bench.clients.http.connection import connection_numbers
from bench.clients.sdk.tap import error_text, record_end

if TYPE_CHECKING:
    from bench.clients.sdk.websocket_tap import Session

_ASKS = re.compile(r'"type"\s*:\s*"response\.create"')
_ENDS = r'"type"\s*:\s*"(?:error|response\.(?:completed|failed|incomplete))"'
_ENDS_TEXT, _ENDS_BYTES = re.compile(_ENDS), re.compile(_ENDS.encode())
_FRONT = 300
"""Characters in which the type of an event is looked for; quotes inside of JSON text are escaped."""
_ORDERLY = {1000, 1001, 1005}
"""Close codes: done, going away, none given."""


class TapConnection(ClientConnection):
    """The library's connection, which also records handshake, requests, reads and the end."""

    def __init__(self, *args: Any, session: Session, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._session = session
        self._attempt = session.record_connection()
        self._id = self._attempt.client_id
        self._number = self._attempt.connection = next(connection_numbers)
        self._requests = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if transport.get_extra_info("ssl_object") is not None:
            self._attempt.t_tls = perf_counter_ns()
        super().connection_made(transport)

    async def handshake(
        self, additional_headers: HeadersLike | None = None, user_agent_header: str | None = None
    ) -> None:
        headers = Headers(additional_headers or {})
        headers["X-Client-Request-Id"] = headers["X-Request-Id"] = self._id
        try:
            await super().handshake(headers, user_agent_header)
        finally:
            self._record_handshake()

    def _record_handshake(self) -> None:
        if self.response is None:
            return
        attempt = self._attempt
        attempt.t_headers, attempt.status = perf_counter_ns(), self.response.status_code
        attempt.http_version = "HTTP/1.1"
        attempt.headers = {name.lower(): value for name, value in self.response.headers.raw_items()}
        if is_websocket(attempt.headers):
            attempt.reads[:] = without_head(attempt.reads)

    def data_received(self, data: bytes) -> None:
        now = perf_counter_ns()
        if self._attempt.t_end is None:
            self._attempt.reads.append((now, data))
        super().data_received(data)

    async def send(self, message: Data | Iterable[Data] | AsyncIterable[Data], text: bool | None = None) -> None:
        if not isinstance(message, str) or _ASKS.search(message) is None:
            await super().send(message, text)
            return
        self._begin()
        try:
            await super().send(message, text)
        except Exception as error:
            self._attempt.error = error_text(error)
            record_end(self._attempt, whole=False)
            raise
        self._attempt.t_sent = perf_counter_ns()

    def _begin(self) -> None:
        """Begin the attempt of the next request: the handshake's own if this trial made it, else a new one."""
        last = self._attempt
        if last.t_sent is not None or not self._session.is_own(last):
            if last.t_end is None:
                record_end(last, whole=False)
            attempt = self._attempt = self._session.begin()
            attempt.connection, attempt.reused = self._number, True
            attempt.status, attempt.http_version, attempt.headers = last.status, last.http_version, last.headers
            attempt.client_id = f"{self._id}.{self._requests}" if self._requests else self._id
        self._requests += 1

    async def recv(self, decode: bool | None = None) -> Data:  # type: ignore[override]  # its overloads say no more
        message = await super().recv(decode)
        if self._attempt.t_end is None and _is_end(message):
            record_end(self._attempt, whole=True)
        return message

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self._record_end(lost=False)
        await super().close(code, reason)

    def connection_lost(self, exc: Exception | None) -> None:
        self._record_end(exc, lost=True)
        super().connection_lost(exc)

    def _record_end(self, error: Exception | None = None, *, lost: bool) -> None:
        """Record the end of the open attempt. `lost`: the server ended the connection, not the scenario."""
        attempt, farewell = self._attempt, self.protocol.close_rcvd
        if attempt.t_end is not None:
            return
        if farewell is None and not lost:
            record_end(attempt, whole=False)
            return
        if farewell is None:
            attempt.error = error_text(error) if error else "the connection ended without a close frame"
        elif farewell.code not in _ORDERLY:  # errors after a close frame do not count
            attempt.error = f"closed with {farewell.code} {farewell.reason}".rstrip()
        record_end(attempt, whole=True)


def _is_end(message: Data) -> bool:
    """Return True for the event that ends an answer."""
    if isinstance(message, str):
        return _ENDS_TEXT.search(message, 0, _FRONT) is not None
    return _ENDS_BYTES.search(message, 0, _FRONT) is not None
