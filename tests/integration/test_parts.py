"""The servers that the doctor is tried on deliver as they are said to: a bare socket says so."""

from __future__ import annotations

import json
import socket
import time
from collections.abc import Iterable, Iterator
from itertools import pairwise, product
from urllib.parse import urlsplit

import pytest
from _pytest.mark import ParameterSet

from bench.simulator.process import Simulator, running
from tests.support.parts.reading import Reading, body_for, read
from tests.support.parts.redelivery import redelivered
from tests.support.parts.ways import BROKEN, LUMPS, STREAMING, WAYS

pytestmark = pytest.mark.paced

APIS = ("responses", "chat")
TOKENS = 64
GENERATED_MS = 120 + 5 * TOKENS
"""What the simulator takes for an answer."""
LATE_MS = 120
"""By how much a time may be off on a busy machine."""
FIRST_MS = {"slow_first": 1200, "irregular": 0}
"""At least before the first token, where that is not 80."""


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """One for all."""
    with running() as one:
        yield one


def through(
    simulator: Simulator, name: str, api: str, *, tokens: int = TOKENS, mode: str = "text", stream: bool = True
) -> Reading:
    """One answer of a server that delivers in this way."""
    with redelivered(simulator.base_url, WAYS[name]) as base_url:
        return read(base_url, body_for(api, stream, tokens, mode))


def cases(names: Iterable[str], *quick: str) -> list[ParameterSet]:
    """Each with both APIs; in the default run only some, with one."""
    return [
        pytest.param(name, api, marks=() if name in quick and api == APIS[0] else pytest.mark.slow)
        for name, api in product(names, APIS)
    ]


def deltas(data: bytes) -> int:
    """Pieces of a text."""
    return data.count(b'"type":"response.output_text.delta"') + data.count(b'"delta":{"content":')


def ended(data: bytes) -> bool:
    """Whether the data has a terminal event."""
    return b'"type":"response.completed"' in data or b"[DONE]" in data


@pytest.mark.parametrize(("name", "api"), cases(STREAMING, "plain"))
def test_streaming_ones_stream(simulator: Simulator, name: str, api: str) -> None:
    """A delta for each token that was asked for, headers at once, and no read that brings many of them."""
    seen = through(simulator, name, api)
    brought = [at for at, data in seen.reads if deltas(data)]
    assert deltas(seen.body) == TOKENS
    assert ended(seen.body)
    assert seen.headers_ms is not None
    assert seen.headers_ms < LATE_MS
    assert brought[0] > FIRST_MS.get(name, 80)
    assert len(brought) > TOKENS / 4


