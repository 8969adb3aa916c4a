"""The tap of `client.responses.connect`: the SDK's WebSocket calls do not pass the HTTP transport.

The SDK hands `websocket_connection_options` to `websockets`, whose public `create_connection` takes our connection
class. Everything else is the SDK's: URL, key, headers, proxy, reconnecting.
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

from bench.clients.sdk.attempt_log import AttemptLog, current_trial
from bench.clients.sdk.tap import error_text
from bench.core.trial import WEBSOCKET, Attempt

MAX_QUEUE = 4096
"""Frames that may wait for a slow scenario before the socket is left unread; with the library's 16 stamps come late."""
CLOSE_S = 1.0
"""Longest wait for the server's close frame. The library waits 10 s, longer than a deadline may be."""


class TapResponses(AsyncResponses):
    """`client.responses` with a `connect` that is measured."""

    def __init__(self, client: AsyncOpenAI, log: AttemptLog, *, direct: bool) -> None:
        """`direct`: use no proxy."""
        super().__init__(client)
        self._log, self._direct = log, direct

    def connect(self, *args: Any, **kwargs: Any) -> AsyncResponsesConnectionManager:
        if find_spec("websockets") is None:
            return super().connect(*args, **kwargs)  # the SDK says what is missing
        asked = inspect.signature(super().connect).bind(*args, **kwargs)
        asked.apply_defaults()
        path = self._client.base_url.path.rstrip("/") + "/responses"
        return _Manager(Session(self._log, path), direct=self._direct, client=self._client, **asked.arguments)


class _Manager(AsyncResponsesConnectionManager):
    """The SDK's manager. The first attempt starts when it is entered."""

    def __init__(self, session: Session, *, direct: bool, websocket_connection_options: Any, **kwargs: Any) -> None:
        from bench.clients.sdk.websocket import TapConnection  # noqa: PLC0415  (needs the optional extra websockets)

        options = {
            "max_queue": MAX_QUEUE,
            "close_timeout": CLOSE_S,
            **({"proxy": None} if direct else {}),
            **websocket_connection_options,
            "compression": None,  # what is kept are the bytes of the socket
            "extensions": None,
            "create_connection": partial(TapConnection, session=session),
        }
        super().__init__(websocket_connection_options=options, **kwargs)  # type: ignore[arg-type]
        self._session = session

    async def __aenter__(self) -> AsyncResponsesConnection:
        self._session.begin_connecting()
        try:
            return await super().__aenter__()
        except BaseException as error:
            self._session.record_failure(error)
            raise

    enter = __aenter__


class Session:
    """The attempts of one `connect()`: of its first connection, and of its reconnections."""

    def __init__(self, log: AttemptLog, path: str) -> None:
        self._log, self._path = log, path
        self._attempt: Attempt | None = None

    def begin(self, retry: int = 0) -> Attempt:
        """Begin an attempt, recorded in the trial that is running."""
        headers = {"x-stainless-retry-count": str(retry)}
        self._attempt = self._log.begin(httpx2.Request(WEBSOCKET, f"ws://host{self._path}", headers=headers))
        self._attempt.asked_stream = True
        return self._attempt

    def begin_connecting(self, retry: int = 0) -> Attempt:
        """Begin an attempt that opens a connection."""
        attempt = self.begin(retry)
        attempt.t_connect = attempt.t_start
        return attempt

    def record_connection(self) -> Attempt:
        """Return the attempt of a connection that was just made; after a redirect or a break, a new one."""
        attempt = self._attempt
        if attempt is None or attempt.t_connected is not None or attempt.reused:
            attempt = self.begin_connecting(retry=1)
        attempt.t_connected = perf_counter_ns()
        return attempt

    def is_own(self, attempt: Attempt) -> bool:
        """Return False if another trial, or `setup`, opened the connection of this attempt."""
        trial = current_trial.get()
        return trial is None or attempt in trial.attempts

    def record_failure(self, error: BaseException) -> None:
        """Record why there is no connection, or that the handshake was refused."""
        if self._attempt is not None and self._attempt.t_end is None:
            self._attempt.error, self._attempt.t_end = error_text(error), perf_counter_ns()
