"""One exchange of the wire client: where an answer ends, what is stamped, and how each failure is told."""

from __future__ import annotations

import asyncio
import gc
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Coroutine
from contextlib import aclosing, closing, suppress
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import pytest
import trustme

from bench.clients.http.connect import connect
from bench.clients.http.connection import CUT, NO_ANSWER, UPGRADED, Connection
from bench.clients.http.pool import Pool, Server
from bench.clients.load_generator.shooter import loop_factory
from bench.core.trial import Attempt
from tests.support.scripted import CLOSE, LAST_CHUNK, RST, Script, chunk, head, response, scripted
from tests.support.scripted import Server as Scripted

REQUEST = b"POST /v1/responses HTTP/1.1\r\nhost: test\r\ncontent-length: 2\r\n\r\n{}"
CHUNKED = head(200, {"transfer-encoding": "chunked", "x-a": "1", "X-A": "2"}) + chunk(b"ab") + chunk(b"c") + LAST_CHUNK
LENGTH = head(200, {"content-length": "3"}) + b"abc"
INTERIM = b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"


def new_attempt() -> Attempt:
    """An attempt that nothing is known of."""
    return Attempt(0, 0, "id", "POST", "/v1/responses", 0, asked_stream=True, t_start=0)


def run(work: Callable[[], Coroutine[Any, Any, Any]], factory: Any = None) -> Any:
    """Run it on an event loop."""
    with asyncio.Runner(loop_factory=factory) as runner:
        return runner.run(work())


def pool_of(port: int, *, host: str = "127.0.0.1", tls: bool = False) -> aclosing[Pool]:
    """Connections to a server on loopback."""
    return aclosing(Pool(Server(host, port, tls=tls)))


async def only(port: int, request: bytes = REQUEST, **where: Any) -> Attempt:
    """One exchange with a pool of its own."""
    async with pool_of(port, **where) as pool:
        return await exchanged(pool, request)


async def exchanged(
    pool: Pool, request: bytes = REQUEST, *, cold: bool = False, deadline_s: float | None = None, cancel: bool = False
) -> Attempt:
    """One exchange, to its end. `cancel`: the client leaves after the first read."""
    attempt, over = new_attempt(), asyncio.Event()
    ends: list[int] = []

    def read() -> None:
        if cancel:
            handle.cancel()

    def end() -> None:
        ends.append(1)
        over.set()

    deadline = None if deadline_s is None else perf_counter_ns() + int(deadline_s * 1e9)
    handle = pool.exchange(request, attempt, deadline_ns=deadline, cold=cold, on_read=read, on_end=end)
    await asyncio.wait_for(over.wait(), 10)
    await asyncio.sleep(0.01)
    assert len(ends) == 1
    assert attempt.t_end is not None
    return attempt


def answered(*scripts: Script, number: int = 1, loop: Any = None, **options: Any) -> tuple[list[Attempt], Scripted]:
    """So many exchanges after one another with a server of these scripts."""
    with scripted(*scripts) as server:

        async def work() -> list[Attempt]:
            async with pool_of(server.port) as pool:
                return [await exchanged(pool, **options) for _ in range(number)]

        return run(work, loop), server


def text(attempt: Attempt) -> bytes:
    """All that was read."""
    return b"".join(data for _, data in attempt.reads)


@pytest.mark.parametrize("answer", [CHUNKED, LENGTH, INTERIM + CHUNKED], ids=["chunked", "length", "interim"])
def test_cut_anywhere(answer: bytes) -> None:
    """Wherever the network cuts an answer in two, its end is found at its last byte and not before."""

    async def work() -> None:
        ours, other = socket.socketpair()
        loop = asyncio.get_running_loop()
        connection = Connection(memoryview(bytearray(1000)), lambda _: None)
        await loop.create_connection(lambda: connection, sock=ours)
        for cut in range(1, len(answer)):
            attempt, ended, read, over = new_attempt(), list[str | None](), asyncio.Event(), asyncio.Event()

            def end(error: str | None, ended: list[str | None] = ended, over: asyncio.Event = over) -> None:
                ended.append(error)
                over.set()

            connection.serve(REQUEST, attempt, read.set, 0, end)
            other.send(answer[:cut])
            await asyncio.wait_for(read.wait(), 5)
            assert not ended
            other.send(answer[cut:])
            await asyncio.wait_for(over.wait(), 5)
            assert (ended, attempt.status, text(attempt)) == ([None], 200, answer)
            assert (attempt.t_end, len(attempt.reads)) == (attempt.reads[-1][0], 2)
            other.recv(1000)
            assert connection.reusable
        connection.stop()
        other.close()

    run(work)


