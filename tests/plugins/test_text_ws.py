"""Responses over WebSocket: the simulator's side with the SDK, and what the tap makes of good and bad ends."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2
import openai
import pytest
from websockets.frames import OP_CLOSE, OP_TEXT, Close, Frame
from websockets.utils import accept_key

from bench import Ask, Scenario
from bench.core.plugins.loader import load
from bench.simulator.process import Simulator, running
from tests.support import events as e
from tests.support.harness import Measured, measure
from tests.support.scenarios import TEXT
from tests.support.scripted import CLOSE, RST, Request, Script, Step, head, json_response, scripted
from tests.support.send_log import lines_of

CONTROL = {"tokens": 12, "ttft_ms": 40, "token_ms": 2, "jitter": 0}
LATE_NS = 2_000_000_000
"""A generous bound for how late a stamp may be on a busy machine."""


@dataclass(frozen=True)
class Sim:
    """A simulator for the whole file, and its send log."""

    simulator: Simulator
    log: Path

    @property
    def base_url(self) -> str:
        """Where it listens."""
        return self.simulator.base_url

    def sent(self, client_id: str) -> dict[str, Any]:
        """The log's line on one attempt."""
        (line,) = lines_of(self.log, client_id)
        return line


@pytest.fixture(scope="module")
def sim(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sim]:
    """One simulator for all tests of this file."""
    log = tmp_path_factory.mktemp("truth") / "truth.jsonl"
    with running(truth=log) as simulator:
        yield Sim(simulator, log)


@pytest.fixture(scope="module")
def text_ws() -> Scenario:
    """The built-in scenario."""
    return load().scenarios["text_ws"][0]


def on_sim(tmp_path: Path, sim: Sim, scenario: Scenario, **options: Any) -> Measured:
    """One pair on the simulator."""
    return measure(tmp_path, sim.base_url, scenario, simulated=True, **{"control": CONTROL, **options})


def attempt_of(measured: Measured, delivery: str = "streamed") -> dict[str, Any]:
    """The only attempt of a delivery."""
    trial_id = measured.trial(delivery)["trial_id"]
    (row,) = [row for row in measured["attempts"] if row["trial_id"] == trial_id]
    return row


def test_text_over_websocket_is_measured_like_a_stream(tmp_path: Path, sim: Sim, text_ws: Scenario) -> None:
    """Both ways give the same text; every message is an event whose stamp follows the simulator's send time."""
    measured = on_sim(tmp_path, sim, text_ws)
    streamed, blocking = measured.trial("streamed"), measured.trial("blocking")
    assert (streamed["status"], blocking["status"]) == ("ok", "ok")
    assert streamed["result_sha256"] == blocking["result_sha256"]
    assert (streamed["deltas"], streamed["output_tokens"]) == (12, 12)
    attempt = attempt_of(measured)
    assert (attempt["method"], attempt["status"], attempt["terminal"]) == ("WS", 101, "completed")
    assert (attempt["closed_early"], attempt["error"]) == (False, None)
    assert attempt["t_start"] <= attempt["t_connected"] <= attempt["t_headers"] <= attempt["t_sent"]
    truth = sim.sent(attempt["client_id"])
    stamps = [event["t_read"] for event in measured["events"] if event["trial_id"] == streamed["trial_id"]]
    late = [read + measured.t0 - sent for read, sent in zip(stamps, truth["t_sent"], strict=True)]
    assert min(late) >= 0
    assert max(late) < LATE_NS
    assert streamed["t_first_token"] <= streamed["t_first_useful"] <= streamed["t_end"]


def test_the_same_events_come_by_websocket_and_by_http(tmp_path: Path, sim: Sim, text_ws: Scenario) -> None:
    """A WebSocket carries the events of the SSE stream, in their order."""

    def types(folder: str, scenario: Scenario) -> list[str]:
        (tmp_path / folder).mkdir()
        measured = on_sim(tmp_path / folder, sim, scenario, deliveries=("streamed",))
        return [event["type"] for event in measured["events"]]

    assert types("ws", text_ws) == types("http", TEXT)


