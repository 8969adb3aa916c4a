"""The null server: its answers are OpenAI's, its times are true, and its truth survives its end."""

from __future__ import annotations

import json
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

import pytest

from bench.clients.decode.decode import decode
from bench.core.plugins.loader import builtin_folder, load_file
from tests.support.cli import environment
from tests.support.harness import measure
from tests.support.nullanswers import Timing, blocks, writes
from tests.support.nullserver import Connection, Null, running, take_request
from tests.support.paths import ROOT
from tests.support.scripted import head
from tests.support.yardsticks.result import Load
from tests.support.yardsticks.run import run_yardstick

EVENTS, INTERVAL_MS = 20, 5.0
pytestmark = [pytest.mark.slow, pytest.mark.alone]

CHUNKED = {"transfer-encoding": "chunked"}
OPTIONS = ("--events", str(EVENTS), "--interval-ms", str(INTERVAL_MS), "--ttft-ms", "10:20", "--all")


@pytest.fixture(scope="module")
def server() -> Iterator[Null]:
    """A null server with short answers."""
    with running(*OPTIONS) as null:
        yield null


@pytest.fixture
def fresh(server: Null) -> Null:
    """The same, with nothing sent yet."""
    server.reset()
    return server


def body(null: str = "", *, stream: bool = True) -> bytes:
    """A request's body, perhaps with a timing of its own."""
    return json.dumps(
        {"model": "sim-1", "input": "x", "stream": stream, "metadata": {"null": null} if null else {}}
    ).encode()


def connected(server: Null) -> socket.socket:
    """A plain connection to it."""
    url = urlsplit(server.base_url)
    return socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10)


def post(data: bytes) -> bytes:
    """A request of these bytes."""
    return b"POST /v1/responses HTTP/1.1\r\nHost: x\r\nX-Client-Request-Id: a\r\nContent-Length: %d\r\n\r\n%b" % (
        len(data),
        data,
    )


def read_to(client: socket.socket, end: bytes) -> bytes:
    """What comes until the last bytes are these."""
    data = bytearray()
    while not data.endswith(end):
        data += client.recv(65_536)
    return bytes(data)


def fetch(url: str, data: bytes | None = None, **headers: str) -> bytes:
    """The body of an answer. Raises `HTTPError`."""
    try:
        with urlopen(Request(url, data=data, headers=headers), timeout=10) as answer:  # noqa: S310
            return bytes(answer.read())
    except HTTPError as error:
        error.close()
        raise


def test_a_trial_is_ok_in_both_deliveries_and_gives_the_same_text(fresh: Null, tmp_path: Path) -> None:
    """The real runner judges what it sends ok, streamed and blocking, with the same result."""
    (scenario,) = load_file(builtin_folder() / "text.py").register_scenarios()
    run = measure(tmp_path, fresh.base_url, scenario)
    streamed, blocking = run.trial("streamed"), run.trial("blocking")
    assert (streamed["status"], blocking["status"]) == ("ok", "ok")
    assert streamed["result_sha256"] == blocking["result_sha256"]
    assert (streamed["deltas"], streamed["output_tokens"]) == (EVENTS, EVENTS)


def test_the_truth_is_when_the_frame_left(fresh: Null, tmp_path: Path) -> None:
    """A client's stamp of the first delta comes after the true send time, by little; the deltas keep their interval."""
    (scenario,) = load_file(builtin_folder() / "text.py").register_scenarios()
    run = measure(tmp_path, fresh.base_url, scenario, deliveries=("streamed",))
    (sent,) = fresh.truth()["sent"]
    late_ms = (run.trial()["t_first_token"] + run.t0 - sent["t_first"]) / 1e6
    assert 0 < late_ms < 100
    assert sent["t_due"] <= sent["t_first"] <= sent["t_due"] + sent["late_ns"]
    assert 10e6 <= sent["t_due"] - sent["t_request"] <= 20e6
    assert len(sent["t_sent"]) == EVENTS + 1  # the deltas, and what ends the answer
    assert sent["t_sent"][-1] - sent["t_first"] >= (EVENTS - 1) * INTERVAL_MS * 1e6 - sent["late_ns"]


def test_a_blocking_answer_takes_as_long_as_the_stream(fresh: Null) -> None:
    """Its body is due when the last delta would be."""
    fetch(f"{fresh.base_url}/responses", body(stream=False))
    (sent,) = fresh.truth()["sent"]
    assert not sent["stream"]
    assert (10 + 19 * INTERVAL_MS) * 1e6 <= sent["t_due"] - sent["t_request"] <= (20 + 19 * INTERVAL_MS) * 1e6