@pytest.mark.parametrize("loop", [None, loop_factory()], ids=["asyncio", "uvloop"])
def test_stamps_and_headers(loop: Any) -> None:
    """The order of the stamps is the order of what happened; reads are stamped after the server wrote them."""
    (attempt, again), server = answered([CHUNKED[:-5], 0.02, LAST_CHUNK], number=2, loop=loop)
    stamps = [attempt.t_start, attempt.t_connect, attempt.t_connected, attempt.t_sent, attempt.t_headers, attempt.t_end]
    assert stamps == sorted(stamp or 0 for stamp in stamps)
    assert (attempt.error, attempt.http_version, attempt.headers["x-a"]) == (None, "HTTP/1.1", "1, 2")
    assert (attempt.reused, again.reused, again.connection, again.t_connect) == (False, True, attempt.connection, None)
    assert [t > write.t for (t, _), write in zip(attempt.reads, server.writes, strict=False)] == [True, True]
    assert server.connections == 1


def test_cold() -> None:
    """A cold exchange opens a connection, and leaves none behind."""
    attempts, server = answered([CHUNKED], number=2, cold=True)
    assert ([attempt.reused for attempt in attempts], server.connections) == ([False, False], 2)


def test_ends_with_the_connection() -> None:
    """A body without a length is whole when the server closes."""
    (attempt, again), _ = answered([head(200, {}), b"abc", CLOSE], number=2)
    assert (attempt.error, text(attempt)[-3:], again.reused) == (None, b"abc", False)


@pytest.mark.parametrize(
    ("script", "status", "error"),
    [
        ([CLOSE], None, NO_ANSWER),
        ([INTERIM, CLOSE], None, CUT),
        ([CHUNKED[:-5], CLOSE], 200, CUT),
        ([LENGTH[:-1], CLOSE], 200, CUT),
        ([CHUNKED[:-5], 0.05, RST], 200, "ReadError: "),
        ([b"SSH-2.0-OpenSSH\r\n"], None, "RemoteProtocolError: "),
        ([head(200, {"transfer-encoding": "chunked"}) + b"zz\r\n"], 200, "RemoteProtocolError: "),
        ([head(101, {"upgrade": "x", "connection": "upgrade"}) + b"abc"], 101, UPGRADED),
    ],
)
def test_failures(script: Script, status: int | None, error: str) -> None:
    """What a server does wrong is said, under the names of httpx2's errors; its bytes are kept."""
    (attempt,), _ = answered(script)
    assert (attempt.status, attempt.closed_early) == (status, False)
    assert str(attempt.error).startswith(error)


@pytest.mark.parametrize(("script", "status"), [([5.0], None), ([CHUNKED[:-5], 5.0], 200)])
def test_deadline(script: Script, status: int | None) -> None:
    """One deadline for all of it, whatever is waited for."""
    (attempt,), _ = answered(script, deadline_s=0.1)
    assert (attempt.status, attempt.error) == (status, "ReadTimeout: not done after 0.1 s (--deadline)")
    assert 0.09e9 < (attempt.t_end or 0) - attempt.t_start < 2e9


def test_cancel() -> None:
    """A client that leaves closed the body early, which is no error of the server's."""
    (attempt,), _ = answered([CHUNKED[:-5], 5.0], cancel=True)
    assert (attempt.error, attempt.closed_early, len(attempt.reads)) == (None, True, 1)


@pytest.mark.parametrize("extra", [b"HTTP/1.1 200 OK\r\n\r\n", b"garbage"])
def test_more_than_was_asked_for(extra: bytes) -> None:
    """Bytes behind an answer end the use of the connection, not the answer."""
    attempts, server = answered([LENGTH + extra], number=2)
    assert [(attempt.error, attempt.status) for attempt in attempts] == [(None, 200)] * 2
    assert server.connections == 2


def test_server_says_close() -> None:
    """A connection that the server will close is not used again."""
    attempts, _ = answered(response(b"{}", headers={"connection": "close"}), number=2)
    assert [attempt.reused for attempt in attempts] == [False, False]


def test_closed_while_idle() -> None:
    """The server closed an idle connection: it is dropped, and the next request opens another."""
    with scripted([LENGTH, 0.02, CLOSE]) as server:

        async def work() -> list[Attempt]:
            async with pool_of(server.port) as pool:
                first = await exchanged(pool)
                time.sleep(0.1)  # noqa: ASYNC251  (the loop shall not see the end before the next request)
                return [first, await exchanged(pool)]

        first, second = run(work)
    assert (first.error, second.error, second.reused) == (None, None, False)