async def two_in_turn(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Two requests on one connection, the second going on from the first."""
    async with client.responses.connect() as connection:
        previous = None
        for _ in range(2):
            await connection.response.create(**ask.request, previous_response_id=previous)
            async for event in connection:
                if event.type == "response.output_text.delta":
                    yield event.delta
                if event.type == "response.completed":
                    previous = event.response.id
                    break


def test_requests_on_one_connection_are_attempts_of_their_own(tmp_path: Path, sim: Sim) -> None:
    """The second request reuses the connection, has its own stamps and its own line in the simulator's log."""
    measured = on_sim(tmp_path, sim, Scenario("two", two_in_turn), deliveries=("streamed",))
    trial, attempts = measured.trial(), measured["attempts"]
    assert (trial["status"], trial["requests"], trial["attempts"]) == ("ok", 2, 2)
    assert [row["reused"] for row in attempts] == [False, True]
    assert len({row["connection"] for row in attempts}) == 1
    assert [row["terminal"] for row in attempts] == ["completed", "completed"]
    assert attempts[0]["t_end"] <= attempts[1]["t_sent"] <= attempts[1]["t_first_read"]
    for row in attempts:
        assert len(sim.sent(row["client_id"])["t_sent"]) == row["events"]


@asynccontextmanager
async def open_connection(client: Any, _ask: Ask) -> AsyncIterator[Any]:
    """A connection that is open before the clock starts."""
    async with client.responses.connect() as connection:
        yield connection


async def on_resource(_client: Any, ask: Ask) -> AsyncIterator[str]:
    """One request on the connection of `setup`."""
    await ask.resource.response.create(**ask.request)
    async for event in ask.resource:
        if event.type == "response.output_text.delta":
            yield event.delta
        if event.type == "response.completed":
            break


def test_a_connection_of_setup_is_measured_from_the_request_on(tmp_path: Path, sim: Sim) -> None:
    """The handshake belongs to no trial; the request is an attempt on a connection that was there already."""
    scenario = Scenario("warm", on_resource, setup=open_connection)
    measured = on_sim(tmp_path, sim, scenario, deliveries=("streamed",))
    (attempt,) = measured["attempts"]
    assert measured.trial()["status"] == "ok"
    assert (attempt["reused"], attempt["t_connect"], attempt["terminal"]) == (True, None, "completed")
    assert len(sim.sent(attempt["client_id"])["t_sent"]) == attempt["events"]


def test_a_request_on_a_dead_connection_is_a_failure(tmp_path: Path) -> None:
    """A connection that the server has left since `setup` takes no request: cut, and the reason is said."""

    async def late(client: Any, ask: Ask) -> AsyncIterator[str]:
        await ask.resource._connection.wait_closed()
        async for piece in on_resource(client, ask):
            yield piece

    with scripted(upgraded(farewell(1001), CLOSE)) as server:
        scenario = Scenario("dead", late, setup=open_connection)
        measured = measure(tmp_path, server.base_url, scenario, deliveries=("streamed",), deadline=5)
    trial = measured.trial()
    assert (trial["status"], trial["attempts"]) == ("cut_mid_stream", 1)
    assert "ConnectionClosed" in trial["error"]


async def leaves_early(client: Any, ask: Ask) -> AsyncIterator[str]:
    """The first text is enough."""
    async with client.responses.connect() as connection:
        await connection.response.create(**ask.request)
        async for event in connection:
            if event.type == "response.output_text.delta":
                yield event.delta
                break


def test_leaving_early_is_no_failure_and_stops_the_simulator(tmp_path: Path, sim: Sim) -> None:
    """The trial is ok, its attempt closed early, and the simulator's log shows when the client was gone."""
    control = {**CONTROL, "tokens": 500, "token_ms": 20}
    measured = on_sim(tmp_path, sim, Scenario("early", leaves_early), deliveries=("streamed",), control=control)
    attempt = attempt_of(measured)
    assert (measured.trial()["status"], attempt["closed_early"], attempt["terminal"]) == ("ok", True, None)
    line = sim.sent(attempt["client_id"])
    assert line["gone"] is not None
    assert len(line["t_sent"]) < 250


def test_a_refused_event_is_an_error_and_the_connection_stays(sim: Sim) -> None:
    """Errors are events with status and nested error, as OpenAI's are; the next request is answered."""

    async def go() -> list[Any]:
        client = openai.AsyncOpenAI(base_url=sim.base_url, api_key="key")
        async with client, client.responses.connect() as connection:
            await connection.response.create(model="gpt-none", input="x")
            refused = await connection.recv()
            await connection.response.create(model="sim-1", input="x")
            return [refused, await connection.recv()]

    refused, first = asyncio.run(go())
    assert (refused.type, refused.status, refused.error.code) == ("error", 404, "model_not_found")
    assert first.type == "response.created"


def test_a_get_without_upgrade_says_what_is_there(sim: Sim) -> None:
    """An ordinary GET is answered with 426 and a line on what to do."""
    answer = httpx2.get(f"{sim.base_url}/responses", trust_env=False)
    assert answer.status_code == 426
    assert "WebSocket" in answer.json()["error"]["message"]


FAULTS = {
    "cut": "cut_mid_stream",
    "silent_end": "no_terminal_event",
    "malformed": "malformed",
    "error_nested": "in_band_error",
    "failed": "in_band_error",
}


@pytest.mark.parametrize(("kind", "status"), FAULTS.items(), ids=FAULTS)
def test_faults_of_the_simulator_are_found(tmp_path: Path, sim: Sim, text_ws: Scenario, kind: str, status: str) -> None:
    """What a script breaks over WebSocket is classified as over HTTP, and is in the log."""
    faults = [{"kind": kind}] * 20  # the nonce is that of other tests here, so this is not its first attempt
    control = {**CONTROL, "answers": [{"faults": faults}]}
    measured = on_sim(tmp_path, sim, text_ws, deliveries=("streamed",), control=control)
    assert measured.trial()["status"] == status
    assert sim.sent(attempt_of(measured)["client_id"])["fault"] == kind


def upgraded(*steps: Step) -> Any:
    """A server that takes the handshake and goes on with these steps."""

    def script(request: Request) -> Script:
        key = accept_key(request.headers["sec-websocket-key"])
        fields = {"upgrade": "websocket", "connection": "Upgrade", "sec-websocket-accept": key}
        return [head(101, fields), 0.05, *steps]

    return script


def message(event: dict[str, Any]) -> bytes:
    """One event as a server's frame."""
    return Frame(OP_TEXT, json.dumps(event).encode()).serialize(mask=False)


def farewell(code: int, reason: str = "") -> bytes:
    """A server's close frame."""
    return Frame(OP_CLOSE, Close(code, reason).serialize()).serialize(mask=False)


HELLO = message(e.CREATED) + message(e.delta("Hello"))
ENDS = {
    "whole": (upgraded(HELLO, message(e.COMPLETED), farewell(1000), CLOSE), "ok", None),
    "silent end": (upgraded(HELLO, farewell(1000), CLOSE), "no_terminal_event", "after 2 events"),
    "end without farewell": (upgraded(HELLO, CLOSE), "cut_mid_stream", "without a close frame"),
    "reset": (upgraded(HELLO, 0.05, RST), "cut_mid_stream", ""),
    "half a frame": (upgraded(HELLO, message(e.COMPLETED)[:-3], 0.05, CLOSE), "cut_mid_stream", "close frame"),
    "server error": (upgraded(HELLO, farewell(1011, "boom"), CLOSE), "cut_mid_stream", "1011 boom"),
    "error event": (
        upgraded(message({"type": "error", "error": {"type": "t", "message": "gone wrong"}}), farewell(1000), CLOSE),
        "in_band_error",
        "gone wrong",
    ),
    "no route": (json_response({"error": {"message": "no such route"}}, 404), "http_4xx", "no such route"),
    "busy": (json_response({"error": {"message": "too many"}}, 429), "http_429", "too many"),
    "no answer": ([RST], "connect", ""),
}


@pytest.mark.parametrize(("script", "status", "says"), ENDS.values(), ids=ENDS)
def test_every_end_of_a_websocket_is_classified(
    tmp_path: Path, text_ws: Scenario, script: Any, status: str, says: str | None
) -> None:
    """Each way in which a connection can end is one status of the trial, with the reason."""
    with scripted(script) as server:
        measured = measure(tmp_path, server.base_url, text_ws, deliveries=("streamed",), deadline=5)
    trial = measured.trial()
    assert trial["status"] == status, trial["error"]
    assert says is None or says in trial["error"]
    assert [row["method"] for row in measured["attempts"]] == ["WS"]
