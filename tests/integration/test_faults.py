"""Injected faults over real sockets: every one is found, classified and counted exactly; scripts are served raw."""

from __future__ import annotations

import json
import socket
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import openai
import pyarrow.parquet as pq
import pytest
from openai import OpenAI

from bench import Ask, Scenario
from bench.core.errors import BenchError
from bench.plan.choice import choose
from bench.plan.settings import Settings
from bench.simulator.process import Simulator, running
from bench.simulator.truth import read_truth
from tests.support.cli import bench, invoke, only_run, started
from tests.support.harness import Measured, Row, measure
from tests.support.scenarios import TEXT
from tests.support.send_log import lines_of

pytestmark = pytest.mark.slow

FAULTS = (
    *("429:0.01=0.12", "503:0.01=0.08", "404=0.05", "stall:120=0.06", "slow_headers:60=0.06", "cut=0.12"),
    *("silent_end=0.08", "malformed=0.08", "error=0.06", "error_nested=0.06", "failed=0.06", "incomplete=0.06"),
)
CONTROL = {"profile": "flood", "tokens": 12, "faults": list(FAULTS)}
HEALTHY = {None, "stall", "slow_headers"}
RETRIED = {"429", "503"}

# Fault → (HTTP status, terminal, is there an error?) of the attempt, and the status of a trial that it ends.
STREAMED = {
    None: (200, "completed", False, "ok"),
    "stall": (200, "completed", False, "ok"),
    "slow_headers": (200, "completed", False, "ok"),
    "429": (429, "error", False, "http_429"),
    "503": (503, "error", False, "http_5xx"),
    "404": (404, "error", False, "http_4xx"),
    "cut": (200, None, True, "cut_mid_stream"),
    "silent_end": (200, None, False, "no_terminal_event"),
    "malformed": (200, None, True, "malformed"),
    "error": (200, "error", False, "in_band_error"),
    "error_nested": (200, "error", False, "in_band_error"),
    "failed": (200, "failed", False, "in_band_error"),
    "incomplete": (200, "incomplete:content_filter", False, "incomplete"),
}
BLOCKING = STREAMED | {
    "silent_end": (200, None, True, "malformed"),
    "error": (200, "failed", False, "in_band_error"),
    "error_nested": (200, "failed", False, "in_band_error"),
}
EXPECTED = {"streamed": STREAMED, "blocking": BLOCKING}
CHAT_ERROR = dict.fromkeys(("error", "error_nested", "failed"), (200, "error", False, "in_band_error"))
"""Chat has one frame, and one body, for all of these."""


async def chat_streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Every content delta."""
    async with await client.chat.completions.create(**ask.request, stream=True) as stream:
        async for chunk in stream:
            for choice in chunk.choices:
                yield choice.delta.content or ""


async def chat_blocking(client: Any, ask: Ask) -> str:
    """The whole text."""
    text: str = (await client.chat.completions.create(**ask.request, stream=False)).choices[0].message.content
    return text


CHAT = Scenario("chat", chat_streamed, chat_blocking, api="chat")


class Faulty(NamedTuple):
    """A run with faults of most kinds."""

    run: Measured
    truth: dict[str, Row]
    """The simulator's own lines about it, by client id."""
    api: str

    def expected(self, delivery: str, fault: str | None) -> tuple[int, str | None, bool, str]:
        """What is to be recorded of an attempt with this fault."""
        known = EXPECTED[delivery] | (CHAT_ERROR if self.api == "chat" else {})
        return known[fault]


