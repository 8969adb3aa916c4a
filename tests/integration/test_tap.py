"""The tap: every attempt, every read, every id, below the SDK's retries."""

from __future__ import annotations

import asyncio
import gc
import socket
import ssl
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from itertools import pairwise
from pathlib import Path
from typing import Any

import openai
import pytest
import trustme

from bench import Ask, Scenario, hookimpl
from bench.clients.sdk.client import sdk_client
from bench.core.errors import BenchError
from tests.support import events as e
from tests.support.harness import measure
from tests.support.scenarios import TEXT
from tests.support.scripted import RST, Request, Script, chunk, frame, head, json_response, scripted, sse

pytestmark = pytest.mark.paced

OK = sse(e.CREATED, 0.03, e.delta("Hel"), 0.03, [e.delta("lo "), e.delta("you")], 0.03, e.COMPLETED)
WHOLE = json_response(e.response(output=[e.message("Hello you")], usage=e.USAGE))
BUSY = json_response({"error": {"message": "busy"}}, 503, {"retry-after-ms": "60", "x-request-id": "srv-1"})


def either(request: Request) -> Script:
    return OK if request.json["stream"] else WHOLE


def test_reads_have_the_servers_times(tmp_path: Path) -> None:
    """Each event is stamped after the server wrote it and before the next was written: same clock, right order."""
    with scripted(OK) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"], warmup=1)
    trial, events = measured.trial(), measured["events"][-5:]
    writes = [write.t for write in server.writes if write.request == len(server.requests) - 1][1:]
    true_gaps = [later - earlier for earlier, later in pairwise(writes)][:3]
    reads = [events[place]["t_read"] for place in (0, 1, 2, 4)]
    assert [event["kind"] for event in events] == ["lifecycle", "content", "content", "content", "terminal"]
    assert events[2]["read"] == events[3]["read"], "two events in one write arrive in one read"
    assert events[2]["t_read"] == events[3]["t_read"]
    for read, true in zip(pairwise(reads), true_gaps, strict=True):
        assert abs(read[1] - read[0] - true) < 15e6
    assert trial["t_origin"] < trial["t_first_event"] < trial["t_first_token"] == reads[1] < trial["t_first_useful"]


def test_hidden_retries_are_counted(tmp_path: Path) -> None:
    """Two refusals and an answer are one request, three attempts, their back-off and ids; the origin is the first's."""
    with scripted(BUSY, BUSY, OK) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"])
    row, attempts = measured.trial(), measured["attempts"]
    assert (row["status"], row["requests"], row["attempts"]) == ("ok", 1, 3)
    assert [(a["request"], a["attempt"], a["retry_count"], a["status"]) for a in attempts] == [
        (0, 0, 0, 503),
        (0, 1, 1, 503),
        (0, 2, 2, 200),
    ]
    assert attempts[0]["backoff_ns"] is None
    assert all(a["backoff_ns"] >= 55e6 for a in attempts[1:])
    assert row["backoff_ns"] == sum(a["backoff_ns"] for a in attempts[1:])
    assert row["t_first_token"] - row["t_origin"] > row["backoff_ns"]
    assert [a["retry_after"] for a in attempts] == ["60", "60", None]
    assert [a["server_id"] for a in attempts] == ["srv-1", "srv-1", None]


def test_every_attempt_has_an_id_of_its_own(tmp_path: Path) -> None:
    """Both id headers carry the attempt's id, another for each attempt, so a server's log can be searched for it."""
    with scripted(BUSY, OK) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"])
    sent = [request.headers for request in server.requests]
    ids = [attempt["client_id"] for attempt in measured["attempts"]]
    assert [headers["x-client-request-id"] for headers in sent] == ids
    assert [headers["x-request-id"] for headers in sent] == ids
    assert len(set(ids)) == 2


def test_attempts_that_never_got_an_answer_are_rows(tmp_path: Path) -> None:
    """Connections that are reset are attempts like any other: counted, without status, with their error."""
    with scripted([RST]) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"], max_retries=1)
    assert (measured.trial()["status"], measured.trial()["attempts"]) == ("connect", 2)
    assert [a["status"] for a in measured["attempts"]] == [None, None]
    assert all("Error" in a["error"] for a in measured["attempts"])


def test_connections_are_kept_and_reuse_is_recorded(tmp_path: Path) -> None:
    """One pool: the first attempt connects, all others of the run go over the same connection."""
    with scripted(routes={"/v1/responses": either}) as server:
        measured = measure(tmp_path, server.base_url, TEXT, pairs=3)
    attempts = measured["attempts"]
    assert server.connections == 1
    assert [a["reused"] for a in attempts] == [False, *[True] * 5]
    assert attempts[0]["t_connect"] <= attempts[0]["t_connected"] <= attempts[0]["t_sent"]
    assert all(a["t_connect"] is None for a in attempts[1:])
    assert all(a["t_start"] <= a["t_sent"] <= a["t_first_read"] <= a["t_headers"] <= a["t_end"] for a in attempts)


