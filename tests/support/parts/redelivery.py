"""A server that takes another one's answers and delivers them in a way of its own: a reverse proxy in a thread.

    with running() as simulator, redelivered(simulator.base_url, WAYS["fake"]) as base_url:
        call(base_url)

What comes from upstream is cut into whole frames; the way (`tests/support/parts/ways.py`) says what is written of them,
when, and in which pieces: each is one socket write and one HTTP chunk. Whatever is no event stream passes as it is.

The cap of a request (`max_output_tokens` and its like) becomes the simulator's `tokens`, so that every answer is as
long as it may be, as that of a model is that was asked to go on and on.
"""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing, contextmanager

import httpx2

from tests.support.parts.pieces import Cut
from tests.support.parts.ways import Way
from tests.support.scripted import LAST_CHUNK, Request, chunk, head, read_request

CAPS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
NOT_PASSED_ON = {"connection", "keep-alive", "transfer-encoding", "content-length", "host"}
JSON = {"content-type": "application/json"}
NOT_REPEATED = 600
"""The simulator's answers show metadata of up to 512 characters."""


@contextmanager
def redelivered(upstream: str, way: Way, *, hidden: bool = True) -> Iterator[str]:
    """Its base URL, in front of another. `hidden`: nothing but `/v1` passes, so that no client can tell it is `sim`."""
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()
    ports: list[int] = []

    async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await converse(reader, writer, upstream.removesuffix("/v1"), way, hidden)

    async def serve() -> None:
        listener = await asyncio.start_server(connection, "127.0.0.1", 0)
        ports.append(listener.sockets[0].getsockname()[1])
        ready.set()
        await stop.wait()
        await asyncio.sleep(0.01)  # a connection that is just being accepted would trip over a closed listener
        listener.close()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(serve())

    thread = threading.Thread(target=run, name="redelivered")
    thread.start()
    try:
        if not ready.wait(10):
            raise RuntimeError("the redelivering server did not start")
        yield f"http://127.0.0.1:{ports[0]}/v1"
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


async def converse(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, root: str, way: Way, hidden: bool
) -> None:
    """Answer the requests of one connection. When the client leaves, so does the one that asks for it upstream."""
    writer.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, int(way.nodelay))
    try:
        async with httpx2.AsyncClient(timeout=60, trust_env=False, verify=False) as client:
            while (request := await read_request(reader, 0)) is not None:
                await answer(request, writer, client, root, way, hidden)
                if not stays(request, way):
                    return
    except (ConnectionError, asyncio.IncompleteReadError, Cut, httpx2.TransportError):
        pass
    except asyncio.CancelledError:
        writer.transport.abort()
    finally:
        writer.close()


def stays(request: Request, way: Way) -> bool:
    """Whether the connection is kept for another request."""
    return way.keep_alive and request.version != "HTTP/1.0" and request.headers.get("connection", "") != "close"


async def answer(
    request: Request, writer: asyncio.StreamWriter, client: httpx2.AsyncClient, root: str, way: Way, hidden: bool
) -> None:
    """Get it from upstream and hand it on."""
    own = {} if stays(request, way) else {"connection": "close"}
    if refused := refusal(request, way, hidden):
        status, body, fields = refused
        await write(writer, status, body, {**fields, **own})
        return
    fields = {**passed_on(request.headers), "accept-encoding": "identity"}
    target = root + request.path + ("?" + request.query if request.query else "")
    async with client.stream(request.method, target, content=asked(request, way), headers=fields) as got:
        own = {**passed_on(got.headers), **own}
        if got.headers.get("content-type", "").startswith("text/event-stream"):
            await stream(got, writer, {**own, **way.headers}, way, chunked=request.version != "HTTP/1.0")
        else:
            await write(writer, got.status_code, await got.aread(), own)


def refusal(request: Request, way: Way, hidden: bool) -> tuple[int, bytes, Mapping[str, str]] | None:
    """Status, body and headers where upstream is not asked."""
    if hidden and not request.path.startswith("/v1/"):
        return 404, b'{"error": {"message": "There is nothing here."}}', JSON
    if way.refusal and request.method == "POST":
        status, fields = way.refusal
        return status, b'{"error": {"message": "Slow down.", "code": "rate_limit_exceeded"}}', {**JSON, **fields}
    return None


async def write(writer: asyncio.StreamWriter, status: int, body: bytes, headers: Mapping[str, str]) -> None:
    """A whole answer in one write."""
    writer.write(head(status, {**headers, "content-length": str(len(body))}) + body)
    await writer.drain()


def passed_on(headers: Mapping[str, str]) -> dict[str, str]:
    """Those that are not of one connection."""
    return {name: text for name, text in headers.items() if name not in NOT_PASSED_ON}


def asked(request: Request, way: Way) -> bytes:
    """The request's body, with what the simulator has to know in its control field."""
    if request.method != "POST" or not request.headers.get("content-type", "").startswith("application/json"):
        return request.body
    body, metadata = request.json, request.json.get("metadata") or {}
    cap = next(({"tokens": body[name]} for name in CAPS if body.get(name)), {})
    control = {**cap, **json.loads(metadata.get("bench", "{}")), **way.control()}
    width = 0 if "bench" in metadata else NOT_REPEATED  # whoever did not send it does not get it back
    body["metadata"] = {**metadata, "bench": json.dumps(control).ljust(width)}
    if not way.streams:
        body = {name: value for name, value in body.items() if not name.startswith("stream")}
    return json.dumps(body).encode()


async def stream(
    got: httpx2.Response, writer: asyncio.StreamWriter, fields: Mapping[str, str], way: Way, *, chunked: bool
) -> None:
    """Write the pieces that the way makes of a stream; to a client of HTTP/1.0 without chunks, as the protocol asks."""
    start = head(got.status_code, {**fields, **({"transfer-encoding": "chunked"} if chunked else {})})
    if not way.late:
        writer.write(start)
        start = b""
    async with aclosing(frames_of(got)) as frames, aclosing(way.pieces(frames)) as pieces:  # type: ignore[type-var]
        async for piece in pieces:
            writer.write(start + (chunk(piece) if chunked else piece))
            start = b""
            await writer.drain()
    writer.write(LAST_CHUNK if chunked else b"")
    await writer.drain()


async def frames_of(got: httpx2.Response) -> AsyncIterator[bytes]:
    """Its whole frames, however they were cut on the way; last what has no end."""
    held = b""
    async for data in got.aiter_raw():
        *whole, held = (held + data).split(b"\n\n")
        for frame in whole:
            yield frame + b"\n\n"
    if held:
        yield held
