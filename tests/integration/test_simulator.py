"""The simulator as a process: over real sockets, with the official SDK, against its own truth."""

from __future__ import annotations

import http.client
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from openai import BadRequestError, NotFoundError, OpenAI, pydantic_function_tool
from openai.types.responses import Response
from pydantic import BaseModel

from bench.core.errors import BenchError
from bench.simulator.process import Simulator, running
from bench.simulator.truth import read_truth
from tests.support.paths import ROOT
from tests.support.send_log import lines_of

pytestmark = pytest.mark.alone

NONCE = "[0123456789abcdef] "


class Product(BaseModel):
    """What the structured answers are."""

    product_name: str
    features: list[str]
    rating: int | None


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth file of the module's simulator."""
    return tmp_path_factory.mktemp("sim") / "truth.jsonl"


@pytest.fixture(scope="module")
def sim(truth: Path) -> Iterator[Simulator]:
    """A simulator for the module."""
    with running(truth=truth) as simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> Iterator[OpenAI]:
    """The official client, without retries that could hide a failure."""
    with OpenAI(base_url=sim.base_url, api_key="anything", max_retries=0) as made:
        yield made


def control(**fields: Any) -> dict[str, str]:
    """Metadata with the control field; no waiting unless asked for."""
    return {"bench": json.dumps({"profile": "flood", "tokens": 20} | fields)}


def connect(sim: Simulator) -> http.client.HTTPConnection:
    """A plain connection."""
    parts = urlsplit(sim.base_url)
    return http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)


def ask(sim: Simulator, body: bytes | dict[str, Any], method: str = "POST", path: str = "/v1/responses") -> Any:
    """(status, headers, JSON) of one request."""
    connection = connect(sim)
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    connection.request(method, path, sent or None, {"content-type": "application/json"})
    response = connection.getresponse()
    answer = response.status, dict(response.getheaders()), json.loads(response.read())
    connection.close()
    return answer


def row_of(truth: Path, client_id: str) -> dict[str, Any]:
    """The truth of one response, as soon as it is there."""
    return lines_of(truth, client_id)[0]


def test_strict_helper_text(client: OpenAI) -> None:
    """The SDK's strict streaming helper accepts a text and gives the final response that a blocking call gives."""
    asked: dict[str, Any] = {"model": "sim-1", "input": NONCE + "Hi", "metadata": control()}
    with client.responses.stream(**asked) as stream:
        text = "".join(event.delta for event in stream if event.type == "response.output_text.delta")
        final = stream.get_final_response()
    whole = client.responses.create(**asked, stream=False)
    assert text == final.output_text == whole.output_text
    assert final.usage == whole.usage
    assert final.usage is not None
    assert final.usage.output_tokens == 20
    assert whole.metadata == control()


def test_strict_helper_structured(client: OpenAI) -> None:
    """With a pydantic model as text format both the streaming helper and `parse` give the same instance."""
    asked: dict[str, Any] = {"model": "sim-1", "input": "Hi", "text_format": Product, "metadata": control(tokens=90)}
    with client.responses.stream(**asked) as stream:
        streamed = stream.get_final_response()
    parsed = client.responses.parse(**asked)
    assert isinstance(parsed.output_parsed, Product)
    assert streamed.output_parsed == parsed.output_parsed
    assert streamed.usage == parsed.usage
    assert parsed.usage is not None
    assert parsed.usage.output_tokens == 90


def test_strict_helper_tools(client: OpenAI) -> None:
    """A strict function tool is called with arguments that its model accepts, streamed and blocking alike."""
    function = pydantic_function_tool(Product, name="save_product")["function"]
    tool: Any = {"type": "function", **function}
    asked: dict[str, Any] = {"model": "sim-1", "input": "Hi", "tools": [tool], "metadata": {"bench": "{}"}}
    with client.responses.stream(**asked) as stream:
        deltas = [event.delta for event in stream if event.type == "response.function_call_arguments.delta"]
        streamed = stream.get_final_response().output[0]
    blocking = client.responses.create(**asked, stream=False).output[0]
    assert streamed.type == blocking.type == "function_call"
    assert "".join(deltas) == streamed.arguments == blocking.arguments
    assert streamed.name == "save_product"
    Product.model_validate_json(streamed.arguments)


def test_cut_answer(client: OpenAI) -> None:
    """An answer over `max_output_tokens` ends in `response.incomplete` with usage, and blocking says the same."""
    asked: dict[str, Any] = {"model": "sim-1", "input": "Hi", "max_output_tokens": 5, "metadata": control()}
    *_, last = client.responses.create(**asked, stream=True)
    whole = client.responses.create(**asked, stream=False)
    assert last.type == "response.incomplete"
    assert whole.status == last.response.status == "incomplete"
    assert whole.output_text == last.response.output_text
    assert whole.usage == last.response.usage


