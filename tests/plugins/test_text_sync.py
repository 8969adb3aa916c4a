"""Synchronous scenarios: plain functions in a thread, measured as exactly as the others."""

from __future__ import annotations

import asyncio
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import trustme

from bench import Ask, Scenario
from bench.clients.sdk.client import sdk_client, sync_client
from bench.core.plugins.loader import builtin_folder, load_file
from bench.core.scenario import fault_of
from bench.plan.plan import BOTH
from bench.run.memory.call import MemoryServer, measure_peak
from bench.simulator.process import running
from tests.support import events as e
from tests.support.harness import Row, measure
from tests.support.scripted import RST, Request, Script, json_response, scripted, sse

pytestmark = pytest.mark.slow

(TEXT_SYNC,) = load_file(builtin_folder() / "text_sync.py").register_scenarios()
OK = sse(e.CREATED, 0.03, e.delta("Hel"), 0.03, [e.delta("lo "), e.delta("you")], 0.03, e.COMPLETED)
WHOLE = json_response(e.response(output=[e.message("Hello you")], usage=e.USAGE))
BUSY = json_response({"error": {"message": "busy"}}, 503, {"retry-after-ms": "60"})
SILENT = sse(e.CREATED, e.delta("Hel"), 30.0, e.COMPLETED)


def either(request: Request) -> Script:
    """A stream or a whole answer, as asked."""
    return OK if request.json["stream"] else WHOLE


def threads() -> set[threading.Thread]:
    """Those that are alive."""
    return set(threading.enumerate())


def left_since(before: set[threading.Thread]) -> set[threading.Thread]:
    """The trials' threads that are there still, a moment after their results are."""
    others = {thread for thread in threads() - before if thread.name != "scripted"}
    for thread in others:
        thread.join(0.5)
    return others & threads()


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """A simulator without pacing."""
    with running(profile="flood") as server:
        yield server.base_url


def test_both_deliveries_are_measured(tmp_path: Path, simulator: str) -> None:
    """On the simulator `text_sync` gives the same text both ways, each trial with its one attempt and all stamps."""
    measured = measure(
        tmp_path, simulator, TEXT_SYNC, pairs=2, simulated=True, control={"profile": "flood"}, prompts=["Hi"]
    )
    streamed, blocking = ([row for row in measured["trials"] if row["delivery"] == way] for way in BOTH)
    assert {(row["status"], row["attempts"]) for row in (*streamed, *blocking)} == {("ok", 1)}
    assert {(row["pair"], row["result_sha256"]) for row in streamed} == {
        (row["pair"], row["result_sha256"]) for row in blocking
    }
    for row in streamed:
        assert row["t_origin"] < row["t_first_event"] <= row["t_first_token"] < row["t_first_useful"] < row["t_end"]
    assert measured.tally.orphans == 0


def test_reads_have_the_servers_times(tmp_path: Path) -> None:
    """Every read is stamped after the server's write and before its next: one clock, and stamps at the socket."""
    with scripted(OK) as server:
        measured = measure(tmp_path, server.base_url, TEXT_SYNC, deliveries=["streamed"], warmup=1)
    events = measured["events"][-5:]
    writes = [write.t - measured.t0 for write in server.writes if write.request == 1][1:]
    reads = [events[place]["t_read"] for place in (0, 1, 2, 4)]
    for place, read in enumerate(reads):
        assert writes[place] < read
        assert place == 3 or read < writes[place + 1]
    assert events[2]["read"] == events[3]["read"], "two events in one write arrive in one read"


def test_hidden_retries_and_connections(tmp_path: Path) -> None:
    """A refusal and an answer are one request with two attempts and a back-off; an answer's connection is kept."""
    with scripted(BUSY, OK) as server:
        measured = measure(tmp_path, server.base_url, TEXT_SYNC, deliveries=["streamed"], pairs=2)
    first, second, third = measured["attempts"]
    assert [(a["request"], a["attempt"], a["status"]) for a in (first, second)] == [(0, 0, 503), (0, 1, 200)]
    assert second["backoff_ns"] >= 55e6
    assert first["t_start"] <= first["t_connect"] <= first["t_connected"] <= first["t_sent"] <= first["t_first_read"]
    assert [a["reused"] for a in (first, second, third)] == [False, False, True]
    assert server.connections == 2, "the SDK closes what it has not read: the body of the refusal"


