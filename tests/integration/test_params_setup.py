"""What a scenario may say of its trials: parameters, setup, cold connections, scripts for the simulator."""

from __future__ import annotations

import asyncio
import csv
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from pathlib import Path
from textwrap import dedent
from typing import Any

import pytest
from pydantic import BaseModel

from bench import Ask, Scenario
from bench.core.ask import Options, make_ask
from bench.core.scenario import Setup
from bench.core.target import Target
from bench.core.trial import Trial
from bench.run.memory.measure import Job
from bench.run.memory.measure import measure as measure_memory
from bench.simulator.process import running
from tests.support import events as e
from tests.support.cli import bench, invoke, only_run
from tests.support.harness import measure
from tests.support.scenarios import TEXT
from tests.support.scripted import Request, Script, json_response, scripted, sse

pytestmark = pytest.mark.slow

OK = sse(e.CREATED, e.delta("Hel"), e.delta("lo"), e.COMPLETED)
WHOLE = json_response(e.response(output=[e.message("Hello")], usage=e.USAGE))


def answer(request: Request) -> Script:
    """As asked: streamed or whole."""
    return OK if request.json.get("stream") else WHOLE


async def whole(client: Any, ask: Ask) -> str:
    """One blocking request."""
    response = await client.responses.create(**ask.request, stream=False)
    text: str = response.output_text
    return text


@asynccontextmanager
async def asking(client: Any, ask: Ask) -> AsyncIterator[str]:
    """A request before the trial, another one after it."""
    yield await whole(client, ask)
    await whole(client, ask)


def with_setup(setup: Setup) -> Scenario:
    """`text`, set up."""
    return replace(TEXT, setup=setup)


def test_what_setup_sends_is_part_of_no_trial(tmp_path: Path) -> None:
    """Its requests are sent before the origin and after the end; they are no attempts, and no orphans either."""
    seen: list[Any] = []

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        seen.append(ask.resource)
        async for piece in TEXT.streamed(client, ask):  # type: ignore[union-attr]
            yield piece

    with scripted(answer) as server:
        measured = measure(tmp_path, server.base_url, Scenario("mine", streamed, setup=asking), deliveries=["streamed"])
    before, _, after = server.requests
    trial = measured.trial()
    assert (trial["status"], trial["attempts"], seen) == ("ok", 1, ["Hello"])
    assert before.t_received < measured.t0 + trial["t_origin"]
    assert after.t_received > measured.t0 + trial["t_end"]
    assert len(measured["attempts"]) == 1
    assert measured.tally.orphans == 0


def test_a_task_that_setup_starts_is_not_measured_either(tmp_path: Path) -> None:
    """What it sends while the trial runs is not the trial's, and retries of it neither."""

    @asynccontextmanager
    async def background(client: Any, ask: Ask) -> AsyncIterator[None]:
        task = asyncio.create_task(whole(client, ask))
        yield
        await task

    with scripted(answer) as server:
        measured = measure(tmp_path, server.base_url, with_setup(background), pairs=2)
    assert len(server.requests) == 8
    assert [trial["attempts"] for trial in measured["trials"]] == [1, 1, 1, 1]
    assert len(measured["attempts"]) == 4


@asynccontextmanager
async def failing(client: Any, ask: Ask) -> AsyncIterator[None]:
    if ask.prompt:
        raise KeyError("nothing")
    yield


@asynccontextmanager
async def failing_later(client: Any, ask: Ask) -> AsyncIterator[None]:
    yield
    raise KeyError("later")


@asynccontextmanager
async def hanging(client: Any, ask: Ask) -> AsyncIterator[None]:
    await asyncio.sleep(60)
    yield


@asynccontextmanager
async def marking(client: Any, ask: Ask) -> AsyncIterator[None]:
    ask.mark("early")
    yield


async def no_context_manager(client: Any, ask: Ask) -> AsyncIterator[None]:
    yield


@pytest.mark.parametrize(
    ("setup", "status", "says"),
    [
        (failing, "scenario_error", "setup: KeyError: 'nothing' ("),
        (failing_later, "scenario_error", "setup: KeyError: 'later' ("),
        (marking, "scenario_error", "setup: RuntimeError: mark('early'): the trial's clock has not started"),
        (no_context_manager, "scenario_error", "setup: TypeError: `setup` must give a context manager"),
        (hanging, "timeout", "setup not done after 0.2 s (--deadline)"),
    ],
)
def test_a_setup_that_fails(tmp_path: Path, setup: Any, status: str, says: str) -> None:
    """It is the plugin's fault, with file and line, or a timeout; either way a row."""
    with scripted(answer) as server:
        measured = measure(tmp_path, server.base_url, with_setup(setup), deliveries=["streamed"], deadline=0.2)
    trial = measured.trial()
    assert trial["status"] == status
    assert trial["error"].startswith(says)
    assert trial["t_end"] >= trial["t_origin"] > 0
    if setup in {failing, failing_later}:
        assert f"{Path(__file__).name}:" in trial["error"]