@pytest.fixture(scope="module", params=[TEXT, pytest.param(CHAT, marks=pytest.mark.slow)], ids=["responses", "chat"])
def faulty(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Faulty:
    """A run of 32 pairs."""
    folder, scenario = tmp_path_factory.mktemp("faults"), request.param
    with running(truth=folder / "truth.jsonl") as sim:
        run = measure(
            folder, sim.base_url, scenario, pairs=32, concurrency=16, simulated=True, control=CONTROL, deadline=30
        )
    return Faulty(run, {row["client_id"]: row for row in read_truth(folder / "truth.jsonl")}, scenario.api)


def test_every_fault_is_found_and_classified(faulty: Faulty) -> None:
    """Each attempt, the SDK's hidden ones too, is recorded as what the simulator did to it."""
    run, truth, _ = faulty
    deliveries = {row["trial_id"]: row["delivery"] for row in run["trials"]}
    assert {row["client_id"] for row in run["attempts"]} == truth.keys()
    for row in run["attempts"]:
        sent = truth[row["client_id"]]
        status, terminal, wrong, _ = faulty.expected(deliveries[row["trial_id"]], sent["fault"])
        unread = sent["fault"] in RETRIED and row["closed_early"]  # the SDK tries again without reading the body
        assert (row["status"], row["error"] is not None) == (status, wrong), (sent["fault"], row)
        assert row["terminal"] == terminal or unread, (sent["fault"], row)
        assert (row["attempt"], row["server_id"]) == (sent["attempt"], sent["server_id"])
        assert row["retry_after"] == ("0.01" if sent["fault"] in RETRIED else None)
        assert sent["gone"] is None or sent["fault"] not in HEALTHY


def test_every_fault_is_counted(faulty: Faulty) -> None:
    """A trial has the status of the fault that ended it, and the counts of trials are those of the simulator."""
    run, truth, _ = faulty
    for trial in run["trials"]:
        attempts = [row for row in run["attempts"] if row["trial_id"] == trial["trial_id"]]
        faults = [truth[row["client_id"]]["fault"] for row in sorted(attempts, key=lambda row: row["attempt"])]
        again = RETRIED | ({"cut"} if trial["delivery"] == "blocking" else set())
        assert all(fault in again for fault in faults[:-1])
        assert len(faults) == 3 or faults[-1] not in again
        assert trial["status"] == faulty.expected(trial["delivery"], faults[-1])[3], (faults, trial["error"])
    assert len(run["trials"]) == len(run["starts"])
    assert run.tally.statuses == Counter(row["status"] for row in run["trials"] if row["phase"] == "measure")
    met = Counter(row["fault"] for row in truth.values())
    assert met.keys() == {None, *(fault.partition("=")[0].partition(":")[0] for fault in FAULTS)}


WRITES = [
    {"at": 0, "events": [{"type": "response.created", "response": {}}], "raw": 'data: {"ty'},
    {"at": 80, "raw": 'pe": "x"}\n\n: hello\n\n'},
    {"at": 80, "events": [{"choices": []}, {"type": "y"}], "lines": False},
]
SCRIPTS = {
    "raw": {"writes": WRITES, "headers": {"X-Mine": "yes"}},
    "cut": {"writes": WRITES, "close": "cut"},
    "broken": {"writes": [{"at": 0, "raw": "<html>"}], "status": 502, "headers": {"Content-Type": "text/html"}},
    "pings": {"faults": [{"kind": "pings"}, None]},
    "limit": {"faults": [{"kind": "status", "status": 429, "retry_after_s": 0.02}] * 2},
    "*": [{"items": [{"text": "first"}]}, {"items": [{"text": "second"}]}],
}


@pytest.fixture(scope="module")
def scripted_sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Simulator, Path]]:
    """A simulator with a script for several models, and its log."""
    folder = tmp_path_factory.mktemp("scripts")
    (folder / "script.json").write_text(json.dumps(SCRIPTS))
    with running(profile="flood", truth=folder / "truth.jsonl", script=folder / "script.json") as sim:
        yield sim, folder / "truth.jsonl"


@pytest.fixture
def client(scripted_sim: tuple[Simulator, Path]) -> Iterator[OpenAI]:
    """The official client."""
    with OpenAI(base_url=scripted_sim[0].base_url, api_key="any") as made:
        yield made


def line_of(truth: Path, client_id: str) -> dict[str, Any]:
    """The log's line of a request, as soon as it is there."""
    return lines_of(truth, client_id)[0]


def raw_answer(sim: Simulator, model: str, client_id: str, patience: float = 10) -> list[bytes]:
    """The reads of a stream, until its end or until nothing came for so many seconds."""
    parts = urlsplit(sim.base_url)
    body = json.dumps({"model": model, "input": "hi", "stream": True}).encode()
    head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nX-Client-Request-Id: {client_id}\r\nContent-Length: {len(body)}"
    reads: list[bytes] = []
    with socket.create_connection((str(parts.hostname), parts.port), timeout=patience) as connection:
        connection.sendall(f"{head}\r\n\r\n".encode() + body)
        while not reads or not reads[-1].endswith(b"0\r\n\r\n"):
            if not (read := connection.recv(65536)):
                break
            reads.append(read)
    return reads