def test_a_cold_trial_connects_anew(tmp_path: Path) -> None:
    """With `connection="cold"` every synchronous trial begins without an open connection."""
    cold = Scenario("cold", TEXT_SYNC.streamed, connection="cold")
    with scripted(OK) as server:
        measured = measure(tmp_path, server.base_url, cold, deliveries=["streamed"], pairs=3)
    assert [a["reused"] for a in measured["attempts"]] == [False] * 3
    assert server.connections == 3


def test_trials_side_by_side(tmp_path: Path) -> None:
    """At concurrency 4 threads run at the same time, and each trial has its own attempt and answer."""

    def echo(request: Request) -> Script:
        return sse(e.CREATED, 0.05, e.delta(request.json["input"][0]["content"]), 0.05, e.COMPLETED)

    with scripted(echo) as server:
        measured = measure(tmp_path, server.base_url, TEXT_SYNC, deliveries=["streamed"], pairs=12, concurrency=4)
    assert {row["attempts"] for row in measured["trials"]} == {1}
    assert all(row["text"].startswith(row["nonce"]) for row in measured["trials"])
    assert 1 < server.connections <= 4


@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_the_deadline_ends_the_thread(tmp_path: Path, delivery: Any) -> None:
    """A trial that waits for a silent server is a timeout at its deadline, its retries unspent and its thread gone."""
    before = threads()
    with scripted(SILENT if delivery == "streamed" else [30.0]) as server:
        row = measured_row(measure(tmp_path, server.base_url, TEXT_SYNC, deliveries=[delivery], deadline=0.4))
        assert not left_since(before)
    assert (row["status"], row["attempts"]) == ("timeout", 1)
    assert "not done after 0.4 s (--deadline)" in row["error"]
    assert 0.35e9 < row["t_end"] - row["t_origin"] < 5e9  # the deadline counts from before the thread is started


def test_an_interruption_ends_the_thread(tmp_path: Path) -> None:
    """Ctrl-C during a synchronous trial records it as cancelled; its thread does not stay behind."""
    before = threads()
    with scripted(SILENT) as server:
        row = measured_row(measure(tmp_path, server.base_url, TEXT_SYNC, deliveries=["streamed"], cancel_after=0.5))
        assert not left_since(before)
    assert row["status"] == "cancelled"


def test_what_cannot_be_cut_is_left_behind(tmp_path: Path) -> None:
    """A thread that sleeps past the deadline neither holds up the run for its whole sleep nor sends anything later."""

    def sleepy(client: Any, ask: Ask) -> Iterator[str]:
        yield "first"
        time.sleep(2)
        client.responses.create(**ask.request)
        yield "late"

    before = threads()
    with scripted(WHOLE) as server:
        began = time.monotonic()
        row = measured_row(
            measure(tmp_path, server.base_url, Scenario("sleepy", sleepy), deliveries=["streamed"], deadline=0.2)
        )
        assert time.monotonic() - began < 1.9
        for thread in threads() - before:
            if thread.daemon:
                thread.join(5)
        assert server.requests == []
    assert (row["status"], row["pieces"]) == ("timeout", 1)


@pytest.mark.parametrize(
    ("script", "status"),
    [
        ([RST], "connect"),
        (sse(e.CREATED, e.delta("Hel"), 0.05, RST), "cut_mid_stream"),
        (sse(e.CREATED, e.delta("Hel")), "no_terminal_event"),
        (json_response({"error": {"message": "no"}}, 400), "http_4xx"),
        (sse(e.CREATED, e.delta("Hel"), {"error": {"message": "broke"}}), "in_band_error"),
    ],
)
def test_failures_are_told_apart(tmp_path: Path, script: Script, status: str) -> None:
    """The synchronous client's failures get the same classes as the asynchronous one's."""
    with scripted(script) as server:
        row = measured_row(measure(tmp_path, server.base_url, TEXT_SYNC, deliveries=["streamed"], max_retries=0))
    assert row["status"] == status