def test_seed_and_model(client: OpenAI) -> None:
    """The same seed gives the same answer again, another seed or model another one."""

    def text(model: str = "sim-1", seed: int = 0) -> str:
        made: Response = client.responses.create(model=model, input="Hi", metadata=control(seed=seed), stream=False)
        return made.output_text

    assert text() == text()
    assert len({text(), text(seed=1), text(model="sim-mini")}) == 3


def test_models(client: OpenAI) -> None:
    """The models are listed, each can be asked for, and an unknown one is refused as at OpenAI."""
    assert [model.id for model in client.models.list()] == ["sim-1", "sim-mini"]
    assert client.models.retrieve("sim-mini").owned_by == "streambench"
    with pytest.raises(NotFoundError) as caught:
        client.models.retrieve("gpt-9")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")
    with pytest.raises(BadRequestError, match="allowed: a JSON object with profile, tokens"):
        client.responses.create(model="sim-1", input="x", metadata={"bench": '{"token":1}'}, stream=True)


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "code"),
    [
        ("POST", "/v1/responses", b"{", 400, "invalid_json"),
        ("POST", "/v1/responses", b'{"model":"sim-1"}', 400, "missing_required_parameter"),
        ("POST", "/v1/responses", b'{"model":"x","input":"x"}', 404, "model_not_found"),
        ("POST", "/v1/responses", b" " * (16 * 1024 * 1024 + 1), 413, "request_too_large"),
        ("PUT", "/v1/responses", b"", 405, "method_not_supported"),
        ("POST", "/v1/completions", b"{}", 404, "unknown_url"),
        ("GET", "/", b"", 404, "unknown_url"),
    ],
)
def test_refusals(sim: Simulator, method: str, path: str, body: bytes, status: int, code: str) -> None:
    """Each wrong request gets its status, an error object in OpenAI's shape, and the ids of any response."""
    seen, headers, answer = ask(sim, body, method, path)
    assert seen == status
    assert answer["error"].keys() == {"message", "type", "param", "code"}
    assert answer["error"]["code"] == code
    assert headers["x-request-id"].startswith("req_")
    assert int(headers["openai-processing-ms"]) >= 0


def test_stream_headers(sim: Simulator) -> None:
    """A stream says what it is, and neither asks a proxy not to buffer it nor ends with [DONE]."""
    connection = connect(sim)
    connection.request("POST", "/v1/responses", json.dumps({"model": "sim-1", "input": "x", "stream": True}))
    response = connection.getresponse()
    assert response.headers["content-type"] == "text/event-stream; charset=utf-8"
    assert response.headers["cache-control"] == "no-cache"
    assert "x-accel-buffering" not in response.headers
    assert b"[DONE]" not in response.read()
    connection.close()


@pytest.mark.parametrize("stream", [True, False])
def test_truth_keeps_the_schedule(sim: Simulator, client: OpenAI, truth: Path, stream: bool) -> None:
    """Frames leave at their time, never early and rarely late; a whole body when the last token would have left."""
    name = f"schedule-{stream}"
    settings = control(profile="quick", tokens=60, jitter=0, ttft_ms=50, token_ms=4)
    answer = client.responses.create(
        model="sim-1", input="x", metadata=settings, stream=stream, extra_headers={"X-Client-Request-Id": name}
    )
    list(answer)
    row = row_of(truth, name)
    due = [50 + 4 * number for number in range(60)] if stream else [50 + 4 * 59]
    content = [
        sent for sent, type_ in zip(row["t_sent"], row["type"], strict=True) if type_.endswith(("delta", "body"))
    ]
    late = [(sent - row["t_received"]) / 1e6 - planned for sent, planned in zip(content, due, strict=True)]
    assert min(late) > -0.01
    assert statistics.median(late) < 5


def test_truth_and_client_share_a_clock(sim: Simulator, truth: Path) -> None:
    """Each frame is read after it was sent and soon, by subtraction of two processes' clocks; its length is known."""
    connection = connect(sim)
    body = {"model": "sim-1", "input": "x", "stream": True, "metadata": control(profile="quick", tokens=30)}
    asked = time.perf_counter_ns()
    connection.request("POST", "/v1/responses", json.dumps(body), {"X-Client-Request-Id": "clock"})
    response = connection.getresponse()
    reads, frame = [], b""
    while line := response.readline():
        frame += line
        if line == b"\n":
            reads.append((time.perf_counter_ns(), len(frame)))
            frame = b""
    connection.close()
    row = row_of(truth, "clock")
    assert row["server_id"] == response.headers["x-request-id"]
    assert row["bytes"] == [length for _, length in reads]
    delays = [read - sent for (read, _), sent in zip(reads, row["t_sent"], strict=True)]
    assert asked < row["t_received"] < row["t_sent"][0]
    assert row["t_sent"] == sorted(row["t_sent"])
    assert min(delays) > 0
    assert statistics.median(delays) < 5e6