def test_writes_are_delivered_as_they_are(scripted_sim: tuple[Simulator, Path]) -> None:
    """Each write is one chunk at its time, with the script's headers; `cut` leaves out the end that HTTP asks for."""
    sim, truth = scripted_sim
    whole = b"".join(raw_answer(sim, "raw", "raw-1"))
    head, _, body = whole.partition(b"\r\n\r\n")
    assert b"\r\nx-mine: yes\r\n" in head
    first = b'event: response.created\ndata: {"type":"response.created","response":{}}\n\ndata: {"ty'
    third = b'data: {"choices":[]}\n\ndata: {"type":"y"}\n\n'
    chunks = [first, b'pe": "x"}\n\n: hello\n\n', third]
    assert body == b"".join(b"%x\r\n%b\r\n" % (len(chunk), chunk) for chunk in chunks) + b"0\r\n\r\n"
    row = line_of(truth, "raw-1")
    assert row["type"] == ["response.created", "raw", "y"]
    assert row["t_sent"][1] - row["t_received"] >= 80_000_000
    cut = b"".join(raw_answer(sim, "cut", "cut-1"))
    assert cut.endswith(third + b"\r\n")


def test_writes_answer_a_blocking_call_only_if_they_are_no_stream(client: OpenAI) -> None:
    """A stream asked for whole is a 400 that says so; an HTTP error is what it is."""
    with pytest.raises(openai.BadRequestError, match="This script is a stream"):
        client.responses.create(model="raw", input="hi")
    with pytest.raises(openai.InternalServerError) as raised:
        client.with_options(max_retries=0).responses.create(model="broken", input="hi")
    assert (raised.value.status_code, raised.value.response.text) == (502, "<html>")


def test_scripts_by_model(client: OpenAI) -> None:
    """Models of a script are listed and usable; `*` answers for all others, turn by turn."""
    assert {"raw", "pings", "sim-1"} <= {model.id for model in client.models.list()}
    assert "*" not in {model.id for model in client.models.list()}
    first = client.responses.create(model="sim-1", input="hi").output_text
    said: Any = [{"role": "user", "content": "hi"}, {"role": "assistant", "content": first}]
    second = client.responses.create(model="sim-1", input=[*said, {"role": "user", "content": "and?"}]).output_text
    assert (first, second) == ("first", "second")


def test_faults_of_a_script_by_attempt(client: OpenAI, scripted_sim: tuple[Simulator, Path]) -> None:
    """The SDK's hidden retries meet one scripted fault each; the log numbers them."""
    raw = client.responses.with_raw_response.create(
        model="limit", input="[00000000000000aa] hi", extra_headers={"X-Client-Request-Id": "limit-1"}
    )
    assert raw.retries_taken == 2
    rows = lines_of(scripted_sim[1], "limit-1", 3)
    assert [(row["attempt"], row["fault"]) for row in rows] == [(0, "429"), (1, "429"), (2, None)]


def test_pings_until_the_client_goes(scripted_sim: tuple[Simulator, Path], client: OpenAI) -> None:
    """Comments and nothing else, and no answer at all where a blocking one was asked for; the log says who left."""
    sim, truth = scripted_sim
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3, max_retries=0).responses.create(
            model="pings", input="[00000000000000bb] hi", extra_headers={"X-Client-Request-Id": "pings-1"}
        )
    row = line_of(truth, "pings-1")
    assert (row["fault"], row["type"]) == ("pings", [])
    assert row["gone"] - row["t_received"] > 200_000_000
    parts = urlsplit(sim.base_url)
    with socket.create_connection((str(parts.hostname), parts.port), timeout=10) as connection:
        body = json.dumps({"model": "pings", "input": "[00000000000000cc] hi", "stream": True}).encode()
        head = f"POST /v1/responses HTTP/1.1\r\nHost: x\r\nX-Client-Request-Id: pings-2\r\nContent-Length: {len(body)}"
        connection.sendall(f"{head}\r\n\r\n".encode() + body)
        seen = b""
        while seen.count(b": ping\n\n") < 3:
            seen += connection.recv(65536)
    row = line_of(truth, "pings-2")
    assert b"data:" not in seen
    assert set(row["type"]) == {"ping"}
    assert row["gone"] >= row["t_sent"][-1]
    assert client.responses.create(model="pings", input="[00000000000000bb] hi").status == "completed"


