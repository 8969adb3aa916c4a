"""A server of ready-made answers that is cheap enough to feed a load test, and honest about when it really sent.

    python -m tests.support.nullserver --events 100 --interval-ms 10 --ttft-ms 100:200 --truth FILE

It prints its base URL, and ends on SIGTERM or when its standard input does. One thread, epoll, no buffers of its own:
the stamp is taken right before `send`, so it is the true time in which the frame left. A request may ask for a timing
of its own, `metadata={"null": '{"events": 1000, "interval_ms": 0}'}`; the other fields of a request change nothing.

The truth, one JSON object a line for each answer (also `GET /truth`, `POST /reset`; not while it is sending, because
a server that writes is late): the id of the request, when it had been read, when its first delta left and was due, by
how much the latest of its writes was late through this server's own doing, and how often the client's socket was full.
"""

from __future__ import annotations

import argparse
import gc
import heapq
import os
import random
import resource
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any
from urllib.request import Request, urlopen

import orjson

from tests.support.nullanswers import MODEL, Timing, writes
from tests.support.paths import ROOT
from tests.support.scripted import head

FIELD = "null"
JSON = {"content-type": "application/json"}
SSE = {"content-type": "text/event-stream; charset=utf-8", "transfer-encoding": "chunked"}
MODELS = orjson.dumps({"object": "list", "data": [{"id": MODEL, "object": "model", "owned_by": "null", "created": 0}]})
_ID = b"x-client-request-id:"
_LENGTH = b"content-length:"


@dataclass(slots=True, eq=False)
class Sent:
    """The truth about one answer, in `perf_counter_ns`."""

    client_id: str
    stream: bool
    t_request: int
    """The request had been read."""
    t_due: int = 0
    """Its first delta (of a blocking answer: its body) was due."""
    t_first: int = 0
    """Right before that was sent; 0: it never was."""
    t_end: int = 0
    """All of it had been handed to the socket."""
    late_ns: int = 0
    """The most by which one of its writes was late while its socket was free."""
    full: int = 0
    """Times in which the socket was full: the client did not read fast enough."""
    t_sent: list[int] | None = None
    """Right before each write, only with `--all`."""


@dataclass(slots=True, eq=False)
class Stream:
    """An answer on its way."""

    connection: Connection
    parts: Sequence[bytes]
    interval: int
    sent: Sent
    at: int = 0
    """The next of the parts."""


@dataclass(slots=True, eq=False)
class Connection:
    """One client's socket, what has been read of its next request, and what it could not take yet."""

    socket: socket.socket
    buffer: bytes = b""
    rest: bytes = b""
    blocked: tuple[int, Stream] | None = None
    """What waits for the socket: when its next write is due, and the stream."""


