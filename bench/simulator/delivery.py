"""Getting an answer onto the socket at its time: ASGI responses that stamp each frame and stop when the client goes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress

from starlette.types import Receive, Scope, Send

from bench.simulator.pacing import sleep_until
from bench.simulator.truth import Sent, TruthLog

Frame = tuple[int, str, bytes]
"""Nanoseconds after the request was received, event type, bytes."""

_SSE_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
]
_FRAMES_IN_A_ROW = 32
"""After this many frames without a wait other connections, and news of this one's end, get their turn."""


class EventStream:
    """An SSE answer: headers at once, then each frame at its time with one socket write of its own."""

    def __init__(self, frames: Iterator[Frame], sent: Sent, log: TruthLog) -> None:
        self._frames, self._sent, self._log = frames, sent, log

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with _delivering(receive, self._sent, self._log):
            await send({"type": "http.response.start", "status": 200, "headers": _SSE_HEADERS})
            for number, (due, type_, frame) in enumerate(self._frames):
                await sleep_until(self._sent.t_received + due)
                if number % _FRAMES_IN_A_ROW == 0:
                    await asyncio.sleep(0)
                # an empty body waits until a slow client has made room, so that the stamp is not older than the write
                await send({"type": "http.response.body", "body": b"", "more_body": True})
                self._sent.stamp(type_, frame)
                await send({"type": "http.response.body", "body": frame, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})


class WholeBody:
    """A blocking answer: `render()` is called and sent when `due` ns have passed since the request was received."""

    def __init__(self, due: int, render: Callable[[], bytes], sent: Sent, log: TruthLog) -> None:
        self._due, self._render, self._sent, self._log = due, render, sent, log

    async def __call__(self, _scope: Scope, receive: Receive, send: Send) -> None:
        async with _delivering(receive, self._sent, self._log):
            await sleep_until(self._sent.t_received + self._due)
            body = self._render()
            headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            self._sent.stamp("body", body)
            await send({"type": "http.response.body", "body": body, "more_body": False})


@asynccontextmanager
async def _delivering(receive: Receive, sent: Sent, log: TruthLog) -> AsyncIterator[None]:
    """Break the body off as soon as the client is gone, and log what was sent, however it ends."""
    with suppress(TimeoutError):
        async with asyncio.timeout(None) as deadline:
            watch = asyncio.create_task(_expire_when_gone(receive, deadline))
            try:
                yield
            finally:
                watch.cancel()
                log.write(sent)


async def _expire_when_gone(receive: Receive, deadline: asyncio.Timeout) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
    deadline.reschedule(asyncio.get_running_loop().time())