def test_a_request_may_ask_for_its_own_timing_on_a_kept_connection(fresh: Null) -> None:
    """Two requests on one connection, each with its number of events; nothing is left over between them."""
    with connected(fresh) as client:
        counts = []
        for events in (3, 7):
            client.sendall(post(body(json.dumps({"events": events, "interval_ms": 1}))))
            counts.append(read_to(client, b"0\r\n\r\n").count(b"event: response.output_text.delta"))
    assert counts == [3, 7]


def test_a_client_that_does_not_read_loses_nothing_and_is_no_lateness_of_the_server(fresh: Null) -> None:
    """A flood that the socket cannot take waits for it, is counted, and comes whole."""
    events = 30_000
    with connected(fresh) as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        client.sendall(post(body(json.dumps({"events": events, "interval_ms": 0}))))
        time.sleep(0.5)
        data = read_to(client, b"0\r\n\r\n")
    (sent,) = fresh.truth()["sent"]
    assert data.count(b"event: response.output_text.delta") == events
    assert sent["full"] > 0
    assert sent["t_end"] > sent["t_first"] + 100e6  # it could not end before the client read


def test_a_client_that_leaves_ends_its_stream_only(fresh: Null) -> None:
    """A connection that is closed in the middle does not disturb the next."""
    with connected(fresh) as client:
        client.sendall(post(body()))
        client.recv(100)
    with connected(fresh) as client:
        client.sendall(post(body()))
        read_to(client, b"0\r\n\r\n")
    assert [bool(sent["t_end"]) for sent in fresh.truth()["sent"]] == [False, True]


@pytest.mark.parametrize(
    ("path", "data", "status"), [("/nothing", b"{}", 404), ("/responses", b"{", 400), ("/responses", b"[]", 400)]
)
def test_what_it_cannot_answer_is_an_error(fresh: Null, path: str, data: bytes, status: int) -> None:
    """A path or body that it does not know gets a status, and the server goes on."""
    with pytest.raises(HTTPError) as error:
        fetch(fresh.base_url + path, data)
    assert error.value.code == status
    assert json.loads(fetch(f"{fresh.base_url}/models"))["data"][0]["id"] == "sim-1"


def test_many_streams_are_fed_in_time(fresh: Null) -> None:
    """32 streams of 100 events a second: the least client sees each first delta soon after it was sent."""
    result = run_yardstick("bare", Load(32, 32, events=20), fresh)
    assert len(result.errors_ms) == 32
    assert min(result.errors_ms) > 0
    assert result.error_ms(0.5) < 20


@pytest.mark.parametrize("end", ["eof", "term"])
def test_the_truth_is_written_at_the_end(tmp_path: Path, end: str) -> None:
    """When standard input ends, or on SIGTERM, each answer is a line of the file."""
    file = tmp_path / "truth.jsonl"
    child = subprocess.Popen(
        [sys.executable, "-m", "tests.support.nullserver", *OPTIONS, "--truth", str(file)],
        cwd=ROOT,
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    with child:
        assert child.stdout is not None
        assert child.stdin is not None
        url = child.stdout.readline().strip()
        fetch(f"{url}/responses", body(), **{"X-Client-Request-Id": "b"})
        child.stdin.close() if end == "eof" else child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 0
    (line,) = file.read_text("utf-8").splitlines()
    assert json.loads(line)["client_id"] == "b"


def test_the_writes_of_a_flood_are_those_of_a_paced_answer() -> None:
    """Only the cuts between writes differ; each but the last is about as large as wanted."""
    paced, flood = writes(1000, flood=False), writes(1000, flood=True)
    assert len(paced.parts) == 1000
    assert len(flood.parts) < 10
    for answer in (paced, flood):
        body_ = b"".join([answer.begin, *answer.parts, answer.end])
        decoded = decode([(0, head(200, CHUNKED) + body_)], {"content-type": "text/event-stream"}, asked_stream=True)
        assert (len(decoded.events), decoded.terminal) == (1000 + 8, "completed")
    assert b"".join(blocks(paced.parts)) == b"".join(paced.parts)


def test_a_request_is_taken_once_it_is_all_there() -> None:
    """Cut anywhere, it is one request; what follows it stays for the next."""
    raw = post(b"{}") + b"GET"
    with socket.socket() as unused:
        connection = Connection(unused)
        found = []
        for place in range(len(raw)):
            connection.buffer += raw[place : place + 1]
            if request := take_request(connection):
                found.append(request)
    assert [(start, data) for start, _, data in found] == [(b"POST /v1/responses HTTP/1.1", b"{}")]
    assert connection.buffer == b"GET"


def test_its_timing_is_seeded() -> None:
    """The same seed gives the same first delays."""
    timing = Timing(ttft_ms=(100, 200))
    sources = (random.Random(1), random.Random(1))  # noqa: S311
    first, again = ([timing.first_ns(rng) for _ in range(50)] for rng in sources)
    assert first == again
    assert len(set(first)) == 50
    assert 100e6 <= min(first) < max(first) <= 200e6
