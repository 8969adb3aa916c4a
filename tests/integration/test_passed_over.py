"""A server that answers as if it had not read a part of the request: no success, and said."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import Ask, Scenario
from tests.integration.test_preflight import answer, check, routes
from tests.support import events as e
from tests.support.harness import measure
from tests.support.scripted import CLOSE, Request, Script, json_response, response, scripted, sse

ASKED: dict[str, Any] = {"previous_response_id": "resp_0", "background": True}


def scenario(**asked: Any) -> Scenario:
    """Text, asked for with these parameters."""

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**{**ask.request, **asked}, stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    yield event.delta

    async def blocking(client: Any, ask: Ask) -> str:
        answered = await client.responses.create(**{**ask.request, **asked}, stream=False)
        text: str = answered.output_text
        return text

    return Scenario("asks", streamed, blocking)


def saying(**fields: Any) -> Any:
    """A server whose Response objects have these fields."""

    def answered(request: Request) -> Script:
        whole = e.response(output=[e.message("Hello")], usage=e.USAGE, **fields)
        if not request.json["stream"]:
            return json_response(whole)
        return sse(e.CREATED, e.delta("Hello"), {**e.COMPLETED, "response": whole})

    return answered


@pytest.mark.parametrize(("name", "denied"), [("previous_response_id", None), ("background", False)])
def test_what_is_not_confirmed_was_passed_over(tmp_path: Path, name: str, denied: object) -> None:
    """The cell is unsupported, whether the server leaves the field out or says that it is not so."""
    for number, fields in enumerate(({}, {name: denied})):
        with scripted(saying(**fields)) as server:
            folder = tmp_path / str(number)
            folder.mkdir()
            measured = measure(folder, server.base_url, scenario(**{name: ASKED[name]}), warmup=1, pairs=2)
        (cell,) = measured["cells"]
        assert cell["unsupported"] == f"the server passed over {name}"
        assert {row["status"] for row in measured["trials"]} == {"invalid_result"}
        assert len(server.requests) == 2


def test_without_warm_up_each_trial_fails(tmp_path: Path) -> None:
    """Then it is found out trial by trial; all that was passed over is named."""
    with scripted(saying()) as server:
        measured = measure(tmp_path, server.base_url, scenario(**ASKED), warmup=0, pairs=1)
    assert {row["status"] for row in measured["trials"]} == {"invalid_result"}
    assert {row["error"] for row in measured["trials"]} == {
        "the server passed over background and previous_response_id"
    }


def test_what_is_confirmed_is_a_success(tmp_path: Path) -> None:
    """A server that repeats what it was asked has done it."""
    with scripted(saying(**ASKED)) as server:
        measured = measure(tmp_path, server.base_url, scenario(**ASKED), warmup=0, pairs=1)
    assert measured.tally.statuses == {"ok": 2}


def test_what_was_not_asked_for_needs_no_confirming(tmp_path: Path) -> None:
    """Nor does a prompt that reads like it."""
    quoting = replace(scenario(), prompts=('{"previous_response_id": "x", "background": true}',))
    with scripted(saying()) as server:
        measured = measure(tmp_path, server.base_url, quoting, warmup=0, pairs=1)
    assert measured.tally.statuses == {"ok": 2}


def test_preflight_opens_a_connection_for_each_request() -> None:
    """A server that drops the connection after an error, without a word, is checked to the end."""
    broken = [*response(b"Internal Server Error", status=500, headers={"content-type": "text/plain"}), CLOSE]
    with scripted(routes=routes(broken, answer)) as server:
        checked = check(server.base_url)
    assert list(checked.notices) == ["target mine: no list of models (500 Internal Server Error)"]
    assert len({request.connection for request in server.requests}) == len(server.requests) == 2


def test_an_error_with_a_detail_says_it(tmp_path: Path) -> None:
    """The words of `{"detail": "…"}`, as FastAPI has it, stand in the record."""
    with scripted(json_response({"detail": "Method Not Allowed"}, status=405)) as server:
        measured = measure(tmp_path, server.base_url, scenario(), warmup=1, pairs=1)
    (cell,) = measured["cells"]
    assert cell["unsupported"] == "HTTP 405: Method Not Allowed"