def test_one_write_a_frame(sim: Simulator) -> None:
    """Frames that are due apart arrive in reads of their own: one HTTP chunk holds one event."""
    body = {"model": "sim-1", "input": "x", "stream": True, "metadata": control(tokens=3)}
    connection = connect(sim)
    connection.request("POST", "/v1/responses", json.dumps(body))
    assert connection.sock is not None
    raw = b""
    while not raw.endswith(b"0\r\n\r\n"):
        raw += connection.sock.recv(65536)
    connection.close()
    chunks = [int(part, 16) for part in raw.partition(b"\r\n\r\n")[2].split(b"\r\n")[::2] if part]
    events = raw.count(b"event: ")
    assert len(chunks) == events + 1
    assert chunks[-1] == 0


@pytest.mark.parametrize("stream", [True, False])
def test_disconnect_stops(sim: Simulator, truth: Path, stream: bool) -> None:
    """When the client goes, the answer is broken off at once and the truth holds what was sent until then."""
    name = f"gone-{stream}"
    body = {"model": "sim-1", "input": "x", "stream": stream, "metadata": control(tokens=10_000, token_ms=10)}
    connection = connect(sim)
    connection.request("POST", "/v1/responses", json.dumps(body), {"X-Client-Request-Id": name})
    if stream:
        connection.getresponse().read1(100)
    else:
        time.sleep(0.1)
    connection.sock.shutdown(socket.SHUT_RDWR)
    connection.close()
    gone = time.perf_counter_ns()
    row = row_of(truth, name)
    assert time.perf_counter_ns() - gone < 2e9
    assert len(row["t_sent"]) < 100
    assert bool(row["t_sent"]) is stream
    assert "response.completed" not in row["type"]


def test_slow_reader(sim: Simulator, truth: Path) -> None:
    """A client that reads late holds only its own stream up, and no frame is stamped long before it could leave."""
    body = {"model": "sim-1", "input": "x", "stream": True, "metadata": control(tokens=60_000)}
    connection = connect(sim)
    connection.sock = socket.create_connection((connection.host, connection.port))
    connection.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65536)
    connection.request("POST", "/v1/responses", json.dumps(body), {"X-Client-Request-Id": "slow"})
    response = connection.getresponse()
    time.sleep(0.5)
    assert ask(sim, {"model": "sim-1", "input": "x", "metadata": control(tokens=3)})[0] == 200
    resumed = time.perf_counter_ns()
    text = response.read()
    connection.close()
    row = row_of(truth, "slow")
    assert text.count(b"event: response.output_text.delta") == 60_000
    assert row["t_sent"][-1] > resumed
    assert row["type"][-1] == "response.completed"


def test_flood_is_fast(sim: Simulator, truth: Path) -> None:
    """Undisturbed, 20,000 tokens leave at 20,000 events a second and more, and begin at once."""
    begins, rates = [], []
    for number in range(3):
        body = {"model": "sim-1", "input": "x", "stream": True, "metadata": control(tokens=20_000)}
        connection = connect(sim)
        connection.request("POST", "/v1/responses", json.dumps(body), {"X-Client-Request-Id": f"flood-{number}"})
        connection.getresponse().read()
        connection.close()
        row = row_of(truth, f"flood-{number}")
        begins.append(row["t_sent"][0] - row["t_received"])
        rates.append(len(row["t_sent"]) / (row["t_sent"][-1] - row["t_sent"][0]) * 1e9)
    assert min(begins) < 100e6
    assert max(rates) > 20_000


def test_identity(sim: Simulator) -> None:
    """The identity holds the nonce of the simulator that was started."""
    status, _, answer = ask(sim, b"", "GET", "/bench/identity")
    assert status == 200
    assert answer["nonce"] == sim.nonce
    assert answer["name"] == "streambench-simulator"


def alive(pid: int) -> bool:
    """Whether the process exists."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_ctrl_c_is_the_callers(sim: Simulator) -> None:
    """The simulator has a session of its own, so the terminal's Ctrl-C does not reach it."""
    assert os.getsid(sim.pid) == sim.pid != os.getsid(0)


