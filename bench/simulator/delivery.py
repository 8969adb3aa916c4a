"""Getting an answer onto the socket at its time: ASGI responses that stamp each frame and stop when the client goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.types import Receive, Scope, Send

from bench.simulator.timing.pacing import sleep_until
from bench.simulator.truth import SentResponse, TruthLog

Frame = tuple[int, str, bytes]
"""Nanoseconds after the request was received, event type, bytes."""
_SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
]
_FRAMES_IN_A_ROW = 32
"""After this many frames without a wait other connections, and news of this one's end, get their turn."""


@dataclass(frozen=True, kw_only=True)
class ResponseHead:
    """Status and headers of a response."""

    status: int = 200
    headers: Sequence[tuple[bytes, bytes]] = ()
    due: int = 0
    """When the headers of a stream leave: ns after the request was received."""

    def start(self, own: Sequence[tuple[bytes, bytes]]) -> dict[str, Any]:
        """Build the ASGI message; `headers` stand in place of those of `own` that have the same name."""
        names = {name for name, _ in self.headers}
        headers = [*(pair for pair in own if pair[0] not in names), *self.headers]
        return {"type": "http.response.start", "status": self.status, "headers": headers}


class EventStream:
    """An SSE answer: headers at once, then each frame at its time with one socket write of its own.

    `cut`: after the last frame the connection is closed, without the end that HTTP asks for.
    """

    def __init__(
        self,
        frames: Iterable[Frame],
        sent: SentResponse,
        log: TruthLog,
        *,
        head: ResponseHead = ResponseHead(),
        cut: bool = False,
    ) -> None:
        self._frames, self._sent, self._log, self._head, self._cut = frames, sent, log, head, cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _delivering(scope, receive, self._sent, self._log):
            await sleep_until(self._sent.t_received + self._head.due)
            await send(self._head.start(_SSE_HEADERS))
            for number, (due, type_, frame) in enumerate(self._frames):
                if not await sleep_until(self._sent.t_received + due, self._sent.stop):
                    break
                if number % _FRAMES_IN_A_ROW == 0:
                    await asyncio.sleep(0)
                # an empty body waits until a slow client has made room, so that the stamp is not older than the write
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                self._sent.stamp(type_, frame)
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            if not self._cut:  # uvicorn closes the connection of a response that was left without its end
                await send({"type": "http.response.body", "body": b"", "more_body": False})


class WholeBody:
    """A blocking answer: `render()` is called and sent when `due` ns have passed since the request was received.

    `cut`: half of the body is sent, then the connection is closed.
    """

    def __init__(
        self,
        due: int,
        render: Callable[[], bytes],
        sent: SentResponse,
        log: TruthLog,
        *,
        head: ResponseHead = ResponseHead(),
        cut: bool = False,
    ) -> None:
        self._due, self._render, self._sent, self._log, self._head, self._cut = due, render, sent, log, head, cut

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with _delivering(scope, receive, self._sent, self._log):
            await sleep_until(self._sent.t_received + self._due)
            body = self._render()
            length = b"%d" % len(body)
            await send(self._head.start([(b"content-type", b"application/json"), (b"content-length", length)]))
            sent = body[: len(body) // 2] if self._cut else body
            self._sent.stamp("body", sent)
            await send({"type": "http.response.body", "body": sent, "more_body": self._cut})


class NoAnswer:
    """Nothing, not even headers, until the client goes."""

    def __init__(self, sent: SentResponse, log: TruthLog) -> None:
        self._sent, self._log = sent, log

    async def __call__(self, scope: Scope, receive: Receive, _send: Send) -> None:
        async with _delivering(scope, receive, self._sent, self._log):
            await asyncio.Event().wait()


@asynccontextmanager
async def _delivering(scope: Scope, receive: Receive, sent: SentResponse, log: TruthLog) -> AsyncIterator[None]:
    """Break the body off as soon as the client is gone, and log what was sent, however it ends."""
    log.begin(sent, scope)
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as deadline:
            watch = asyncio.create_task(_expire_when_gone(receive, deadline, sent))
            try:
                yield
            finally:
                watch.cancel()
                log.write(sent)


async def _expire_when_gone(receive: Receive, deadline: asyncio.Timeout, sent: SentResponse) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    sent.gone = time.perf_counter_ns()
    deadline.reschedule(asyncio.get_running_loop().time())