class NullServer:
    """Listens on a free loopback port."""

    def __init__(self, timing: Timing, *, seed: int = 0, all_writes: bool = False) -> None:
        self.timing, self.all_writes = timing, all_writes
        self._rng = random.Random(seed)  # noqa: S311
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setblocking(False)
        self.truth: list[Sent] = []
        self._epoll = select.epoll()
        self._epoll.register(self.listener, select.EPOLLIN)
        self._connections: dict[int, Connection] = {}
        self._due: list[tuple[int, int, Stream]] = []
        self._number = 0
        self.over = False

    @property
    def base_url(self) -> str:
        """What an OpenAI client takes as its base URL."""
        return f"http://127.0.0.1:{self.listener.getsockname()[1]}/v1"

    def run(self) -> None:
        """Serve until `over`."""
        with suppress(OSError, ValueError):  # a file or /dev/null cannot be waited for: then only SIGTERM ends it
            self._epoll.register(sys.stdin.fileno(), select.EPOLLIN | select.EPOLLHUP)
        while not self.over:
            self._wait()
            for fd, mask in self._epoll.poll(0):
                self._ready(fd, mask)
            self._send_due()

    def _wait(self) -> None:
        """Until a socket is ready or something is due; `select` knows microseconds where `epoll` knows ms."""
        seconds = max(0.0, (self._due[0][0] - perf_counter_ns()) / 1e9) if self._due else None
        if seconds != 0:
            select.select([self._epoll], [], [], seconds)

    def _ready(self, fd: int, mask: int) -> None:
        if fd == self.listener.fileno():
            self._accept()
        elif (connection := self._connections.get(fd)) is None:
            self.over = True  # standard input
        elif mask & select.EPOLLOUT:
            self._unblock(connection)
        else:
            self._read(connection)

    def _accept(self) -> None:
        with suppress(BlockingIOError):
            while True:
                client, _ = self.listener.accept()
                client.setblocking(False)
                client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self._connections[client.fileno()] = Connection(client)
                self._epoll.register(client, select.EPOLLIN)

    def _read(self, connection: Connection) -> None:
        try:
            data = connection.socket.recv(65_536)
        except OSError:
            data = b""
        if not data:
            self._close(connection)
            return
        connection.buffer += data
        while (request := take_request(connection)) is not None:
            self._answer(connection, *request)

    def _close(self, connection: Connection) -> None:
        del self._connections[connection.socket.fileno()]
        connection.socket.close()  # its streams find out when they write

    def _answer(self, connection: Connection, start: bytes, head_: bytes, body: bytes) -> None:
        method, path, _ = start.split(b" ", 2)
        if path == b"/v1/responses" and method == b"POST":
            self._begin(connection, head_, body)
        elif path == b"/v1/models":
            self._say(connection, MODELS)
        elif path == b"/truth":
            self._say(connection, self.report())
        elif path == b"/reset":
            self.truth.clear()
            self._say(connection, b"{}")
        else:
            self._refuse(connection, 404, f"no route {path.decode('latin-1')}")

    def _refuse(self, connection: Connection, status: int, message: str) -> None:
        self._say(connection, orjson.dumps({"error": {"message": message, "type": "invalid_request_error"}}), status)

    def _say(self, connection: Connection, body: bytes, status: int = 200) -> None:
        """A short answer, at once."""
        now = perf_counter_ns()
        self._begin_parts(connection, [whole(body, status)], now, 0, Sent("", stream=False, t_request=now))

    def _begin(self, connection: Connection, head_: bytes, body: bytes) -> None:
        now = perf_counter_ns()
        try:
            asked = orjson.loads(body)
            timing = self._timing(asked)
        except (ValueError, TypeError, AttributeError) as error:
            self._refuse(connection, 400, str(error))
            return
        answer = writes(timing.events, flood=not timing.interval_ns)
        sent = Sent(header(head_, _ID), bool(asked.get("stream")), now, t_sent=[] if self.all_writes else None)
        self.truth.append(sent)
        first = now + timing.first_ns(self._rng)
        if sent.stream:
            self._send_now(connection, head(200, {**SSE, "x-request-id": f"null-{now:x}"}) + answer.begin)
            self._begin_parts(connection, [*answer.parts, answer.end], first, timing.interval_ns, sent)
        else:
            first += timing.interval_ns * (timing.events - 1)
            self._begin_parts(connection, [whole(answer.blocking)], first, 0, sent)

    def _timing(self, asked: dict[str, Any]) -> Timing:
        own = (asked.get("metadata") or {}).get(FIELD)
        return Timing(**{**vars(self.timing), **orjson.loads(own)}) if own else self.timing

    def _send_now(self, connection: Connection, data: bytes) -> None:
        """The head: a fresh answer's socket has room for it."""
        with suppress(OSError):
            connection.socket.sendall(data)

    def _begin_parts(self, connection: Connection, parts: Sequence[bytes], due: int, interval: int, sent: Sent) -> None:
        sent.t_due = due
        self._push(due, Stream(connection, parts, interval, sent))

    def _push(self, due: int, stream: Stream) -> None:
        self._number += 1
        heapq.heappush(self._due, (due, self._number, stream))

    def _send_due(self) -> None:
        """What is due now; what becomes due meanwhile waits until the sockets have been looked at."""
        due_now, until = self._due, perf_counter_ns()
        while due_now and due_now[0][0] <= until:
            due, number, stream = due_now[0]
            following = self._send(stream, due)
            if following is None:
                heapq.heappop(due_now)
            else:
                heapq.heapreplace(due_now, (following, number, stream))

    def _send(self, stream: Stream, due: int) -> int | None:
        """Send the next part. When is the one after it due? None: it was the last, or has to wait for the socket."""
        sent, part = stream.sent, stream.parts[stream.at]
        now = perf_counter_ns()
        try:
            taken = stream.connection.socket.send(part)
        except BlockingIOError:
            taken = 0
        except OSError:
            return None  # the client left
        if stream.at == 0:
            sent.t_first = now
        sent.late_ns = max(sent.late_ns, now - due)
        if sent.t_sent is not None:
            sent.t_sent.append(now)
        stream.at += 1
        last = stream.at == len(stream.parts)
        following = due if stream.at + 1 == len(stream.parts) else due + (stream.interval or 1)
        if taken < len(part):
            self._block(stream, part[taken:], following)
            return None
        if last:
            sent.t_end = now
            return None
        return following

    def _block(self, stream: Stream, rest: bytes, following: int) -> None:
        connection = stream.connection
        connection.rest, connection.blocked = rest, (following, stream)
        stream.sent.full += 1
        self._epoll.modify(connection.socket, select.EPOLLIN | select.EPOLLOUT)

    def _unblock(self, connection: Connection) -> None:
        """The socket has room again: what it could not take, then on as planned (late by the client's doing)."""
        try:
            taken = connection.socket.send(connection.rest)
        except BlockingIOError:
            return
        except OSError:
            self._close(connection)
            return
        connection.rest = connection.rest[taken:]
        if connection.rest or connection.blocked is None:
            return
        (following, stream), connection.blocked = connection.blocked, None
        self._epoll.modify(connection.socket, select.EPOLLIN)
        if stream.at < len(stream.parts):
            self._push(max(following, perf_counter_ns()), stream)
        else:
            stream.sent.t_end = perf_counter_ns()

    def report(self) -> bytes:
        """All that was sent, and what this process spent on it."""
        return orjson.dumps({"cpu_ns": time.process_time_ns(), "sent": list(map(as_dict, self.truth))})