def test_parallel_requests_of_one_trial_are_told_apart(tmp_path: Path) -> None:
    """Requests made side by side by one trial are numbered apart, each with its own retries."""

    async def twice(client: Any, ask: Ask) -> AsyncIterator[str]:
        calls = [client.responses.create(**ask.request, stream=False) for _ in range(2)]
        for response in await asyncio.gather(*calls):
            yield response.output_text

    with scripted(BUSY, WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("twice", twice), deliveries=["streamed"])
    attempts = measured["attempts"]
    assert (measured.trial()["requests"], measured.trial()["attempts"]) == (2, 3)
    assert sorted((a["request"], a["attempt"]) for a in attempts) == [(0, 0), (0, 1), (1, 0)]


def test_trials_side_by_side_keep_their_own_attempts(tmp_path: Path) -> None:
    """At concurrency 4 every trial has exactly its own request, answered with its own nonce."""

    def echo(request: Request) -> Script:
        text = request.json["input"][0]["content"]
        return sse(e.CREATED, 0.02, e.delta(text), 0.02, e.COMPLETED)

    with scripted(echo) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"], pairs=12, concurrency=4)
    trials = measured["trials"]
    assert {row["attempts"] for row in trials} == {1}
    assert all(row["text"].startswith(row["nonce"]) for row in trials)
    assert 1 < server.connections <= 4
    assert measured.tally.orphans == 0


def test_a_request_outside_of_any_trial_is_an_orphan(tmp_path: Path) -> None:
    """A request that no trial made is counted, journalled without a trial, and never blamed on one."""
    from contextvars import Context

    tasks = set()

    async def leaky(client: Any, ask: Ask) -> AsyncIterator[str]:
        async def elsewhere() -> None:
            await client.responses.create(model="m", input="stray", stream=False)

        tasks.add(asyncio.create_task(elsewhere(), context=Context()))
        await asyncio.sleep(0.1)
        yield "x"

    with scripted(WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("leaky", leaky), deliveries=["streamed"])
    assert measured.tally.orphans == 1
    assert measured["cells"][0]["orphans"] == 1
    assert [a["trial_id"] for a in measured["attempts"]] == [None]


def test_a_stray_request_of_the_warm_up_is_counted_there(tmp_path: Path) -> None:
    """It belongs to the cell that was running, and not to the next one that is measured on that target."""
    from contextvars import Context

    tasks: list[asyncio.Task[None]] = []

    async def leaky_once(client: Any, ask: Ask) -> AsyncIterator[str]:
        async def elsewhere() -> None:
            await client.responses.create(model="m", input="stray", stream=False)

        if not tasks:
            tasks.append(asyncio.create_task(elsewhere(), context=Context()))
            await tasks[0]
        yield "x"

    with scripted(WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("x", leaky_once), deliveries=["streamed"], warmup=1)
    assert measured.tally.orphans == 1
    assert [(row["orphans"], row["cpu_ns"] is None) for row in measured["cells"]] == [(1, True), (0, False)]


def test_what_a_trial_leaves_running_is_an_orphan(tmp_path: Path) -> None:
    """A request that a scenario's task makes after its trial has ended is an orphan, and none is lost."""
    tasks = set()

    async def careless(client: Any, ask: Ask) -> AsyncIterator[str]:
        async def late() -> None:
            await asyncio.sleep(0.05)
            await client.responses.create(**ask.request, stream=False)

        tasks.add(asyncio.create_task(late()))
        yield (await client.responses.create(**ask.request, stream=False)).output_text
        await asyncio.sleep(0.03)

    with scripted(WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("careless", careless), deliveries=["streamed"], pairs=4)
    assert [row["attempts"] for row in measured["trials"]] == [1] * 4
    assert measured.tally.orphans >= 2
    assert len(server.requests) - 1 <= len(measured["attempts"]) <= len(server.requests)


def test_the_sdk_decides_on_retries_as_without_us(tmp_path: Path) -> None:
    """A fault in a body is tried again when blocking and not when streamed: the tap keeps exception types."""
    broken: Script = [head(200, {"content-type": "application/json", "content-length": "500"}) + b"{", 0.02, RST]
    cut: Script = [
        head(200, {"content-type": "text/event-stream", "transfer-encoding": "chunked"}),
        chunk(frame(e.CREATED)),
        0.02,
        RST,
    ]
    with scripted(lambda r: cut if r.json["stream"] else broken) as server:
        measured = measure(tmp_path, server.base_url, TEXT)
    rows = {row["delivery"]: row for row in measured["trials"]}
    assert (rows["streamed"]["status"], rows["streamed"]["attempts"]) == ("cut_mid_stream", 1)
    assert (rows["blocking"]["status"], rows["blocking"]["attempts"]) == ("cut_mid_stream", 3)


