"""aimock answers what the doctor asks for: long enough, paced, with both APIs and in each of its modes."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from bench.core.scenario import Api
from bench.doctor.diagnosis import Mode
from bench.doctor.requests import APIS, MODES, Manner, Question, body_of
from tests.support.aimock import aimock, install
from tests.support.parts.reading import read

pytestmark = [pytest.mark.slow, pytest.mark.node, pytest.mark.paced]


@pytest.fixture(scope="module")
def base_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The server aimock with the doctor's fixtures, installed once and kept in pytest's cache."""
    cache = request.config.cache
    assert cache is not None
    with aimock(install(cache.mkdir("aimock")), tmp_path_factory.mktemp("aimock") / "log", ("doctor",)) as url:
        yield url


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("api", APIS)
def test_its_answers_are_long_and_paced(base_url: str, api: Api, mode: Mode) -> None:
    """More than 100 events, one every 10 ms; a call where a tool is given, JSON where that is asked for."""
    asked = Question(api=api, mode=mode, tokens=256, round=0)
    seen = read(base_url, body_of(asked, Manner(model="small"), "nonce"))
    assert len(seen.bursts()) > 100
    assert seen.period_ms() == pytest.approx(10, abs=3)
    assert seen.first_ms == pytest.approx(150, abs=100)
    assert (b"save_text" in seen.body) is (mode == "tools")
    answer = answered(seen.body, api)
    assert (answer if mode == "text" else json.loads(answer)["text"]).endswith("ninety-nine, one hundred")


def answered(body: bytes, api: Api) -> str:
    """The text, or the arguments of the call, put together from the deltas."""
    events = [json.loads(line[6:]) for line in body.splitlines() if line.startswith(b"data: {")]
    if api == "responses":
        return "".join(event["delta"] for event in events if event["type"].endswith(".delta"))
    found = [event["choices"][0]["delta"] for event in events if event["choices"]]
    calls = [call["function"]["arguments"] for delta in found for call in delta.get("tool_calls") or ()]
    return "".join([*(delta.get("content") or "" for delta in found), *calls])