def test_an_error_of_the_plugin_names_its_line(tmp_path: Path) -> None:
    """What a plain function raises is the plugin's error with file and line, StopIteration too."""

    def broken(client: Any, ask: Ask) -> str:
        return next(iter(()))

    scenario = Scenario("broken", TEXT_SYNC.streamed, broken)
    with scripted(OK) as server:
        row = measured_row(measure(tmp_path, server.base_url, scenario, deliveries=["blocking"]))
    assert row["status"] == "scenario_error"
    assert f"{Path(__file__).name}:" in row["error"]


def test_a_thread_of_the_scenarios_own_is_an_orphan(tmp_path: Path) -> None:
    """A request from a thread that does not carry the trial's context belongs to no trial, and is counted as such."""

    def aside(client: Any, ask: Ask) -> Iterator[str]:
        thread = threading.Thread(target=lambda: client.responses.create(**ask.request))
        thread.start()
        thread.join()
        yield "done"

    with scripted(WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("aside", aside), deliveries=["streamed"])
    assert measured.tally.orphans == 1
    assert [a["trial_id"] for a in measured["attempts"]] == [None]


def test_tls_is_stamped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Over TLS the handshake has its stamp, and a deadline cuts that connection as well."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1").configure_cert(context)
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.pem"))
    with scripted(OK, SILENT, tls=context) as server:
        base_url = server.base_url.replace("http://", "https://")
        measured = measure(tmp_path, base_url, TEXT_SYNC, deliveries=["streamed"], pairs=2, deadline=1)
    first, second = measured["attempts"]
    assert first["t_connected"] < first["t_tls"] < first["t_sent"]
    assert second["reused"]
    assert [row["status"] for row in measured["trials"]] == ["ok", "timeout"]


def test_through_a_proxy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Requests go through the environment's proxy, as the asynchronous client's do."""
    with scripted(OK) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url)
        row = measured_row(measure(tmp_path, "http://example.invalid/v1", TEXT_SYNC, deliveries=["streamed"]))
    assert row["status"] == "ok"
    assert len(proxy.requests) == 1


def test_both_clients_send_the_same(tmp_path: Path) -> None:
    """Only the header that names the kind of client, and the ids, differ between the two clients' requests."""
    asked: dict[str, Any] = {"key": "key", "headers": {"X-Mine": "1"}, "max_retries": 0, "own_environment": False}
    with scripted(WHOLE) as server:
        client, tap = sdk_client(server.base_url, **asked)
        other, _ = sync_client(server.base_url, tap, **asked)

        async def both() -> None:
            async with client:
                await client.responses.create(model="m", input="Hi")

        asyncio.run(both())
        with other:
            other.responses.create(model="m", input="Hi")
    ids = {"x-client-request-id", "x-request-id", "x-stainless-async", "user-agent"}
    one, two = ({n: v for n, v in r.headers.items() if n not in ids} for r in server.requests)
    assert one == two
    assert len(tap.orphans) == 2, "one ledger for both"


def test_mixed_functions_are_refused() -> None:
    """Asynchronous and synchronous functions in one scenario, or no generator, are told in one line."""

    async def blocking(client: Any, ask: Ask) -> str:
        return ""

    assert fault_of(TEXT_SYNC) is None
    assert "make both" in (fault_of(Scenario("mixed", TEXT_SYNC.streamed, blocking)) or "")
    assert "must be a generator" in (fault_of(Scenario("none", blocking)) or "")  # type: ignore[arg-type]
    assert "not yield it" in (fault_of(Scenario("two", TEXT_SYNC.streamed, TEXT_SYNC.streamed)) or "")


@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_its_memory_is_measured(simulator: str, delivery: Any) -> None:
    """The memory pass calls a synchronous scenario as well, with the SDK's synchronous client."""
    _, peak = measure_peak(TEXT_SYNC, delivery, "tracemalloc", 200, MemoryServer(base_url=simulator, model="sim-1"))
    assert peak > 1000


def measured_row(measured: Any) -> Row:
    """The only trial of a run."""
    (row,) = measured["trials"]
    return dict(row)
