"""A scripted HTTP/1.1 server for tests: a real server that writes exactly the bytes it is told, when it is told.

    with scripted(sse({"type": "response.created"}, 0.05, [event, event], RST)) as server:
        call(server.base_url)
    assert server.requests[0].json["stream"] is True

A script is a list of steps, done one after the other once the request has been read:

    bytes   one write to the socket, its time recorded in `Server.writes`
    float   seconds to wait
    CLOSE   an orderly end of the connection (FIN)
    RST     a reset of the connection; wait before it if the bytes before it shall arrive

After the last step the connection is kept alive for the next request.
"""

from __future__ import annotations

import asyncio
import json
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import Enum
from http import HTTPStatus
from time import perf_counter_ns
from typing import Any


class End(Enum):
    """Steps that end a connection."""

    CLOSE = "close"
    RST = "reset"


CLOSE = End.CLOSE
RST = End.RST

Step = bytes | float | End
Script = Sequence[Step]


@dataclass(frozen=True)
class Request:
    """One request as it came."""

    method: str
    path: str
    """Without the query."""
    query: str
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    t_received: int
    """`perf_counter_ns` when its last byte had been read."""
    connection: int
    """Number of the connection it came on, from 0."""
    version: str = "HTTP/1.1"
    """What the client speaks."""

    @property
    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


@dataclass(frozen=True)
class Write:
    """One write to a socket."""

    request: int
    """Place of the request it answers in `Server.requests`."""
    t: int
    """`perf_counter_ns` just before the write."""
    data: bytes


Answer = Script | Callable[[Request], Script]
"""What a request gets: a script, or a function that makes one from the request."""


@dataclass
class Server:
    """A running scripted server and all that happened on it."""

    answers: Sequence[Answer]
    routes: Mapping[str, Answer]
    tls: ssl.SSLContext | None = None
    port: int = 0
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    writes: list[Write] = field(default_factory=list)
    _answered: int = 0

    @property
    def url(self) -> str:
        """Scheme, host and port."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"{self.url}/v1"

    def script_for(self, request: Request) -> Script:
        """The route's script, else the next of the answers (the last one for ever), else a 404."""
        answer = self.routes.get(request.path)
        if answer is None and self.answers:
            answer = self.answers[min(self._answered, len(self.answers) - 1)]
            self._answered += 1
        if answer is None:
            return json_response({"error": {"message": f"no route {request.path}"}}, status=404)
        return answer(request) if callable(answer) else answer

    async def serve(self, ready: threading.Event, stop: asyncio.Event) -> None:
        """Listen on an ephemeral loopback port until told to stop."""
        listener = await asyncio.start_server(self._connection, "127.0.0.1", 0, ssl=self.tls)
        self.port = listener.sockets[0].getsockname()[1]
        ready.set()
        await stop.wait()
        await asyncio.sleep(0.01)  # a connection that is just being accepted would trip over a closed listener
        listener.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        number, self.connections = self.connections, self.connections + 1
        try:
            while (request := await read_request(reader, number)) is not None:
                index = len(self.requests)
                self.requests.append(request)
                if not await self._play(self.script_for(request), index, writer):
                    return
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the client left: what it did until then is recorded
        except asyncio.CancelledError:
            writer.transport.abort()
        finally:
            await self._farewell(writer)

    async def _farewell(self, writer: asyncio.StreamWriter) -> None:
        """Close once all is sent. Under TLS a close waits for the client's, which may never come."""
        if self.tls is not None:
            await asyncio.sleep(0.01)
            writer.transport.abort()
        writer.close()

    async def _play(self, script: Script, request: int, writer: asyncio.StreamWriter) -> bool:
        """Do the steps; return whether the connection is still good for another request."""
        for step in script:
            if isinstance(step, bytes):
                self.writes.append(Write(request, perf_counter_ns(), step))
                writer.write(step)
                await writer.drain()
            elif isinstance(step, End):
                if step is RST:
                    reset(writer)
                return False
            else:
                await asyncio.sleep(step)
        return True


@contextmanager
def scripted(
    *answers: Answer, routes: Mapping[str, Answer] | None = None, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server in a thread. Requests on a path of `routes` get that answer, the others the next of `answers`."""
    server = Server(answers, routes or {}, tls)
    loop, stop, ready = asyncio.new_event_loop(), asyncio.Event(), threading.Event()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(server.serve(ready, stop))

    thread = threading.Thread(target=run, name="scripted")
    thread.start()
    try:
        if not ready.wait(10):
            raise RuntimeError("the scripted server did not start")
        yield server
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()


def sse(
    *events: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | Step,
    status: int = 200,
    headers: Mapping[str, str] | None = None,
    chunked: bool = True,
) -> Script:
    r"""A script that answers with server-sent events.

    A mapping is one event in one write (one HTTP chunk), a list of mappings several in one write, text and bytes are
    written as they are (`"data: [DONE]\n\n"`, half an event); floats wait; CLOSE and RST cut the body there.
    With `chunked=False` the body ends with the connection.
    """
    fields = {"content-type": "text/event-stream; charset=utf-8", **(headers or {})}
    steps: list[Step] = [head(status, {**fields, **({"transfer-encoding": "chunked"} if chunked else {})})]
    for event in events:
        if isinstance(event, End):
            return [*steps, event]
        if isinstance(event, float | int):
            steps.append(float(event))
        else:
            steps.append(chunk(frame(event)) if chunked else frame(event))
    return [*steps, LAST_CHUNK if chunked else CLOSE]


def json_response(value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """A script that answers with a JSON body in one write."""
    return response(json.dumps(value).encode(), status, {"content-type": "application/json", **(headers or {})})


def response(body: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Script:
    """A script that answers with any body in one write, its length in front."""
    return [head(status, {"content-length": str(len(body)), **(headers or {})}) + body]


def head(status: int, headers: Mapping[str, str]) -> bytes:
    """Status line and headers."""
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", *(f"{name}: {text}" for name, text in headers.items())]
    return "\r\n".join([*lines, "", ""]).encode("latin-1")


def frame(event: Mapping[str, Any] | Sequence[Mapping[str, Any]] | str | bytes) -> bytes:
    """One or several events as they stand in a stream. An event's `type`, where it has one, becomes its event line."""
    if isinstance(event, bytes):
        return event
    if isinstance(event, str):
        return event.encode()
    if isinstance(event, Mapping):
        line = f"event: {event['type']}\n" if "type" in event else ""
        return f"{line}data: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
    return b"".join(map(frame, event))


LAST_CHUNK = b"0\r\n\r\n"


def chunk(data: bytes) -> bytes:
    """One chunk of a chunked body."""
    return b"%x\r\n%b\r\n" % (len(data), data)


async def read_request(reader: asyncio.StreamReader, connection: int) -> Request | None:
    """The next request of a connection, its body by `content-length`; None when the client has closed."""
    try:
        raw = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    start, *lines = raw.decode("latin-1").rstrip("\r\n").split("\r\n")
    method, target, version = start.split(" ")
    headers = {name.lower(): text.strip() for name, _, text in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    path, _, query = target.partition("?")
    return Request(method, path, query, headers, body, perf_counter_ns(), connection, version)


def reset(writer: asyncio.StreamWriter) -> None:
    """Close with a reset instead of a FIN."""
    linger = struct.pack("ii", 1, 0)
    writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
    writer.transport.abort()
