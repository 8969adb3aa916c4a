"""The simulator behind a gateway, as the doctor asks it for log and clock; or one line that says why it cannot."""

from __future__ import annotations

import asyncio
import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from openai import OpenAI

from bench.core.errors import BenchError
from bench.doctor.clock import ONE_CLOCK, Offset
from bench.doctor.probe.source import simulator_at
from bench.doctor.verdict.path import UpstreamResponse, delays
from bench.simulator.process import running

NONCE = "[00000000000000c1]"
IDENTITY = {"name": "streambench-simulator", "nonce": "x", "version": "0.1"}


@contextmanager
def answering(answers: dict[str, Any]) -> Iterator[str]:
    """A server with these answers by path, as JSON; the base URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            body = answer if isinstance(answer, bytes) else json.dumps(answer or {"error": {}}).encode()
            self.send_response(200 if answer else 404)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/v1"
        finally:
            server.shutdown()
            thread.join()


async def offset_of(url: str) -> Offset:
    """How far the clock of the simulator there is ahead."""
    async with simulator_at(url) as source:
        return await source.offset()


async def sent_by(url: str, nonce: str) -> list[UpstreamResponse]:
    """What the simulator there sent."""
    async with simulator_at(url) as source:
        return list(await source.responses_to(nonce))


def test_the_log_of_a_question() -> None:
    """It is what left: while an answer is under way its end is waited for; a nonce that nobody used has nothing."""
    control = json.dumps({"tokens": 20, "ttft_ms": 10, "token_ms": 20})
    with running(keep=4) as simulator, OpenAI(base_url=simulator.base_url, api_key="none") as client:
        asked: Any = {"model": "sim-1", "input": f"{NONCE} Hi", "metadata": {"bench": control}}
        with client.responses.create(**asked, stream=True) as stream:
            next(event for event in stream if event.type == "response.output_text.delta")
            (response,) = asyncio.run(sent_by(simulator.base_url, NONCE))
            text = client.responses.create(**asked).output_text
        assert response.done
        assert response.types[-1] == "response.completed"
        assert len(response.steps) == 20
        assert response.steps[-1][1] == len(text)
        assert delays(response.steps, response.steps) == [0] * 20
        assert asyncio.run(sent_by(simulator.base_url.removesuffix("/v1"), "[00000000000000c2]")) == []


def test_one_clock() -> None:
    """A simulator on this machine has this process' clock."""
    with running(keep=1) as simulator:
        assert asyncio.run(offset_of(simulator.base_url)) == ONE_CLOCK


def test_another_clock() -> None:
    """A simulator of another boot is as far ahead as it says, give or take half of a round trip."""
    answers = {"/bench/identity": IDENTITY, "/bench/clock": {"t": 0, "boot": None}, "/bench/sent/" + "0" * 16: {"r": 1}}
    with answering(answers) as url:
        found = asyncio.run(offset_of(url))
    assert not found.same_machine
    assert found.ns < 0 < found.error_ns < 1e9


def test_nobody_there() -> None:
    """No server, another server and nonsense for a URL are each one line that says what to do."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}/v1"
        with pytest.raises(BenchError, match=r"^no simulator at .*: start one with `bench serve`, or .* --sim URL$"):
            asyncio.run(offset_of(nowhere))
    for answers in (
        {},
        {"/bench/identity": b"<html>"},
        {"/bench/identity": b"[1]"},
        {"/bench/identity": {"name": "x"}},
    ):
        with answering(answers) as url, pytest.raises(BenchError, match="something else answers there"):
            asyncio.run(offset_of(url))
    for url in ("127.0.0.1:8080", "http://127.0.0.1:no"):
        with pytest.raises(BenchError, match=f"^no simulator at {url}"):
            asyncio.run(offset_of(url))


def test_one_that_keeps_nothing() -> None:
    """The simulator of a run, and one of a version without a log, are named with what to start instead."""
    expected = r"version .*\) keeps no send log for others: end it and start `bench serve`"
    with running() as simulator, pytest.raises(BenchError, match=expected):
        asyncio.run(offset_of(simulator.base_url))
    with answering({"/bench/identity": IDENTITY}) as url, pytest.raises(BenchError, match=expected):
        asyncio.run(offset_of(url))


def test_a_newer_one() -> None:
    """What a later simulator says besides is passed over."""
    row = {"t_received": 1, "t_sent": [2], "type": ["a"], "chars": [3], "bytes": [4], "news": True, "done": True}
    answers = {
        "/bench/identity": IDENTITY,
        "/bench/clock": {"t": 1},
        f"/bench/sent/{'0' * 16}": {"responses": [row]},
    }
    with answering(answers) as url:
        (response,) = asyncio.run(sent_by(url, "0" * 16))
    assert response.steps == [(2, 3)]
