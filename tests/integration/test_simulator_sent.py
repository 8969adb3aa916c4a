"""The simulator's send log over HTTP: which responses are kept, and that what it says is what left."""

from __future__ import annotations

import http.client
import json
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2
import pytest
from openai import OpenAI

from bench.core import linux as kernel
from bench.simulator import truth as truth_module
from bench.simulator.process import Simulator, running
from bench.simulator.truth import SentResponse, TruthLog
from tests.support.send_log import lines_of

KEPT = 3
FUNCTION: Any = {"name": "find", "parameters": {"type": "object", "properties": {"q": {}}}}


@pytest.fixture(scope="module")
def truth(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The truth file of the module's simulator."""
    return tmp_path_factory.mktemp("sim") / "truth.jsonl"


@pytest.fixture(scope="module")
def sim(truth: Path) -> Iterator[Simulator]:
    """A simulator that keeps a few responses."""
    with running(truth=truth, keep=KEPT) as simulator:
        yield simulator


@pytest.fixture
def client(sim: Simulator) -> Iterator[OpenAI]:
    """The official client."""
    with OpenAI(base_url=sim.base_url, api_key="a-secret", max_retries=0) as made:
        yield made


def control(**fields: Any) -> dict[str, str]:
    """Metadata with the control field; no waiting unless asked for."""
    return {"bench": json.dumps({"profile": "flood", "tokens": 12} | fields)}


def sent(sim: Simulator, nonce: str) -> list[dict[str, Any]]:
    """What the simulator says of the question with that nonce, when that has ended."""
    for _ in range(200):
        found = under_way(sim, nonce)
        if all(row["done"] for row in found):
            return found
        time.sleep(0.02)
    raise AssertionError(f"{nonce} does not end")


def under_way(sim: Simulator, nonce: str) -> list[dict[str, Any]]:
    """What it says now."""
    answer = httpx2.get(f"{sim.base_url.removesuffix('/v1')}/bench/sent/{nonce}", trust_env=False)
    assert answer.status_code == 200
    found: list[dict[str, Any]] = answer.json()["responses"]
    return found


def test_what_left(sim: Simulator, client: OpenAI, truth: Path) -> None:
    """Stamps, types and sizes are those of the truth file, and the characters those of the deltas that a client got."""
    asked: Any = {"model": "sim-1", "input": "[00000000000000a1] Hi", "metadata": control(tokens_per_event=3)}
    events = list(client.responses.create(**asked, stream=True, extra_headers={"X-Client-Request-Id": "a1"}))
    (row,) = sent(sim, "00000000000000a1")
    (line,) = lines_of(truth, "a1")
    assert row["type"] == [event.type for event in events]
    assert {name: row[name] for name in ("client_id", "t_received", "t_sent", "type", "bytes")} == {
        name: line[name] for name in ("client_id", "t_received", "t_sent", "type", "bytes")
    }
    deltas = [event.delta if event.type == "response.output_text.delta" else "" for event in events]
    assert row["chars"] == list(map(len, deltas))
    assert sum(map(bool, row["chars"])) == 4
    assert (row["gone"], row["fault"], row["method"], row["path"]) == (None, None, "POST", "/v1/responses")


def test_what_left_as_chat(sim: Simulator, client: OpenAI) -> None:
    """Chunks of a call are counted by their arguments, however the characters are written; `[DONE]` counts nothing."""
    script = [{"items": [{"type": "function_call", "name": "find", "arguments": '{"q": "Tee für zwölf 🫖"}'}]}]
    asked: dict[str, Any] = {
        "model": "sim-1",
        "messages": [{"role": "user", "content": "[00000000000000a2] Hi"}],
        "tools": [{"type": "function", "function": FUNCTION}],
        "metadata": control(answers=script),
    }
    chunks = client.chat.completions.create(**asked, stream=True)
    calls = [chunk.choices[0].delta.tool_calls if chunk.choices else None for chunk in chunks]
    texts = [call[0].function.arguments or "" if call and call[0].function else "" for call in calls]
    (row,) = sent(sim, "[00000000000000a2]")
    assert sum(row["chars"]) == len('{"q": "Tee für zwölf 🫖"}')
    assert [chars for chars in row["chars"] if chars] == [len(text) for text in texts if text]
    assert row["path"] == "/v1/chat/completions"


def test_a_blocking_answer(sim: Simulator, client: OpenAI) -> None:
    """A body has no deltas, so that it shows when a gateway did not ask for a stream."""
    client.responses.create(model="sim-1", input="[00000000000000a3] Hi", metadata=control())
    (row,) = sent(sim, "00000000000000a3")
    assert (row["type"], row["chars"]) == (["body"], [0])


def test_under_way(sim: Simulator, client: OpenAI) -> None:
    """A response is there while it is being sent, as far as it came, and again when its client left: with when."""
    asked: Any = {"model": "sim-1", "input": "[00000000000000a4] Hi", "metadata": control(ttft_ms=0, token_ms=200)}
    with client.responses.create(**asked, stream=True) as stream:
        next(event for event in stream if event.type == "response.output_text.delta")
        (row,) = under_way(sim, "00000000000000a4")
        assert not row["done"]
        assert 0 < len(row["t_sent"]) == len(row["chars"]) == len(row["bytes"]) < 12
        assert row["gone"] is None
    (row,) = sent(sim, "00000000000000a4")
    assert row["gone"] > row["t_sent"][-1]


def test_how_it_was_asked(sim: Simulator) -> None:
    """HTTP version and the headers that tell a gateway are there, repeated ones joined, and no key or any other."""
    parts = urlsplit(sim.base_url)
    connection = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=20)
    connection._http_vsn, connection._http_vsn_str = 10, "HTTP/1.0"  # type: ignore[attr-defined]
    body = json.dumps({"model": "sim-1", "input": "[00000000000000a5] Hi", "stream": True, "metadata": control()})
    connection.putrequest("POST", "/v1/responses", skip_accept_encoding=True)
    for name, value in (
        ("Via", "1.1 first"),
        ("Via", "1.1 second"),
        ("Connection", "close"),
        ("User-Agent", "a gateway"),
        ("Authorization", "Bearer a-secret"),
        ("Cookie", "a-secret"),
        ("Content-Length", str(len(body))),
    ):
        connection.putheader(name, value)
    connection.endheaders(body.encode())
    connection.getresponse().read()
    connection.close()
    (row,) = sent(sim, "00000000000000a5")
    assert row["http_version"] == "1.0"
    assert row["headers"] == {"via": "1.1 first, 1.1 second", "connection": "close", "user-agent": "a gateway"}
    assert "a-secret" not in json.dumps(row)