def test_a_server_that_refuses_the_setup_is_not_the_plugins_fault(tmp_path: Path) -> None:
    """Its status class stands, and the error says that it was in `setup`."""
    busy = json_response({"error": {"message": "slow down"}}, 429, {"x-should-retry": "false"})
    with scripted(busy) as server:
        measured = measure(tmp_path, server.base_url, with_setup(asking), deliveries=["streamed"])
    assert measured.trial()["status"] == "http_429"
    assert measured.trial()["error"] == "setup: HTTP 429: slow down"


def test_setup_is_left_after_a_failed_trial(tmp_path: Path) -> None:
    """And its own requests change nothing about how the trial ended."""
    with scripted(WHOLE, json_response({"error": {"message": "no such model"}}, 404), WHOLE) as server:
        measured = measure(tmp_path, server.base_url, with_setup(asking), deliveries=["streamed"])
    assert len(server.requests) == 3
    assert (measured.trial()["status"], measured.trial()["attempts"]) == ("http_4xx", 1)


def test_a_synchronous_scenario_is_set_up_in_a_thread(tmp_path: Path) -> None:
    """An ordinary context manager with the synchronous client will do; its requests are not measured."""

    @contextmanager
    def setup(client: Any, ask: Ask) -> Iterator[str]:
        yield client.responses.create(**ask.request).output_text

    def streamed(client: Any, ask: Ask) -> Iterator[str]:
        yield ask.resource + client.responses.create(**ask.request, stream=False).output_text

    with scripted(WHOLE) as server:
        measured = measure(tmp_path, server.base_url, Scenario("mine", streamed, setup=setup), deliveries=["streamed"])
    assert len(server.requests) == 2
    trial = measured.trial()
    assert (trial["status"], trial["text"], trial["attempts"]) == ("ok", "HelloHello", 1)