def test_a_read_timeout_stays_a_timeout(tmp_path: Path) -> None:
    """The client's own read time-out is raised as the SDK's time-out and classified so."""

    async def short(client: openai.AsyncOpenAI, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True, timeout=0.2) as stream:
            async for event in stream:
                yield event.type

    with scripted(sse(e.CREATED, 1.0, e.COMPLETED)) as server:
        row = measure(tmp_path, server.base_url, Scenario("short", short), deliveries=["streamed"]).trial()
    assert row["status"] == "timeout"
    assert "ReadTimeout" in row["error"]


def test_observers_stand_around_the_clock(tmp_path: Path) -> None:
    """An observer is entered before the origin and left after the end; what it records is in the run."""
    seen: list[tuple[str, int, int]] = []

    class Observer:
        @hookimpl
        def observe(self, trial: Any) -> Any:
            @asynccontextmanager
            async def around() -> AsyncIterator[None]:
                seen.append(("before", trial.t_origin, trial.t_end))
                yield
                seen.append(("after", trial.t_origin, trial.t_end))
                trial.record("answer", 42, "things")

            return around()

    with scripted(OK) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"], observers=[Observer()])
    (before, after) = seen
    assert before == ("before", 0, 0)
    assert 0 < after[1] < after[2]
    assert measured["metrics"] == [{"trial_id": 0, "name": "answer", "unit": "things", "value": 42.0}]


def test_a_proxy_of_the_environment_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """HTTP_PROXY works as for any app, unless NO_PROXY names the host."""
    with scripted(OK) as proxy:
        monkeypatch.setenv("http_proxy", proxy.url)
        row = measure(tmp_path, "http://model.invalid/v1", TEXT, deliveries=["streamed"]).trial()
        assert row["status"] == "ok"
        assert proxy.requests[0].path == "http://model.invalid/v1/responses"
        monkeypatch.setenv("no_proxy", "model.invalid")
        (tmp_path / "direct").mkdir()
        row = measure(
            tmp_path / "direct", "http://model.invalid/v1", TEXT, deliveries=["streamed"], max_retries=0
        ).trial()
        assert row["status"] == "connect"
        monkeypatch.setenv("all_proxy", "socks5://127.0.0.1:1")
        with pytest.raises(BenchError, match="http and https proxies only"):
            sdk_client("https://model.example/v1", key="k", headers={}, max_retries=0, own_environment=False)


def test_tls_is_verified_and_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A certificate nobody vouches for is refused; one the environment trusts works, its handshake stamped."""
    authority, cert = trustme.CA(), tmp_path / "cert.pem"
    authority.cert_pem.write_to_path(str(cert))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with scripted(OK, tls=context) as server:
        url = server.base_url.replace("http://127.0.0.1", "https://localhost")
        (tmp_path / "a").mkdir()
        row = measure(tmp_path / "a", url, TEXT, deliveries=["streamed"], max_retries=0).trial()
        assert (row["status"], "CERTIFICATE_VERIFY_FAILED" in row["error"]) == ("connect", True)
        monkeypatch.setenv("SSL_CERT_FILE", str(cert))
        (tmp_path / "b").mkdir()
        measured = measure(tmp_path / "b", url, TEXT, deliveries=["streamed"], max_retries=0)
    (attempt,) = measured["attempts"]
    assert measured.trial()["status"] == "ok"
    assert attempt["t_connected"] < attempt["t_tls"] < attempt["t_sent"]
    assert len(measured["events"]) == 5


def test_a_tls_server_that_never_says_goodbye_holds_nothing_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The end of a run closes its sockets even where the server does not answer the farewell of TLS."""
    authority, cert, done = trustme.CA(), tmp_path / "cert.pem", threading.Event()
    authority.cert_pem.write_to_path(str(cert))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    monkeypatch.setenv("SSL_CERT_FILE", str(cert))

    def serve(listener: socket.socket) -> None:
        with context.wrap_socket(listener.accept()[0], server_side=True) as connection:
            connection.recv(1 << 16)
            connection.sendall(b"".join(step for step in OK if isinstance(step, bytes)))
            done.wait(10)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,))
        server.start()
        url = f"https://localhost:{listener.getsockname()[1]}/v1"
        row = measure(tmp_path, url, TEXT, deliveries=["streamed"]).trial()
        gc.collect()  # a transport left open would warn here, and a warning is an error
        done.set()
        server.join()
    assert row["status"] == "ok"


def test_the_environment_of_openai_reaches_nobody_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Organisation and custom headers of the environment are for OpenAI alone."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", "X-Secret: 1")
    for own in (False, True):
        client, _ = sdk_client("http://h/v1", key="k", headers={}, max_retries=0, own_environment=own)
        assert ("OpenAI-Organization" in client.default_headers) is own or client.organization is None
        assert ("X-Secret" in client.default_headers) is own
        assert (client.organization == "org-1") is own
