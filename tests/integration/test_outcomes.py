"""Every way a trial can end, made by a real server on a real socket, through the SDK, classified by the runner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import Ask, Scenario
from bench.core.errors import BenchError
from bench.core.trial import Delivery
from tests.support import events as e
from tests.support.harness import measure
from tests.support.scenarios import TEXT
from tests.support.scripted import CLOSE, RST, Script, json_response, response, scripted, sse

OK = sse(e.CREATED, e.delta("Hel"), e.delta("lo"), e.COMPLETED)
WHOLE = json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))
NO_HEADERS: Script = [RST]
ERROR_500 = json_response({"error": {"message": "boom", "type": "server_error"}}, 500, {"retry-after-ms": "1"})
ERROR_429 = json_response({"error": {"message": "slow down"}}, 429, {"retry-after-ms": "1"})
NOT_FOUND = json_response({"error": {"message": "no such model"}}, 404)
PLAIN_500 = response(b"Internal Server Error", 500, {"content-type": "text/plain", "retry-after-ms": "1"})
FLAT_ERROR = {"type": "error", "sequence_number": 2, "code": "c", "message": "gone wrong", "param": None}
NESTED_ERROR = {"error": {"message": "gone wrong", "code": "c"}}

STREAMED = {
    "ok": (OK, "ok", None),
    "no events: lines": (sse('data: {"type":"response.completed","response":{"status":"completed"}}\n\n'), "ok", None),
    "429": (ERROR_429, "http_429", "slow down"),
    "404": (NOT_FOUND, "http_4xx", "no such model"),
    "500": (ERROR_500, "http_5xx", "boom"),
    "500 as text": (PLAIN_500, "http_5xx", "Internal Server Error"),
    "detail": (
        json_response({"detail": "queue is full"}, 503, {"x-should-retry": "false"}),
        "http_5xx",
        "queue is full",
    ),
    "no answer": (NO_HEADERS, "connect", "Connection"),
    "closed": ([CLOSE], "connect", "disconnected"),
    "reset in the stream": (sse(e.CREATED, e.delta("a"), 0.05, RST), "cut_mid_stream", "ReadError"),
    "cut chunk": (sse(e.CREATED, e.delta("a"), b"5\r\nab", CLOSE), "cut_mid_stream", "RemoteProtocolError"),
    "silent end": (sse(e.CREATED, e.delta("a")), "no_terminal_event", "after 2 events"),
    "silent end by close": (sse(e.CREATED, e.delta("a"), chunked=False), "no_terminal_event", "after 2 events"),
    "done but no terminal": (sse(e.delta("a"), "data: [DONE]\n\n"), "no_terminal_event", "without a terminal one"),
    "nothing at all": (sse(), "no_terminal_event", "after 0 events"),
    "JSON for a stream": (WHOLE, "no_terminal_event", "got application/json"),
    "HTML": (response(b"<html>", 200, {"content-type": "text/html"}), "no_terminal_event", "got text/html"),
    "malformed frame": (sse(e.CREATED, "data: {oops\n\n", e.COMPLETED), "malformed", "JSONDecodeError"),
    "not UTF-8": (sse(e.CREATED, b"data: \xff\n\n", e.COMPLETED), "malformed", "Unicode"),
    "half an event": (sse(e.CREATED, 'data: {"type": "response.completed"', chunked=False), "malformed", "inside"),
    "flat error event": (sse(e.CREATED, FLAT_ERROR), "in_band_error", "gone wrong"),
    "nested error": (sse(e.CREATED, NESTED_ERROR), "in_band_error", "gone wrong"),
    "failed": (sse(e.CREATED, e.FAILED), "in_band_error", "out of memory"),
    "completed but cancelled": (
        sse({**e.COMPLETED, "response": e.response("cancelled")}),
        "in_band_error",
        "cancelled",
    ),
    "no content type": (sse(e.CREATED, e.delta("a"), e.COMPLETED, headers={"content-type": "text/plain"}), "ok", None),
    "completed but failed": (sse({**e.COMPLETED, "response": e.response("failed")}), "in_band_error", "failed"),
    "filtered": (sse(e.CREATED, e.FILTERED), "incomplete", "content_filter"),
    "at the cap": (sse(e.CREATED, e.delta("a"), e.INCOMPLETE), "ok", None),
    "completed but at the cap": (
        sse({**e.COMPLETED, "response": e.INCOMPLETE["response"]}),
        "ok",
        None,
    ),
}
BLOCKING = {
    "ok": (WHOLE, "ok", None),
    "429": (ERROR_429, "http_429", "slow down"),
    "500 as text": (PLAIN_500, "http_5xx", "Internal Server Error"),
    "no answer": (NO_HEADERS, "connect", "Connection"),
    "short body": ([WHOLE[0][:-5], CLOSE], "cut_mid_stream", "RemoteProtocolError"),  # type: ignore[index]
    "not JSON": (response(b"{oops", 200, {"content-type": "application/json"}), "malformed", "JSON"),
    "HTML": (response(b"<html>", 200, {"content-type": "text/html"}), "malformed", "not JSON"),
    "empty": (response(b"", 200, {"content-type": "application/json"}), "malformed", "JSON"),
    "a stream for JSON": (OK, "malformed", "got text/event-stream"),
    "failed": (json_response(e.FAILED["response"]), "in_band_error", "out of memory"),
    "cancelled": (json_response(e.response("cancelled")), "in_band_error", "cancelled"),
    "queued": (json_response(e.response("queued")), "incomplete", "queued"),
    "an error with status 200": (json_response({"error": {"message": "overloaded"}}), "in_band_error", "overloaded"),
    "detail with status 200": (json_response({"detail": "queue is full"}), "malformed", "no Response object"),
    "no output": (json_response({**e.response(), "output": None}), "malformed", "no Response object"),
    "filtered": (json_response(e.FILTERED["response"]), "incomplete", "content_filter"),
    "at the cap": (json_response(e.INCOMPLETE["response"]), "ok", None),
}


@pytest.mark.parametrize("case", STREAMED)
def test_streamed(tmp_path: Path, case: str) -> None:
    """What the server does to a stream becomes exactly this status, with a line that says what it was."""
    script, status, says = STREAMED[case]
    _holds(tmp_path, script, "streamed", status, says, truncated="at the cap" in case)


@pytest.mark.parametrize("case", BLOCKING)
def test_blocking(tmp_path: Path, case: str) -> None:
    """What the server does to a blocking answer becomes exactly this status."""
    script, status, says = BLOCKING[case]
    _holds(tmp_path, script, "blocking", status, says, truncated="at the cap" in case)


def _holds(
    tmp_path: Path, script: Script, delivery: Delivery, status: str, says: str | None, *, truncated: bool
) -> None:
    with scripted(script) as server:
        row = measure(tmp_path, server.base_url, TEXT, deliveries=[delivery], max_retries=0).trial(delivery)
    assert row["status"] == status, row["error"]
    assert (row["error"] is None) if says is None else (says in row["error"])
    assert row["truncated"] is truncated


def test_nobody_listens(tmp_path: Path) -> None:
    """A refused connection is its own class."""
    with scripted() as server:
        gone = server.base_url
    row = measure(tmp_path, gone, TEXT, deliveries=["streamed"], max_retries=0).trial()
    assert row["status"] == "connect"
    assert "ConnectError" in row["error"]


def test_the_deadline_spans_everything(tmp_path: Path) -> None:
    """Pings keep a read time-out from firing; the trial's deadline ends it all the same, as a failed row."""
    pings = sse(e.CREATED, *[item for _ in range(40) for item in (": ping\n\n", 0.1)])
    with scripted(pings) as server:
        row = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"], deadline=0.5).trial()
    assert (row["status"], row["error"]) == ("timeout", "not done after 0.5 s (--deadline)")
    assert 0.5e9 <= row["t_end"] - row["t_origin"] < 2e9