async def twice(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Two requests, the first left early."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for _ in stream:
            break
    yield await whole(client, ask)
    yield await whole(client, ask)


def test_cold_trials_share_no_connection(tmp_path: Path) -> None:
    """Each opens its own, also side by side; what setup sends goes over the one that stays open."""
    scenario = Scenario("mine", twice, connection="cold", setup=asking)
    with scripted(answer) as server:
        measured = measure(tmp_path, server.base_url, scenario, deliveries=["streamed"], pairs=4, concurrency=2)
    attempts = sorted(measured["attempts"], key=lambda row: (row["trial_id"], row["t_start"]))
    assert {trial["status"] for trial in measured["trials"]} == {"ok"}
    firsts = [row for row in attempts if row["request"] == 0]
    assert not any(row["reused"] for row in firsts)
    assert all(row["t_connect"] is not None for row in firsts)
    assert [row["reused"] for row in attempts if row["request"] == 2] == [True] * len(firsts)
    owners = {row["connection"]: row["trial_id"] for row in attempts}
    assert len(owners) == len({(row["connection"], row["trial_id"]) for row in attempts}), "one trial's only"
    assert server.connections <= 2 + len(owners), "setup's requests reuse theirs"


def test_warm_trials_use_what_is_open(tmp_path: Path) -> None:
    """Without `connection="cold"` only the first trial connects."""
    with scripted(answer) as server:
        measured = measure(tmp_path, server.base_url, TEXT, pairs=3)
    assert [row["reused"] for row in measured["attempts"]] == [False] + [True] * 5


class Rag(BaseModel):
    """Parameters."""

    top_k: int = 3


def test_a_scenario_gets_its_parameters(tmp_path: Path) -> None:
    """As an instance of its model: the cell's, else the defaults."""

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        assert isinstance(ask.params, Rag)
        yield str(ask.params.top_k)

    scenario = Scenario("rag", streamed, params=Rag)
    for params, text in (("", "3"), ('{"top_k":10}', "10")):
        run = tmp_path / text
        run.mkdir()
        measured = measure(run, "http://127.0.0.1:9/v1", scenario, deliveries=["streamed"], params=params)
        trial = measured.trial()
        assert (trial["text"], trial["params"]) == (text, params)


SAID = [{"items": [{"text": "As it was told."}]}]


def test_the_simulator_answers_what_a_scenario_says(tmp_path: Path) -> None:
    """`Scenario.sim` for all prompts, a prompt's own `sim` instead of it."""
    own = {"prompt": "Hello", "sim": [{"items": [{"text": "Otherwise."}]}]}
    with running(profile="flood") as simulator:
        measured = measure(
            tmp_path,
            simulator.base_url,
            replace(TEXT, sim=SAID),
            prompts=["Hello", own],
            pairs=2,
            simulated=True,
        )
    assert {(row["ask"], row["text"]) for row in measured["trials"]} == {(0, "As it was told."), (1, "Otherwise.")}


def test_scripts_stay_away_from_other_targets() -> None:
    """Neither the request nor `ask.row` has a trace of one."""
    target = Target(name="there", base_url="http://127.0.0.1:9/v1")
    ask = make_ask(
        {"prompt": "Hello", "sim": SAID, "topic": "x"},
        target=target,
        model="m",
        nonce="[0000000000000000]",
        seed=1,
        recorder=Trial(0, "mine", "streamed", "there", "m", "measure"),
        options=Options(),
        sim=SAID,
    )
    assert "told" not in str(ask.request)
    assert ask.row == {"topic": "x"}


PLUGIN = """
    \"\"\"As many words as it is told.\"\"\"
    from contextlib import asynccontextmanager
    from pydantic import BaseModel
    from bench import Scenario, hookimpl

    class Words(BaseModel):
        count: int = 5
        word: str = "so"

    @asynccontextmanager
    async def setup(client, ask):
        yield (await client.responses.create(**ask.request, stream=False)).output_text

    async def streamed(client, ask):
        assert ask.resource and ask.params.word == "so"
        async with await client.responses.create(**ask.request, stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    for _ in range(ask.params.count):
                        yield event.delta

    @hookimpl
    def register_scenarios():
        yield Scenario("words", streamed, setup=setup, params=Words, tags=["mine"])
        yield Scenario("short", streamed, params=Words, memory=False, sim=[{"items": [{"text": "One two."}]}])
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    """Scenarios without a blocking counterpart, with parameters."""
    path = tmp_path / "words.py"
    path.write_text(dedent(PLUGIN))
    return path


@pytest.mark.paced
def test_a_run_with_parameters(tmp_path: Path, plugin: Path) -> None:
    """Each value is a row, named by what differs; without a blocking counterpart the report says so, not `n/a`."""
    arguments: list[str | Path] = [
        "run",
        "-t",
        "mine",
        "--plugin",
        plugin,
        "-P",
        "words.count=1,4",
        "--pairs",
        "20",
        "--warmup",
        "1",
    ]
    done = bench(*arguments, "--no-memory", "--profile", "flood", "--output-tokens", "20", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert re.search(r"^words count=1 .* no blocking .* 0 of 20$", done.stdout, re.MULTILINE)
    assert "no blocking" in done.stdout
    assert "words count=1, words count=4: no blocking counterpart" in done.stdout
    with (only_run(tmp_path) / "summary.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert {row["params"] for row in rows if not row["scenario"].startswith("(")} == {
        '{"count":1,"word":"so"}',
        '{"count":4,"word":"so"}',
    }
    gaps = [row for row in rows if row["metric"] == "piece_gap" and row["statistic"] == "p50"]
    assert [(row["n"], row["unit"], bool(row["estimate"])) for row in gaps] == [("20", "ms", True)] * 2
    shown = (only_run(tmp_path) / "report.md").read_text("utf-8")
    assert "words count=1" in shown
    assert "–<br>no blocking" in shown


def test_the_list_shows_what_may_be_said(tmp_path: Path, plugin: Path) -> None:
    """API, tags, needs and parameters with their defaults, for each scenario."""
    text = invoke("list", "--plugin", plugin, cwd=tmp_path).stdout
    assert 'api responses; tags mine; no blocking counterpart; params count=5, word="so"' in text
    assert "api responses; tags core; needs tools" in text


def test_memory_is_measured_as_the_scenario_says(plugin: Path) -> None:
    """Set up and with its parameters, which the rows show."""
    text = '{"count":2,"word":"so"}'
    rows, notes = measure_memory([Job("words", plugin, text)], seconds=20, lengths=(100,))
    assert notes == []
    assert [(row["params"], row["error"]) for row in rows] == [(text, None)] * 2
