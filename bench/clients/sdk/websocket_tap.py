"""The tap of `client.responses.connect`: the SDK's WebSocket calls do not pass the HTTP transport.

The SDK hands `websocket_connection_options` to `websockets`, whose public `create_connection` takes a connection class
of ours. All else is the SDK's: URL, key, headers, proxy, reconnecting.
"""

from __future__ import annotations

import inspect
from functools import partial
from importlib.util import find_spec
from time import perf_counter_ns
from typing import Any

import httpx2
from openai import AsyncOpenAI
from openai.resources.responses.responses import (
    AsyncResponses,
    AsyncResponsesConnection,
    AsyncResponsesConnectionManager,
)

from bench.clients.sdk.tap import Ledger, current_trial, name_of
from bench.core.trial import WEBSOCKET, Attempt

MAX_QUEUE = 4096
"""Frames that may wait for a slow scenario before the socket is left unread; with the library's 16 stamps come late."""
CLOSE_S = 1.0
"""Longest wait for the server's farewell, where the library waits 10 s, beyond any deadline."""


class TapResponses(AsyncResponses):
    """`client.responses` with a `connect` that is measured."""

    def __init__(self, client: AsyncOpenAI, tap: Ledger, *, direct: bool) -> None:
        """`direct`: past any proxy."""
        super().__init__(client)
        self._tap, self._direct = tap, direct

    def connect(self, *args: Any, **kwargs: Any) -> AsyncResponsesConnectionManager:
        if find_spec("websockets") is None:
            return super().connect(*args, **kwargs)  # the SDK says what is missing
        asked = inspect.signature(super().connect).bind(*args, **kwargs)
        asked.apply_defaults()
        path = self._client.base_url.path.rstrip("/") + "/responses"
        return _Manager(_Line(self._tap, path), direct=self._direct, client=self._client, **asked.arguments)


class _Manager(AsyncResponsesConnectionManager):
    """The SDK's own; the clock of the first attempt starts when it is entered."""

    def __init__(self, line: _Line, *, direct: bool, websocket_connection_options: Any, **kwargs: Any) -> None:
        from bench.clients.sdk.websocket import TapConnection  # noqa: PLC0415  (needs the extra)

        options = {
            "max_queue": MAX_QUEUE,
            "close_timeout": CLOSE_S,
            **({"proxy": None} if direct else {}),
            **websocket_connection_options,
            "compression": None,  # what is kept are the bytes of the socket
            "extensions": None,
            "create_connection": partial(TapConnection, line=line),
        }
        super().__init__(websocket_connection_options=options, **kwargs)  # type: ignore[arg-type]
        self._line = line

    async def __aenter__(self) -> AsyncResponsesConnection:
        self._line.opening()
        try:
            return await super().__aenter__()
        except BaseException as error:
            self._line.failed(error)
            raise

    enter = __aenter__


class _Line:
    """The attempts of one `connect()`: of the connection it opens, and of those it opens anew."""

    def __init__(self, tap: Ledger, path: str) -> None:
        self._tap, self._path = tap, path
        self._attempt: Attempt | None = None

    def begin(self, retry: int = 0) -> Attempt:
        """A new attempt, recorded in the trial that runs."""
        headers = {"x-stainless-retry-count": str(retry)}
        self._attempt = self._tap.begin(httpx2.Request(WEBSOCKET, f"ws://host{self._path}", headers=headers))
        self._attempt.asked_stream = True
        return self._attempt

    def opening(self, retry: int = 0) -> Attempt:
        """A new attempt that begins with a connection."""
        attempt = self.begin(retry)
        attempt.t_connect = attempt.t_start
        return attempt

    def connected(self) -> Attempt:
        """The attempt of a connection that has just been made; after a redirect or a break, one more."""
        attempt = self._attempt
        if attempt is None or attempt.t_connected is not None or attempt.reused:
            attempt = self.opening(retry=1)
        attempt.t_connected = perf_counter_ns()
        return attempt

    def is_own(self, attempt: Attempt) -> bool:
        """Does the trial that runs hold this attempt? Not if another one, or `setup`, opened the connection."""
        trial = current_trial.get()
        return trial is None or attempt in trial.attempts

    def failed(self, error: BaseException) -> None:
        """No connection, or a handshake that was refused."""
        if self._attempt is not None and self._attempt.t_end is None:
            self._attempt.error, self._attempt.t_end = name_of(error), perf_counter_ns()