def test_an_exception_of_the_plugin(tmp_path: Path) -> None:
    """An error in plugin code is a class of its own, with file and line."""

    async def broken(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True):
            yield ""
            raise KeyError("oops")

    with scripted(OK) as server:
        row = measure(tmp_path, server.base_url, Scenario("broken", broken), deliveries=["streamed"]).trial()
    assert row["status"] == "scenario_error"
    assert "KeyError" in row["error"]
    assert "test_outcomes.py:" in row["error"]


def test_an_exception_of_the_plugin_in_warm_up_ends_the_run(tmp_path: Path) -> None:
    """A plugin that cannot work is said at once, not after a hundred failed trials."""

    async def broken(client: Any, ask: Ask) -> AsyncIterator[str]:
        yield ask.request["no such key"]

    with scripted(OK) as server, pytest.raises(BenchError, match=r"failed in warm-up .*test_outcomes\.py:"):
        measure(tmp_path, server.base_url, Scenario("broken", broken), deliveries=["streamed"], warmup=1)


def test_the_servers_fault_outranks_the_plugins(tmp_path: Path) -> None:
    """A plugin that stumbles over half an answer is not to blame for it."""

    async def trusting(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True) as stream:
            text = "".join([event.delta async for event in stream if event.type == "response.output_text.delta"])
        yield text.split(",")[1]

    with scripted(sse(e.CREATED, e.delta("a"))) as server:
        row = measure(tmp_path, server.base_url, Scenario("trusting", trusting), deliveries=["streamed"]).trial()
    assert row["status"] == "no_terminal_event"