@pytest.mark.parametrize(("name", "api"), cases(LUMPS))
def test_lumps(simulator: Simulator, name: str, api: str) -> None:
    """All but the last lump are of the size, or as far apart, as the name says; the headers come at once."""
    seen = through(simulator, name, api)
    bursts = seen.bursts()
    assert seen.headers_ms is not None
    assert seen.headers_ms < LATE_MS
    assert ended(seen.body)
    if name.startswith("every"):
        period = int(name.split("_")[1])
        gaps = [after - before for (before, _), (after, _) in pairwise([(0.0, 0), *bursts[:-1]])]
        assert min(gaps) > 0.9 * period
        assert len(bursts) > GENERATED_MS / period / 2
    else:
        size = 1024 * int(name.split("_")[1].rstrip("k"))
        assert {length for _, length in bursts[:-1]} == {size}
        assert len(bursts) == -(-len(seen.body) // size) or bursts[-1][1] > size  # the last goes with the rest


@pytest.mark.parametrize(("name", "api"), cases(("late", "at_once", "replayed", "json")))
def test_held_back_until_it_is_complete(simulator: Simulator, name: str, api: str) -> None:
    """Nothing of the body arrives before the whole is generated; headers early or late as the name says."""
    seen = through(simulator, name, api)
    assert seen.headers_ms is not None
    assert seen.first_ms == pytest.approx(GENERATED_MS, abs=LATE_MS)
    assert (seen.headers_ms < LATE_MS) is (name in {"at_once", "replayed"})
    assert (seen.headers["content-type"] == "application/json") is (name == "json")
    assert ended(seen.body) is (name != "json")
    assert seen.end_ms is not None
    assert (seen.end_ms - seen.first_ms > TOKENS * 2) is (name == "replayed")


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
def test_arguments_whole(simulator: Simulator, api: str) -> None:
    """Text comes delta by delta as ever; a call's arguments are one delta at the end, the same as when they stream."""
    piece = {"responses": b'"type":"response.function_call_arguments.delta"', "chat": b'"function":{"arguments":"'}[api]
    seen, usual = (through(simulator, name, api, mode="tools") for name in ("arguments_whole", "plain"))
    assert usual.body.count(piece) == TOKENS
    assert seen.body.count(piece) == 1
    assert deltas(through(simulator, "arguments_whole", api).body) == TOKENS
    (at,) = [at for at, data in seen.reads if piece in data]
    assert at == pytest.approx(GENERATED_MS, abs=LATE_MS)
    assert arguments(seen.body, api) == arguments(usual.body, api)


def arguments(body: bytes, api: str) -> str:
    """All pieces together."""
    found = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    if api == "responses":
        return "".join(event["delta"] for event in found if event["type"].endswith("arguments.delta"))
    calls = [event["choices"][0]["delta"].get("tool_calls") for event in found if event["choices"]]
    return "".join(call[0]["function"]["arguments"] for call in calls if call)


@pytest.mark.slow
@pytest.mark.parametrize("api", APIS)
def test_broken_ones_are_broken(simulator: Simulator, api: str) -> None:
    """Each in its own way and in no other; asked without `stream`, all but the limited ones answer."""
    seen = {name: through(simulator, name, api, tokens=32) for name in BROKEN}
    assert {name for name, one in seen.items() if one.headers["content-type"].startswith("text/plain")} == {
        "text_plain"
    }
    assert {name for name, one in seen.items() if one.status == 429} == {"limited", "limited_for_1_s"}
    assert {name for name, one in seen.items() if one.headers.get("retry-after") == "1"} == {"limited_for_1_s"}
    assert {name for name, one in seen.items() if one.end_ms is None} == {"cut_off"}
    assert {name for name, one in seen.items() if ended(one.body)} == {"text_plain", "half_a_frame"}
    assert {name for name, one in seen.items() if halves(one.body)} == {"half_a_frame"}
    whole = through(simulator, "without_end", api, tokens=32, stream=False)
    assert json.loads(whole.body)["usage"]["total_tokens"] > 32


def halves(body: bytes) -> int:
    """Frames that are no JSON."""
    found = 0
    for line in body.splitlines():
        try:
            json.loads(line[6:] if line.startswith(b"data: {") else b"0")
        except json.JSONDecodeError:
            found += 1
    return found


@pytest.mark.slow
def test_closing_one_closes(simulator: Simulator) -> None:
    """It says so in each answer and does it; the plain one answers a second request on the same connection."""
    for name, answers in (("closing", 1), ("plain", 2)):
        with redelivered(simulator.base_url, WAYS[name]) as base_url:
            url = urlsplit(base_url)
            with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10) as connection:
                request = f"GET /v1/models HTTP/1.1\r\nHost: {url.netloc}\r\n\r\n".encode()
                assert (b"connection: close" in ask(connection, request)) is (answers == 1)
                assert bool(ask(connection, request)) is (answers == 2)


def ask(connection: socket.socket, request: bytes) -> bytes:
    """One request and what comes of its answer; nothing where the other side has closed."""
    try:
        connection.sendall(request)
        return connection.recv(65536)
    except ConnectionError:
        return b""


@pytest.mark.slow
def test_who_leaves_is_seen_upstream(tmp_path_factory: pytest.TempPathFactory) -> None:
    """A client that goes in the middle of a stream ends it in the simulator too, and no route tells who is there."""
    log = tmp_path_factory.mktemp("log") / "truth"
    with running(truth=log) as simulator, redelivered(simulator.base_url, WAYS["plain"]) as base_url:
        read(base_url, body_for("responses", tokens=1000), most_reads=10)
        until = time.monotonic() + 5
        while time.monotonic() < until and not (log.exists() and log.read_text()):
            time.sleep(0.02)
        assert json.loads(log.read_text())["gone"] is not None
        url = urlsplit(base_url)
        with socket.create_connection((str(url.hostname), int(url.port or 0)), timeout=10) as connection:
            assert ask(connection, b"GET /bench/identity HTTP/1.1\r\nHost: x\r\n\r\n").startswith(b"HTTP/1.1 404")