def test_dies_on_a_reused_connection() -> None:
    """There is one attempt: a kept connection that dies before its first byte is a failure, which says why it may."""
    for end, error in ((RST, "ReadError: "), (CLOSE, NO_ANSWER)):
        (_, second), _ = answered([LENGTH], [end], number=2)
        assert (second.reused, second.status) == (True, None)
        assert re.fullmatch(re.escape(error) + r".* \(kept alive, idle for 0\.\d+ s\)", str(second.error))


def test_failing_to_connect_leaves_no_garbage() -> None:
    """While a group runs nothing collects cycles, and a server that is down fails thousands of times."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]

    async def fail() -> None:
        with suppress(ConnectionRefusedError):
            await connect("127.0.0.1", port, tls=False, attempt=new_attempt(), new=lambda: pytest.fail("connected"))

    async def work() -> int:
        await fail()
        gc.collect()
        gc.disable()
        try:
            for _ in range(3):
                await fail()
            return gc.collect()
        finally:
            gc.enable()

    assert run(work) == 0


def test_nobody_listens() -> None:
    """A refused connection and an impossible name are failures to connect."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        port = listener.getsockname()[1]

    async def work() -> list[Attempt]:
        return [await only(port, host=host) for host in ("127.0.0.1", "no..name")]

    for attempt in run(work):
        assert str(attempt.error).startswith("ConnectError: ")
        assert (attempt.status, attempt.t_sent, attempt.t_connected) == (None, None, None)


def test_second_address_is_tried() -> None:
    """A name with several addresses: where the first does not answer, the next one does."""
    with scripted([LENGTH]) as server:  # listens on 127.0.0.1 only; localhost may be ::1 first
        assert run(lambda: only(server.port, host="localhost")).error is None


@pytest.mark.parametrize("loop", [None, loop_factory()], ids=["asyncio", "uvloop"])
@pytest.mark.parametrize("tls", [False, True])
def test_sent_means_sent(loop: Any, tls: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A large request to a server that reads late was sent when its last byte went, not when it was handed over."""
    authority = trust(monkeypatch, tmp_path)
    pause = 0.15
    body = bytes(12_000_000)
    request = b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n" % len(body) + body

    def slow(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        peer = server_context(authority).wrap_socket(peer, server_side=True) if tls else peer
        with peer:
            time.sleep(pause)
            left = len(request)
            while left:
                left -= len(peer.recv(1 << 20))
            peer.sendall(LENGTH)

    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        thread = threading.Thread(target=slow, args=[listener])
        thread.start()
        port = listener.getsockname()[1]
        attempt = run(lambda: only(port, request, tls=tls), loop)
        thread.join()
    assert attempt.error is None
    assert attempt.t_sent - attempt.t_start > pause * 0.9e9
    assert attempt.t_sent < attempt.t_end


def trust(monkeypatch: pytest.MonkeyPatch, folder: Path) -> trustme.CA:
    """An authority that the environment trusts."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(folder / "ca.pem"))
    return authority


def server_context(authority: trustme.CA) -> ssl.SSLContext:
    """For a server on loopback."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    authority.issue_cert("127.0.0.1").configure_cert(context)
    return context


@pytest.mark.parametrize("loop", [None, loop_factory()], ids=["asyncio", "uvloop"])
def test_tls(loop: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A trusted server is spoken to, its handshake stamped apart from the connect; a reused connection has none."""
    authority = trust(monkeypatch, tmp_path)
    with scripted([CHUNKED[:-5], 0.02, LAST_CHUNK], tls=server_context(authority)) as server:

        async def work() -> list[Attempt]:
            async with pool_of(server.port, tls=True) as pool:
                return [await exchanged(pool), await exchanged(pool)]

        first, second = run(work, loop)
    stamps = [first.t_connect, first.t_connected, first.t_tls, first.t_sent, first.t_headers]
    assert stamps == sorted(stamp or 0 for stamp in stamps)
    assert (first.error, second.error, second.reused, second.t_tls) == (None, None, True, None)


def test_tls_is_verified(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A certificate of an authority that nobody trusts is refused."""
    trust(monkeypatch, tmp_path)
    with scripted([CHUNKED], tls=server_context(trustme.CA())) as server:
        attempt = run(lambda: only(server.port, tls=True))
    assert str(attempt.error).startswith("ConnectError: ")
    assert "CERTIFICATE_VERIFY_FAILED" in str(attempt.error)
    assert (attempt.t_connected is not None, attempt.t_tls) == (True, None)