def test_an_answer_that_is_not_valid(tmp_path: Path) -> None:
    """`check` has the last word, in both deliveries, after the clock has stopped."""

    def check(result: str) -> None:
        raise ValueError(f"not an answer: {result}")

    with scripted(routes={"/v1/responses": lambda r: OK if r.json["stream"] else WHOLE}) as server:
        measured = measure(tmp_path, server.base_url, replace(TEXT, check=check))
    rows = measured["trials"]
    assert [row["status"] for row in rows] == ["invalid_result", "invalid_result"]
    assert {row["error"] for row in rows} == {"ValueError: not an answer: Hello"}


def test_a_stream_that_the_scenario_leaves_early(tmp_path: Path) -> None:
    """Leaving is the scenario's choice and no failure; the connection is closed, and the row says so."""

    async def impatient(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    yield event.delta
                    return

    script = sse(e.CREATED, e.delta("a"), 0.2, e.delta("b"), e.COMPLETED)
    with scripted(script) as server:
        measured = measure(tmp_path, server.base_url, Scenario("impatient", impatient), deliveries=["streamed"])
    assert measured.trial()["status"] == "ok"
    assert measured["attempts"][0]["closed_early"] is True


@pytest.mark.parametrize(("last", "status"), [(e.FAILED, "in_band_error"), (e.FILTERED, "incomplete")])
def test_leaving_at_a_bad_end_is_no_success(tmp_path: Path, last: e.Event, status: str) -> None:
    """A loop that breaks at the terminal event has seen how it ended: a failure stays one."""

    async def breaking(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True) as stream:
            async for event in stream:
                yield event.type
                if event.type in {"response.completed", "response.failed", "response.incomplete"}:
                    break

    with scripted(sse(e.CREATED, e.delta("a"), last, 0.2, ": bye\n\n")) as server:
        measured = measure(tmp_path, server.base_url, Scenario("breaking", breaking), deliveries=["streamed"])
    assert measured.trial()["status"] == status


def test_an_answer_cut_at_the_cap_says_so(tmp_path: Path) -> None:
    """When an invalid answer ended at the length cap, the row says that and keeps the flag."""

    def check(result: str) -> None:
        raise ValueError("half a sentence")

    with scripted(sse(e.CREATED, e.delta("a"), e.INCOMPLETE)) as server:
        row = measure(tmp_path, server.base_url, replace(TEXT, check=check), deliveries=["streamed"]).trial()
    assert row["status"] == "invalid_result"
    assert row["error"].endswith("half a sentence (the answer ended at the length cap)")
    assert row["truncated"] is True


def test_stalls_are_within_an_answer(tmp_path: Path) -> None:
    """A pause of the scenario's own between two requests is no stall of the server's; one in a stream is."""

    async def twice(client: Any, ask: Ask) -> AsyncIterator[str]:
        for _ in range(2):
            async with await client.responses.create(**ask.request, stream=True) as stream:
                async for event in stream:
                    if event.type == "response.output_text.delta":
                        yield event.delta
            await asyncio.sleep(0.3)

    calm, stalled = (
        sse(e.delta("a"), 0.02, e.delta("b"), e.COMPLETED),
        sse(e.delta("a"), 0.3, e.delta("b"), e.COMPLETED),
    )
    for script, stalls in ((calm, 0), (stalled, 2)):
        folder = tmp_path / str(stalls)
        folder.mkdir()
        with scripted(script) as server:
            row = measure(folder, server.base_url, Scenario("twice", twice), deliveries=["streamed"]).trial()
        assert row["stalls"] == stalls


def test_a_scenario_that_recovers_by_itself(tmp_path: Path) -> None:
    """A failed request that the scenario went on from is counted and is not the trial's outcome."""

    async def stubborn(client: Any, ask: Ask) -> AsyncIterator[str]:
        for _ in range(2):
            try:
                async with await client.responses.create(**ask.request, stream=True) as stream:
                    async for event in stream:
                        if event.type == "response.output_text.delta":
                            yield event.delta
            except Exception:  # noqa: BLE001  (this is what the scenario is about)
                await asyncio.sleep(0.01)

    with scripted(sse(e.delta("a"), 0.02, RST), OK) as server:
        measured = measure(tmp_path, server.base_url, Scenario("stubborn", stubborn), deliveries=["streamed"])
    row = measured.trial()
    assert (row["status"], row["requests"], row["attempts"]) == ("ok", 2, 2)
    assert [attempt["status"] for attempt in measured["attempts"]] == [200, 200]


@pytest.mark.parametrize(
    ("script", "status"),
    [
        (sse(e.delta("a")), "no_terminal_event"),
        (sse(e.delta("a"), e.FAILED), "in_band_error"),
        (sse(e.delta("a"), e.FILTERED), "incomplete"),
        (OK, "ok"),
    ],
)
@pytest.mark.parametrize("recovers", [False, True])
def test_a_request_that_broke_unseen_fails_the_trial(
    tmp_path: Path, script: Script, status: str, recovers: bool
) -> None:
    """An earlier answer that ended badly without raising is no success, unless its scenario says that it notices."""

    async def two_turns(client: Any, ask: Ask) -> AsyncIterator[str]:
        for _ in range(2):
            async with await client.responses.create(**ask.request, stream=True) as stream:
                async for event in stream:
                    if event.type == "response.output_text.delta":
                        yield event.delta

    with scripted(script, OK) as server:
        scenario = Scenario("two", two_turns, recovers=recovers)
        row = measure(tmp_path, server.base_url, scenario, deliveries=["streamed"]).trial()
    assert row["status"] == ("ok" if recovers else status)


def test_polling_and_other_endpoints_are_no_bad_ends(tmp_path: Path) -> None:
    """A response that is still being made, and what is no answer of a model at all, fail nothing."""

    async def polling(client: Any, ask: Ask) -> str:
        await client.files.content("f1")
        response = await client.responses.retrieve("r1")
        while response.status != "completed":
            response = await client.responses.retrieve("r1")
        return str(response.output_text)

    waiting = json_response(e.response("queued"))
    done = json_response(e.response(output=[e.message("Hi")]))
    with scripted(response(b"no JSON", headers={"content-type": "text/plain"}), waiting, done) as server:
        scenario = replace(TEXT, blocking=polling)
        row = measure(tmp_path, server.base_url, scenario, deliveries=["blocking"]).trial("blocking")
    assert (row["status"], row["text"], row["requests"]) == ("ok", "Hi", 3)


@pytest.mark.parametrize("output", [[None], [{"type": "message", "content": None}]])
def test_what_the_sdk_cannot_read_is_the_servers_fault(tmp_path: Path, output: list[Any]) -> None:
    """`response.output_text` over nulls raises in the SDK: malformed, and no error of the plugin."""

    async def pasted(client: Any, ask: Ask) -> str:
        return str((await client.responses.create(**ask.request)).output_text)

    with scripted(json_response(e.response(output=output))) as server:
        scenario = replace(TEXT, blocking=pasted)
        row = measure(tmp_path, server.base_url, scenario, deliveries=["blocking"]).trial("blocking")
    assert row["status"] == "malformed"
    assert "the SDK cannot read the answer" in row["error"]


def test_a_plugin_that_leaves_over_a_broken_event_is_not_to_blame(tmp_path: Path) -> None:
    """An event that is no object makes plain plugins raise in mid-stream: malformed, whatever would have followed."""
    with scripted(sse(e.CREATED, "data: null\n\n", 0.2, e.delta("a"), e.COMPLETED)) as server:
        row = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"]).trial()
    assert (row["status"], row["error"]) == ("malformed", "event 1 is not a JSON object")


def test_a_secret_in_an_error_is_hidden(tmp_path: Path) -> None:
    """What the server says is stored without the secrets it repeats."""
    with scripted(json_response({"error": {"message": "bad key top-secret"}}, 401)) as server:
        measured = measure(tmp_path, server.base_url, TEXT, deliveries=["streamed"])
    assert "bad key ***" in measured.trial()["error"]
    assert b"top-secret" not in (tmp_path / "journal.jsonl").read_bytes()


def test_a_useful_that_fails(tmp_path: Path) -> None:
    """A plugin that cannot say whether a piece is useful is at fault; the trial is a row all the same."""
    broken = replace(TEXT, useful=lambda piece: piece.no_such_thing)
    with scripted(OK) as server:
        measured = measure(tmp_path, server.base_url, broken, deliveries=["streamed"])
    assert measured.trial()["status"] == "scenario_error"
    assert [piece["useful"] for piece in measured["pieces"]] == [False, False]


@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_absurd_values_of_a_server_are_survived(tmp_path: Path, delivery: Delivery) -> None:
    """Numbers that fit nowhere, lone surrogates and negative counts end in a row, never in a crash."""
    absurd = {
        **e.response(usage={"input_tokens": 10**30, "output_tokens": -5}, output=[e.message("\ud800")]),
        "status": "failed",
        "incomplete_details": {"reason": "\ud800"},
        "error": {"code": "\ud800", "message": "x" * 9000},
    }
    headers = {"x-ratelimit-remaining-requests": "9" * 40, "x-request-id": "\xe9"}
    events = [{**e.delta("\ud800"), "sequence_number": 10**40}, {"type": "response.failed", "response": absurd}]
    bodies = {
        "streamed": sse(*(f"data: {json.dumps(event)}\n\n" for event in events), headers=headers),
        "blocking": json_response(absurd, headers=headers),
    }
    with scripted(bodies[delivery]) as server:
        row = measure(tmp_path, server.base_url, TEXT, deliveries=[delivery], max_retries=0).trial(delivery)
    assert row["status"] == "in_band_error"
    assert len(row["error"]) == 2000
    assert row["input_tokens"] is None