@pytest.mark.slow
def test_killed_caller(tmp_path: Path) -> None:
    """It starts whatever modules lie in the current folder, and does not outlive a caller that is killed."""
    (tmp_path / "orjson.py").write_text("raise SystemExit('the wrong module')")
    code = """
import time
from bench.simulator.process import running
with running() as simulator:
    print(simulator.pid, flush=True)
    time.sleep(60)
"""
    command = [sys.executable, "-P", "-c", code]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE) as caller:
        assert caller.stdout is not None
        pid = int(caller.stdout.readline())
        caller.kill()
    for _ in range(200):
        if not alive(pid):
            break
        time.sleep(0.02)
    assert not alive(pid)


def test_running_ends_the_process(tmp_path: Path) -> None:
    """After the block the process is gone, with an open stream too, which is in the truth as far as it came."""
    truth = tmp_path / "truth.jsonl"
    with running(truth=truth, profile="slow") as simulator:
        connection = connect(simulator)
        connection.request("POST", "/v1/responses", json.dumps({"model": "sim-1", "input": "x", "stream": True}))
        connection.getresponse().read1(10)
        began = time.monotonic()
    assert time.monotonic() - began < 3
    connection.close()
    assert not alive(simulator.pid)
    assert [row["type"] for row in read_truth(truth)] == [["response.created", "response.in_progress"]]


def test_does_not_start(tmp_path: Path) -> None:
    """A simulator that cannot start is one line with its own last words."""
    unknown = "did not start: error: unknown simulator profile 'quik'"
    with pytest.raises(BenchError, match=unknown) as caught, running(profile="quik"):
        pass
    assert "\n" not in str(caught.value)
    with pytest.raises(BenchError, match="did not start: error: --truth"), running(truth=tmp_path / "no" / "t"):
        pass


def spawn(*options: str, **how: Any) -> subprocess.Popen[bytes]:
    """The command itself."""
    command = [sys.executable, "-m", "bench.simulator", *options]
    return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, **how)


ENDINGS: dict[str, Callable[[subprocess.Popen[bytes]], None]] = {
    "stdin": lambda child: child.stdin.close() if child.stdin else None,
    "SIGTERM": lambda child: os.kill(child.pid, signal.SIGTERM),
    "SIGINT": lambda child: os.kill(child.pid, signal.SIGINT),
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_ends(ending: str) -> None:
    """The end of stdin, SIGTERM and SIGINT each end it cleanly, soon and silently, a stream in flight or not."""
    with spawn("--watch-stdin", "--profile", "slow", "--nonce", "abc", stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        simulator = Simulator(**json.loads(child.stdout.readline()))
        assert (simulator.nonce, simulator.pid) == ("abc", child.pid)
        connection = connect(simulator)
        connection.request("POST", "/v1/responses", json.dumps({"model": "sim-1", "input": "x", "stream": True}))
        connection.getresponse().read1(10)
        ENDINGS[ending](child)
        assert child.wait(3) == 0
        connection.close()
        assert child.stderr.read() == b""


@pytest.mark.slow
def test_stuck_loop() -> None:
    """A simulator whose event loop is stuck ends with its stdin all the same."""
    code = """
import threading, uvicorn
from bench.simulator.server import end_with_stdin
threading.Thread(target=end_with_stdin, args=(uvicorn.Server(uvicorn.Config("")),), daemon=True).start()
while True:
    pass
"""
    with subprocess.Popen([sys.executable, "-c", code], cwd=ROOT, stdin=subprocess.PIPE) as child:
        try:
            child.communicate(timeout=20)
            assert child.returncode == 1
        finally:
            child.kill()


def test_port_in_use() -> None:
    """A port that is taken, or no port at all, is one line on stderr and exit code 2."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        for port in (taken.getsockname()[1], 99_999):
            with spawn("--port", str(port)) as child:
                _, errors = child.communicate(timeout=20)
            assert child.returncode == 2
            assert errors.startswith(f"error: cannot listen on 127.0.0.1 port {port}".encode())
            assert errors.count(b"\n") == 1


@pytest.mark.skipif(not socket.has_ipv6 or not Path("/proc/net/if_inet6").exists(), reason="this machine has no IPv6")
def test_ipv6() -> None:
    """On an IPv6 address the base URL has brackets and works."""
    with spawn("--host", "::1", "--watch-stdin", stdin=subprocess.PIPE) as child:
        assert child.stdout is not None
        simulator = Simulator(**json.loads(child.stdout.readline()))
        assert simulator.base_url.startswith("http://[::1]:")
        assert ask(simulator, b"", "GET", "/v1/models")[0] == 200
        child.terminate()