def test_the_latest_are_kept(sim: Simulator, client: OpenAI) -> None:
    """Of more responses than there is room for the oldest is gone; two to one question are both there, oldest first."""
    for nonce in ("b1", "b2", "b3", "b3"):
        client.responses.create(model="sim-1", input=f"[00000000000000{nonce}] Hi", metadata=control())
    client.responses.create(model="sim-1", input="no nonce, so nobody could ask for it", metadata=control())
    assert sent(sim, "00000000000000b1") == []
    assert len(sent(sim, "00000000000000b2")) == 1
    first, second = sent(sim, "00000000000000b3")
    assert first["t_received"] < second["t_received"]


def test_no_more_memory_than_said(monkeypatch: pytest.MonkeyPatch) -> None:
    """When the kept frames are too many bytes together, the oldest responses make room for the next one."""
    monkeypatch.setattr(truth_module, "_MOST_BYTES", 1000)
    scope = {"method": "POST", "path": "/", "http_version": "1.1", "headers": []}
    with closing(TruthLog(None, keep=64)) as log:
        for number in range(4):
            sent = SentResponse(client_id=None, server_id="", t_received=number, nonce="[0]")
            log.begin(sent, scope)
            sent.stamp("body", b"x" * 600)
        assert [sent.t_received for sent in log.responses_to("[0]")] == [2, 3]


def test_without_keeping() -> None:
    """The simulator of a run keeps nothing, says so, and still has a clock."""
    with running() as simulator:
        root = simulator.base_url.removesuffix("/v1")
        answer = httpx2.get(f"{root}/bench/sent/00000000000000a1", trust_env=False)
        assert answer.status_code == 404
        assert "use `bench serve`" in answer.json()["error"]["message"]
        before = time.perf_counter_ns()
        told = httpx2.get(f"{root}/bench/clock", trust_env=False).json()
        assert before < told["t"] < time.perf_counter_ns()
        assert told["boot"] == kernel.boot()