def test_a_client_that_leaves_stops_the_answer(client: OpenAI, scripted_sim: tuple[Simulator, Path]) -> None:
    """The log has when it left, and fewer frames than the answer."""
    control = {"bench": json.dumps({"tokens": 400, "token_ms": 5, "answers": [{}]})}
    with client.responses.create(
        model="sim-1", input="hi", stream=True, metadata=control, extra_headers={"X-Client-Request-Id": "left"}
    ) as stream:
        for event in stream:
            if event.type == "response.output_text.delta":
                break
    row = line_of(scripted_sim[1], "left")
    assert row["gone"] >= row["t_sent"][-1]
    assert 5 <= len(row["type"]) < 300


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (Settings(faults=["cutt=1"]), "unknown fault 'cutt': did you mean 'cut'?"),
        (Settings(script=Path("nowhere.json")), "nowhere.json: cannot be read"),
        (Settings(faults=["cut=1"], base_url="http://127.0.0.1:9/v1", models=["m"]), "--fault is for the simulator"),
    ],
)
def test_mistakes(settings: Settings, says: str) -> None:
    """A wrong fault or script, or one for another target than the simulator, is refused before anything is sent."""
    with pytest.raises(BenchError) as raised:
        choose(settings)
    assert says in str(raised.value)
    assert raised.value.exit_code == 2


@pytest.mark.paced
def test_the_command_line(tmp_path: Path) -> None:
    """`bench run --fault --script` measures what it asked for; the same seed meets the same faults."""
    (tmp_path / "s.json").write_text(json.dumps({"mine": {"items": [{"text": "Hello from the script."}]}}))
    found = []
    for number in range(2):
        folder = tmp_path / str(number)
        folder.mkdir()
        done = bench(
            *["run", "text", "--target", "sim", "--model", "mine", "--script", "../s.json", "--profile", "flood"],
            *["--fault", "404=0.3", "--fault", "failed:0=0.2", "--seed", "3", "--no-memory", "--pairs", "12"],
            *["--fault", "pings=0.1", "--deadline", "1", "--no-self-check"],
            cwd=folder,
        )
        assert done.returncode in {0, 4}, done.stderr
        assert "faults were injected: 404=0.3, failed:0=0.2, pings=0.1" in (only_run(folder) / "report.md").read_text()
        tables = {name: pq.read_table(only_run(folder) / f"{name}.parquet").to_pylist() for name in ("trials", "truth")}
        statuses = Counter(row["status"] for row in tables["trials"])
        faults = {row["server_id"]: row["fault"] for row in tables["truth"] if row["client_id"]}
        met = Counter(faults.values())
        assert statuses == {
            "ok": met[None],
            "http_4xx": met["404"],
            "in_band_error": met["failed"],
            "timeout": met["pings"],
        }
        assert {row["result_chars"] for row in tables["trials"] if row["status"] == "ok"} == {22}
        found.append(statuses)
    assert found[0] == found[1]
    assert min(found[0].values()) > 0


def test_serve(tmp_path: Path) -> None:
    """`bench serve` takes the same faults and scripts, and refuses the same mistakes."""
    (tmp_path / "s.json").write_text('{"mine": {"items": [{"text": "Hello."}]}}')
    served = started(
        "serve", "--port", "0", "--profile", "flood", "--script", "s.json", "--fault", "404=1", cwd=tmp_path
    )
    try:
        assert served.stdout is not None
        base_url = served.stdout.readline().split()[0]
        with OpenAI(base_url=base_url, api_key="any") as client:
            assert "mine" in {model.id for model in client.models.list()}
            with pytest.raises(openai.NotFoundError, match="HTTP 404 was asked of the simulator"):
                client.responses.create(model="mine", input="hi")
    finally:
        served.terminate()
        served.communicate(timeout=20)
    done = invoke("serve", "--fault", "cutt=1", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (
        2,
        "bench: unknown fault 'cutt': did you mean 'cut'? (or any HTTP status from 400 to 599)\n",
    )