def as_dict(sent: Sent) -> dict[str, Any]:
    """One line of the truth."""
    return {name: getattr(sent, name) for name in Sent.__slots__}


def take_request(connection: Connection) -> tuple[bytes, bytes, bytes] | None:
    """Start line, the rest of the head, body of the next request, once it is all there."""
    head_, found, rest = connection.buffer.partition(b"\r\n\r\n")
    if not found:
        return None
    start, _, lines = head_.partition(b"\r\n")
    length = int(header(lines, _LENGTH) or 0)
    if len(rest) < length:
        return None
    connection.buffer = rest[length:]
    return start, lines, rest[:length]


def header(lines: bytes, name: bytes) -> str:
    """The value of a header whose name, in lower case, ends in a colon; empty when it is missing."""
    place = (b"\r\n" + lines.lower()).find(b"\r\n" + name)
    if place < 0:
        return ""
    return lines[place + len(name) :].partition(b"\r\n")[0].decode("latin-1").strip()


def whole(body: bytes, status: int = 200) -> bytes:
    """An answer with its length in front."""
    return head(status, {**JSON, "content-length": str(len(body))}) + body


@dataclass(frozen=True)
class Null:
    """A null server that runs."""

    base_url: str
    pid: int

    def truth(self) -> dict[str, Any]:
        """`cpu_ns` of the server so far, and in `sent` what it sent since the last reset. Only while it is idle."""
        return dict(orjson.loads(self._ask("GET", "/truth")))

    def reset(self) -> None:
        """Forget what was sent."""
        self._ask("POST", "/reset")

    def _ask(self, method: str, path: str) -> bytes:
        url = self.base_url.removesuffix("/v1") + path
        with urlopen(Request(url, method=method), timeout=30) as answer:  # noqa: S310
            return bytes(answer.read())


@contextmanager
def running(*options: str) -> Iterator[Null]:
    """A null server in a process of its own, with these command line options."""
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.nullserver", *options],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        text=True,
        start_new_session=True,
    )
    with child:
        assert child.stdout is not None
        try:
            base_url = child.stdout.readline().strip()
            if not base_url:
                raise RuntimeError("the null server did not start")
            yield Null(base_url, child.pid)
        finally:
            child.terminate()


def precise_timers() -> None:
    """Linux wakes a sleeper up to 50 µs late to save power; 20 µs cost little more and keep writes apart."""
    with suppress(OSError, AttributeError):
        import ctypes

        ctypes.CDLL(None).prctl(29, 20_000, 0, 0, 0)


def span(text: str) -> tuple[float, float]:
    """`100` or `100:200`."""
    low, _, high = text.partition(":")
    return float(low), float(high or low)


def main() -> None:
    """Serve as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--events", type=int, default=Timing.events)
    parser.add_argument("--interval-ms", type=float, default=Timing.interval_ms)
    parser.add_argument("--ttft-ms", type=span, default=Timing.ttft_ms, metavar="MS:MS")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--truth", type=Path, help="file that the truth is written to at the end")
    parser.add_argument("--all", action="store_true", help="keep the time of every write")
    options = parser.parse_args()
    timing = Timing(options.events, options.interval_ms, options.ttft_ms)
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    server = NullServer(timing, seed=options.seed, all_writes=options.all)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit())
    precise_timers()
    writes(timing.events, flood=not timing.interval_ns)
    gc.collect()
    gc.freeze()
    gc.disable()
    print(server.base_url, flush=True)
    try:
        server.run()
    finally:
        if options.truth:
            options.truth.write_bytes(b"".join(orjson.dumps(as_dict(sent)) + b"\n" for sent in server.truth))


if __name__ == "__main__":
    main()
