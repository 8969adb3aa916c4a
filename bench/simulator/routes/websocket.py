"""The Responses API over WebSocket: each `response.create` is answered as the same POST with `stream: true` would be.

The answer is made and sent by what serves HTTP: same events, same times, same faults, same log. Here its server-sent
events become messages.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from importlib.util import find_spec
from typing import Any, Literal

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope
from starlette.websockets import WebSocket, WebSocketDisconnect

from bench.clients.decode.sse import SseParser
from bench.simulator.errors import ApiError, error_body, not_supported

Handler = Callable[[Request], Awaitable[ASGIApp]]
_BARE_ERROR = b'{"error":'
_LAST = re.compile(rb'^\{"type":"(?:response\.(?:completed|failed|incomplete)|error)"')
"""How the data of an event begins that ends an answer."""
_CLIENT_ID = b"x-client-request-id"
_INSTALL = "pip install 'streambench[realtime]'"


def websocket_support() -> Literal["websockets-sansio", "none"]:
    """Return how uvicorn shall serve WebSockets: not at all without the package `websockets`."""
    return "websockets-sansio" if find_spec("websockets") else "none"


async def upgrade_required(_request: Request) -> Response:
    """Answer a GET that was no WebSocket handshake, or any GET where WebSockets cannot be served."""
    how = "connect with a WebSocket" if find_spec("websockets") else f"WebSockets need the extra: {_INSTALL}"
    body = error_body(426, f"GET /v1/responses is the Responses API over WebSocket: {how}.", code="upgrade_required")
    return Response(orjson.dumps(body), 426, {"upgrade": "websocket"}, media_type="application/json")


def over_websocket(handler: Handler) -> Callable[[WebSocket], Awaitable[None]]:
    """Return the endpoint of a WebSocket route; `handler` is that of the POST."""

    async def endpoint(socket: WebSocket) -> None:
        await _Session(socket, handler).run()

    return endpoint


class _Session:
    """One connection: requests are answered one after the other until the client leaves."""

    def __init__(self, socket: WebSocket, handler: Handler) -> None:
        self._socket, self._handler = socket, handler
        self._inbox: asyncio.Queue[str | bytes | None] = asyncio.Queue()
        self._gone = asyncio.Event()
        self._number = 0

    async def run(self) -> None:
        await self._socket.accept(headers=[(b"x-request-id", self._socket.state.request_id.encode())])
        listening = asyncio.create_task(self._listen())
        try:
            while (text := await self._inbox.get()) is not None and await self._answer(text):
                self._number += 1
        except WebSocketDisconnect:
            pass  # what had been sent until then is logged
        finally:
            listening.cancel()

    async def _listen(self) -> None:
        while (message := await self._socket.receive())["type"] == "websocket.receive":
            self._inbox.put_nowait(message["bytes"] if message.get("text") is None else message["text"])
        self._gone.set()
        self._inbox.put_nowait(None)

    async def _answer(self, text: str | bytes) -> bool:
        """Answer one message. Return False if the connection ends without a farewell: the answer was cut."""
        outlet = _Outlet(self._socket)
        try:
            scope, receive = self._as_post(), _inlet(post_body(text), self._gone)
            response = await self._handler(Request(scope, receive))
            await response(scope, receive, outlet)
        except ApiError as error:
            await outlet.error(error.status, error.body)
        if outlet.whole and not outlet.ended and not self._gone.is_set():
            await self._socket.close()  # a stream that ends without having said so
        return outlet.ended

    def _as_post(self) -> Scope:
        """Return the scope of an HTTP request. The first has the handshake's client id; later ones add a number."""
        suffix = b".%d" % self._number if self._number else b""
        headers = [
            (name, value + suffix if name == _CLIENT_ID else value) for name, value in self._socket.scope["headers"]
        ]
        return {**self._socket.scope, "type": "http", "method": "POST", "headers": headers}


def post_body(text: str | bytes) -> bytes:
    """Return a client's event as the body of the POST that means the same. Raise `ApiError` where there is none."""
    try:
        event = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise ApiError(400, f"The message is not valid JSON: {error}.", code="invalid_json") from error
    kind = event.pop("type", None) if isinstance(event, dict) else None
    if kind != "response.create":
        raise ApiError(400, f"Events of type {kind!r} are not known here; send response.create.", param="type")
    for name in ("background", "stream_id", "generate"):
        if event.pop(name, None) not in (None, name == "generate"):
            raise not_supported(f"`{name}` over WebSocket", name)
    return orjson.dumps({**event, "stream": True})


def _inlet(body: bytes, gone: asyncio.Event) -> Receive:
    """Return the ASGI `receive` of a body, and after it the news that the client has left."""
    parts = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Message:
        if parts:
            return parts.pop()
        await gone.wait()
        return {"type": "http.disconnect"}

    return receive


class _Outlet:
    """Takes an HTTP response as ASGI has it, and sends each of its server-sent events as a message."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket, self._sse, self._status, self._refusal = socket, SseParser(), 200, b""
        self.whole = False
        """The response was sent to its end."""
        self.ended = False
        """The last event was one that ends an answer."""

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
            return
        self.whole = not message.get("more_body", False)
        if self._status < 400:
            for data in self._sse.feed(message["body"]):
                await self._event(data)
            return
        self._refusal += message["body"]
        if self.whole:
            await self.error(self._status, orjson.loads(self._refusal))

    async def _event(self, data: bytes) -> None:
        if data.startswith(_BARE_ERROR):  # over WebSocket it has a type
            data = b'{"type":"error",' + data[1:]
        self.ended = _LAST.search(data) is not None
        await self._socket.send_text(data.decode())

    async def error(self, status: int, body: dict[str, Any]) -> None:
        """Send a refusal, in the shape that it has over WebSocket."""
        self.whole = self.ended = True
        await self._socket.send_text(orjson.dumps({"type": "error", "status": status, **body}).decode())
