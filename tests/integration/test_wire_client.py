"""The client `wire` beside the SDK: the same plugins give the same results, failures have the same status."""

from __future__ import annotations

import asyncio
import gzip
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from itertools import count
from time import perf_counter_ns
from typing import Any, TypeVar

import openai
import pytest

from bench import Ask, Scenario, Target
from bench.clients.decode.decode import decode
from bench.clients.load_generator.process import Pace, Shooter
from bench.clients.sdk.attempt_log import current_trial, recording_paused
from bench.clients.sdk.client import sdk_client
from bench.clients.wire.client import WireClient
from bench.clients.wire.errors import MissingFeature, NeedsLive
from bench.core.ask import Options, make_ask, nonce_text
from bench.core.errors import BenchError
from bench.core.plugins.loader import load
from bench.core.trial import Delivery, Shed, Trial, TrialLost
from bench.run.outcome.judge import judge
from bench.run.trial.call import consume
from bench.run.trial.scenario_setup import scenario_setup
from bench.simulator.process import running
from tests.support import events as e
from tests.support.scenarios import TEXT
from tests.support.scripted import CLOSE, RST, Answer, json_response, response, scripted, sse

pytestmark = pytest.mark.paced

T = TypeVar("T")
NOT_ON_WIRE = {"structured_helper", "text_helper", "text_sync", "text_ws", "cancel_background", "recovery_resume"}
"""They use what only the SDK has: helpers, threads, WebSocket, `retrieve`."""
TOO_LONG = {"long_output"}
QUICK = {"text", "chat_text", "structured_output", "chat_function_call", "reasoning", "multi_turn"}
"""One of each kind; the others are marked slow."""
ALIVE = {"cancel"}
"""They act while the stream runs."""
numbers = count()
DONE = "data: [DONE]\n\n"


@dataclass
class Bench:
    """A loop and a shooter that all tests share."""

    runner: asyncio.Runner
    shooter: Shooter

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run it to its end."""
        return self.runner.run(work)


@pytest.fixture(scope="module")
def bench() -> Iterator[Bench]:
    """One for all."""
    with asyncio.Runner() as runner:
        shooter = runner.run(Shooter.start())
        try:
            yield Bench(runner, shooter)
        finally:
            runner.run(shooter.aclose())


@pytest.fixture(scope="module")
def simulator() -> Iterator[str]:
    """A simulator that does not wait."""
    with running(profile="flood") as found:
        yield found.base_url


@dataclass
class Ended:
    """A trial that has ended, and its status."""

    trial: Trial
    status: str
    error: str | None

    @property
    def metrics(self) -> dict[str, float]:
        """What the scenario recorded."""
        return {name: value for name, _, value in self.trial.metrics}


async def one(
    client: Any, ledger: Any, scenario: Scenario, delivery: Delivery, *, deferred: bool, due: int | None = None
) -> Ended:
    """One trial, as the runner makes it."""
    trial = Trial(next(numbers), scenario.name, delivery, "sim", "sim-1", "measure", deferred=deferred, due=due)
    trial.cold = scenario.connection == "cold"
    ask = make_ask(
        scenario.prompts[0],
        target=Target(name="sim", base_url=None),
        model="sim-1",
        nonce=nonce_text(7),
        seed=0,
        recorder=trial,
        options=Options(output_tokens=12, control={"profile": "flood"}),
        api=scenario.api,
        params=scenario.params() if scenario.params else None,
        sim=scenario.sim,
    )

    async def timed() -> None:
        current_trial.set(trial)
        if deferred:
            ledger.attach(trial)
        trial.t_origin = perf_counter_ns()
        try:
            async with scenario_setup(scenario, client, ask, 5):
                trial.result = await consume(
                    scenario, delivery, client, ask, lambda piece: trial.pieces.append((trial.now(), piece))
                )
        except Exception as error:  # noqa: BLE001  (as the runner)
            trial.error = error
        trial.t_end = perf_counter_ns()

    await asyncio.create_task(timed())
    ledger.forget(trial)
    await ledger.close_cold(trial)
    if delivery == "streamed" and trial.error is None:
        trial.result = scenario.assemble([piece for _, piece in trial.pieces])
    exchanges = [
        (a, a.answer or decode(a.reads, a.headers, asked_stream=a.asked_stream, path=a.path)) for a in trial.attempts
    ]
    outcome = judge(trial, exchanges, recovers=scenario.recovers)
    return Ended(trial, outcome.status, outcome.error)


async def by_sdk(base_url: str, scenario: Scenario, delivery: Delivery) -> Ended:
    """The same on the SDK."""
    client, tap = sdk_client(base_url, key="key", headers={}, max_retries=0, own_environment=False)
    async with client:
        return await one(client, tap, scenario, delivery, deferred=False)


async def by_wire(
    base_url: str, scenario: Scenario, delivery: Delivery, shooter: Shooter | None, *, deadline_s: float = 10
) -> Ended:
    """The same on `wire`: live without a shooter."""
    async with WireClient(base_url, key="key", headers={}, shooter=shooter, deadline_s=deadline_s) as client:
        if shooter is None:
            return await one(client, client, scenario, delivery, deferred=False)
        await shooter.begin(Pace(slots=1), 0)
        try:
            return await one(client, client, scenario, delivery, deferred=True)
        finally:
            await shooter.end()


def offered() -> Iterator[Any]:
    """The built-in scenarios that `wire` can run."""
    for scenario, _ in load().scenarios.values():
        if scenario.name not in NOT_ON_WIRE | TOO_LONG and scenario.client == "sdk":
            marks = () if scenario.name in QUICK else (pytest.mark.slow,)
            yield pytest.param(scenario, id=scenario.name, marks=marks)


def is_live(scenario: Scenario) -> bool:
    """Whether a trial of the scenario runs in this process."""
    return scenario.live or scenario.name in ALIVE or scenario.setup is not None or scenario.requests != 1


@pytest.mark.parametrize("scenario", list(offered()))
def test_a_plugin_gives_the_same_on_both_clients(scenario: Scenario, simulator: str, bench: Bench) -> None:
    """Every built-in plugin gives the same result, status and records by name on the SDK, live, and deferred."""
    for delivery in ("streamed", "blocking") if scenario.blocking else ("streamed",):
        sdk = bench.run(by_sdk(simulator, scenario, delivery))
        others = [bench.run(by_wire(simulator, scenario, delivery, None))]
        if not is_live(scenario):
            others.append(bench.run(by_wire(simulator, scenario, delivery, bench.shooter)))
        for wire in others:
            assert (wire.status, wire.error) == (sdk.status, sdk.error) == ("ok", None)
            assert wire.trial.result == sdk.trial.result
            assert wire.metrics.keys() == sdk.metrics.keys()
            assert len(wire.trial.attempts) == len(sdk.trial.attempts)


def test_what_is_sent_is_what_the_sdk_sends() -> None:
    """Path, body and the headers that a server reads are the SDK's; no compression is asked for."""
    arguments: dict[str, Any] = {
        "model": "m",
        "input": [{"role": "user", "content": "Zürich"}],
        "temperature": openai.omit,
    }
    extra = {"extra_headers": {"X-A": "1"}, "extra_query": {"q": "a b"}, "extra_body": {"top_k": 3, "model": "n"}}

    async def call(client: Any) -> None:
        with recording_paused():
            await client.responses.create(**arguments, **extra, stream=False)

    async def both(url: str) -> None:
        sdk, _ = sdk_client(url, key="key", headers={"X-B": "2"}, max_retries=0, own_environment=False)
        async with sdk, WireClient(url, key="key", headers={"X-B": "2"}, deadline_s=5) as wire:
            await call(sdk)
            await call(wire)

    with scripted(json_response(e.response())) as server:
        asyncio.run(both(server.base_url))
    sdk, wire = server.requests
    assert (wire.method, wire.path, wire.json) == (sdk.method, sdk.path, sdk.json)
    assert wire.query.replace("+", "%20") == sdk.query.replace("+", "%20")
    for name in ("host", "authorization", "content-type", "accept", "x-a", "x-b"):
        assert wire.headers[name] == sdk.headers[name]
    assert wire.headers["accept-encoding"] == "identity"
    assert wire.headers["user-agent"].startswith("streambench/")


HALF = [e.CREATED, e.delta("Hel")]
FAILURES: dict[str, tuple[Answer, str]] = {
    "429": (json_response({"error": {"message": "slow down"}}, status=429), "http_429"),
    "500": (response(b"oops", status=500), "http_5xx"),
    "404": (json_response({"detail": "no such thing"}, status=404), "http_4xx"),
    "reset": (sse(*HALF, 0.02, RST), "cut_mid_stream"),
    "cut": (sse(*HALF, 0.02, CLOSE), "cut_mid_stream"),
    "no headers": ([CLOSE], "connect"),
    "in-band": (sse(*HALF, 'data: {"error": {"message": "sorry"}}\n\n', e.COMPLETED), "in_band_error"),
    "silent end": (sse(*HALF), "no_terminal_event"),
    "no JSON": (sse(*HALF, "data: {oops\n\n", e.COMPLETED), "malformed"),
    "no UTF-8": (sse(*HALF, b"data: \xff\xfe\n\n", e.COMPLETED), "malformed"),
    "no stream": (json_response(e.response()), "no_terminal_event"),
    "null": (sse(*HALF, "data: null\n\n", e.COMPLETED), "malformed"),
    "fine": (sse(*HALF, e.delta("lo"), e.COMPLETED), "ok"),
    "done": (sse(*HALF, e.COMPLETED, DONE), "ok"),
}


@pytest.mark.parametrize("name", FAILURES)
def test_a_stream_that_fails_has_the_status_it_has_on_the_sdk(name: str, bench: Bench) -> None:
    """Whatever a server does to a stream, `wire` says the same of it as the SDK, live and deferred."""
    answer, status = FAILURES[name]
    with scripted(answer) as server:
        sdk = bench.run(by_sdk(server.base_url, TEXT, "streamed"))
        for shooter in (None, bench.shooter):
            wire = bench.run(by_wire(server.base_url, TEXT, "streamed", shooter))
            assert (wire.status, sdk.status) == (status, status), (wire.error, sdk.error)
            assert type(wire.trial.error) is type(sdk.trial.error)
            assert [piece for _, piece in wire.trial.pieces] == [piece for _, piece in sdk.trial.pieces]


BLOCKING: dict[str, tuple[Answer, str]] = {
    "401": (json_response({"error": {"message": "who?"}}, status=401), "http_4xx"),
    "no JSON": (response(b"{oops", headers={"content-type": "application/json"}), "malformed"),
    "HTML": (response(b"<html>", headers={"content-type": "text/html"}), "malformed"),
    "JSON by another name": (response(json.dumps(e.response()).encode(), headers={"content-type": "text/plain"}), "ok"),
    "short": ([b"HTTP/1.1 200 OK\r\ncontent-length: 50\r\n\r\n{", 0.02, CLOSE], "cut_mid_stream"),
    "failed": (json_response(e.response("failed", error={"message": "sorry"})), "in_band_error"),
}


@pytest.mark.parametrize("name", BLOCKING)
def test_a_blocking_answer_that_fails_has_the_status_it_has_on_the_sdk(name: str, bench: Bench) -> None:
    """The same for answers in one piece."""
    answer, status = BLOCKING[name]
    with scripted(answer) as server:
        sdk = bench.run(by_sdk(server.base_url, TEXT, "blocking"))
        for shooter in (None, bench.shooter):
            wire = bench.run(by_wire(server.base_url, TEXT, "blocking", shooter))
            assert (wire.status, sdk.status) == (status, status), (wire.error, sdk.error)
            assert type(wire.trial.error) is type(sdk.trial.error)


def test_an_http_error_tells_what_the_sdk_tells(bench: Bench) -> None:
    """`status_code`, `body`, `message`, `code` and the response's headers are there."""
    answer = json_response({"error": {"message": "slow", "code": "busy"}}, status=429, headers={"retry-after": "3"})
    with scripted(answer) as server:
        found = [
            bench.run(by_sdk(server.base_url, TEXT, "streamed")).trial.error,
            bench.run(by_wire(server.base_url, TEXT, "streamed", bench.shooter)).trial.error,
        ]
    for error in found:
        assert isinstance(error, openai.RateLimitError)
        assert (error.status_code, error.code, error.response.headers["retry-after"]) == (429, "busy", "3")
        assert (str(error), error.body) == (str(found[0]), {"message": "slow", "code": "busy"})


@pytest.mark.parametrize("delivery", ["streamed", "blocking"])
def test_a_compressed_answer_is_malformed(delivery: Delivery, bench: Bench) -> None:
    """Identity was asked for: who compresses all the same is told, in either way of running."""
    body = gzip.compress(json.dumps(e.response()).encode())
    kind = "text/event-stream" if delivery == "streamed" else "application/json"
    with scripted(response(body, headers={"content-type": kind, "content-encoding": "gzip"})) as server:
        for shooter in (None, bench.shooter):
            ended = bench.run(by_wire(server.base_url, TEXT, delivery, shooter))
            assert (ended.status, "compressed (gzip)" in str(ended.error)) == ("malformed", True)


def test_a_deadline_is_a_timeout(bench: Bench) -> None:
    """What came before the deadline was given, with its times; the trial is a timeout and ends then."""
    with scripted(sse(*HALF, 1.0, e.COMPLETED)) as server:
        ended = bench.run(by_wire(server.base_url, TEXT, "streamed", bench.shooter, deadline_s=0.3))
    assert (ended.status, len(ended.trial.pieces)) == ("timeout", 1)
    assert ended.trial.t_end - ended.trial.t_origin >= 0.29e9


def test_a_lost_shooter_is_said() -> None:
    """The process that reads is killed: the trial ends with that, and a scenario that swallows it hides nothing."""

    async def swallows(client: Any, ask: Ask) -> AsyncIterator[str]:
        try:
            await client.responses.create(**ask.request, stream=True)
        except Exception:  # noqa: BLE001  (as a plugin that catches all)
            yield "x"

    async def go(url: str) -> Ended:
        async with await Shooter.start() as shooter:
            await shooter.begin(Pace(slots=1), 0)
            asyncio.get_running_loop().call_later(0.1, os.kill, shooter.pid, signal.SIGKILL)
            async with WireClient(url, key="key", headers={}, shooter=shooter, deadline_s=5) as client:
                return await one(client, client, Scenario("swallows", swallows), "streamed", deferred=True)

    with scripted(sse(*HALF, 1.0, e.COMPLETED)) as server:
        assert isinstance(asyncio.run(go(server.base_url)).trial.error, TrialLost)


def test_what_is_shed_was_never_sent(bench: Bench) -> None:
    """Open loop, one in flight already and no more allowed: the trial ends as shed at its due time, with no attempt."""

    async def go(url: str) -> list[Ended]:
        await bench.shooter.begin(Pace(cap=1), 0)
        async with WireClient(url, key="key", headers={}, shooter=bench.shooter, deadline_s=5) as client:
            dues = (0, 50_000_000)
            trials = [one(client, client, TEXT, "streamed", deferred=True, due=due) for due in dues]
            ended = await asyncio.gather(*(asyncio.create_task(trial) for trial in trials))
        await bench.shooter.end()
        return ended

    with scripted(sse(*HALF, 0.2, e.delta("lo"), e.COMPLETED)) as server:
        served, shed = bench.run(go(server.base_url))
    assert (served.status, len(server.requests)) == ("ok", 1)
    assert isinstance(shed.trial.error, Shed)
    assert (shed.trial.attempts, shed.trial.t_origin) == ([], shed.trial.t_end)


def test_deferred_times_are_those_of_the_reads(bench: Bench) -> None:
    """Pieces, marks and the end have the stamps of the reads, although the scenario runs when all is over."""

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True) as stream:
            async for event in stream:
                if event.type == "response.output_text.delta":
                    ask.mark(event.delta)
                    yield event.delta

    with scripted(sse(e.CREATED, 0.05, e.delta("a"), 0.1, e.delta("b"), e.COMPLETED)) as server:
        trial = bench.run(by_wire(server.base_url, Scenario("times", streamed), "streamed", bench.shooter)).trial
    stamps = [time for time, _ in trial.attempts[0].reads]
    (first, _), (second, _) = trial.pieces
    assert {first, second, trial.t_end} <= set(stamps)
    assert second - first >= 0.09e9
    assert trial.t_origin <= trial.attempts[0].t_start <= stamps[0]
    assert {name: value for name, _, value in trial.metrics} == {
        f"mark.{name}": pytest.approx((time - trial.t_origin) / 1e6) for time, name in trial.pieces
    }


def test_a_clock_that_was_read_before_the_request_counts_from_the_origin(bench: Bench) -> None:
    """`ask.now()` before the request is the origin, whatever time passes until the other process begins it."""

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        start = ask.now()
        await asyncio.sleep(0.05)
        async for event in await client.responses.create(**ask.request, stream=True):
            if event.type == "response.output_text.delta":
                ask.record("since", (ask.now() - start) / 1e6, "ms")
                yield event.delta

    with scripted(sse(e.CREATED, 0.1, e.delta("a"), e.COMPLETED)) as server:
        trial = bench.run(by_wire(server.base_url, Scenario("early", streamed), "streamed", bench.shooter)).trial
    ((piece, _),) = trial.pieces
    ((_, _, since),) = trial.metrics
    assert since == pytest.approx((piece - trial.t_origin) / 1e6)
    assert piece in [time for time, _ in trial.attempts[0].reads]


async def _twice(client: Any, ask: Ask) -> AsyncIterator[str]:
    for _ in range(2):
        try:
            yield (await client.responses.create(**ask.request)).output_text
        except Exception:  # noqa: BLE001  (who swallows it does not get away with it)
            yield "x"


async def _leaves(client: Any, ask: Ask) -> AsyncIterator[str]:
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta
                break


async def _breaks(client: Any, ask: Ask) -> AsyncIterator[str]:
    async for event in await client.responses.create(**ask.request, stream=True):
        if event.type == "response.output_text.delta":
            yield event.delta
            break


@pytest.mark.parametrize(("streamed", "says"), [(_twice, "several requests"), (_leaves, "early"), (_breaks, "early")])
def test_what_cannot_be_deferred_is_said(streamed: Any, says: str, simulator: str, bench: Bench) -> None:
    """A second request, or a stream that is left early, ends a deferred trial with what to do; live, both work."""
    scenario = Scenario("odd", streamed)
    ended = bench.run(by_wire(simulator, scenario, "streamed", bench.shooter))
    assert isinstance(ended.trial.error, NeedsLive)
    assert "'odd'" in str(ended.trial.error)
    assert says in str(ended.trial.error)
    assert "live=True" in str(ended.trial.error)
    assert bench.run(by_wire(simulator, scenario, "streamed", None)).status == "ok"


def test_leaving_behind_the_terminal_event_is_not_early(simulator: str, bench: Bench) -> None:
    """Many snippets break at `response.completed`: nothing is missing."""

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        async for event in await client.responses.create(**ask.request, stream=True):
            if event.type == "response.completed":
                break
            yield event.type

    assert bench.run(by_wire(simulator, Scenario("leaves", streamed), "streamed", bench.shooter)).status == "ok"


def test_a_live_stream_that_is_left_is_closed(bench: Bench) -> None:
    """Leaving cuts the answer short, as on the SDK: the rest is not read, and it is no failure."""
    with scripted(sse(*HALF, 1.0, e.COMPLETED)) as server:
        ended = bench.run(by_wire(server.base_url, Scenario("leaves", _breaks), "streamed", None))
    assert (ended.status, ended.trial.attempts[0].closed_early) == ("ok", True)


def test_a_live_event_comes_while_the_stream_runs(bench: Bench) -> None:
    """A live scenario is given each event as it comes, not when all is over."""
    seen: list[int] = []

    async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
        async with await client.responses.create(**ask.request, stream=True) as stream:
            async for event in stream:
                seen.append(perf_counter_ns())
                yield event.type

    with scripted(sse(e.CREATED, 0.2, e.COMPLETED)) as server:
        bench.run(by_wire(server.base_url, Scenario("live", streamed), "streamed", None))
    assert seen[1] - seen[0] >= 0.15e9


@pytest.mark.parametrize(
    ("use", "what"),
    [
        (lambda client: client.responses.stream, "client.responses.stream"),
        (lambda client: client.responses.parse, "client.responses.parse"),
        (lambda client: client.chat.completions.stream, "client.chat.completions.stream"),
        (lambda client: client.with_options, "client.with_options"),
        (lambda client: client.models, "client.models"),
        (lambda client: client.responses.create(model="m", timeout=1), "create(timeout=…)"),
    ],
)
def test_what_is_not_offered_is_said(use: Callable[[Any], Any], what: str, bench: Bench) -> None:
    """Whatever else a scenario wants of the client is refused by name, with what to do."""

    async def blocking(client: Any, ask: Ask) -> str:
        return str(await use(client))

    ended = bench.run(
        by_wire("http://127.0.0.1:9/v1", replace(TEXT, name="wants", blocking=blocking), "blocking", None)
    )
    assert isinstance(ended.trial.error, MissingFeature)
    assert f"scenario 'wants' uses {what}, " in str(ended.trial.error)
    assert "--client sdk" in str(ended.trial.error)


def test_an_argument_that_the_sdk_does_not_take_is_refused(bench: Bench) -> None:
    """A misspelt argument fails as on the SDK, and is not sent."""

    async def blocking(client: Any, ask: Ask) -> str:
        return str(await client.responses.create(**ask.request, temprature=1))

    ended = bench.run(by_wire("http://127.0.0.1:9/v1", replace(TEXT, blocking=blocking), "blocking", None))
    assert isinstance(ended.trial.error, TypeError)
    assert "temprature" in str(ended.trial.error)


def test_requests_of_no_trial_are_orphans(simulator: str) -> None:
    """Outside of a trial a request is an orphan; of those in `recording_paused` nothing is kept."""

    async def go() -> tuple[int, int]:
        async with WireClient(simulator, key="key", headers={}, deadline_s=5) as client:
            with recording_paused():
                await client.responses.create(model="sim-1", input="Hi")
            before = len(client.orphans)
            await client.responses.create(model="sim-1", input="Hi")
            return before, len(client.orphans)

    assert asyncio.run(go()) == (0, 1)


def test_a_setup_may_use_the_client(simulator: str, bench: Bench) -> None:
    """Requests of `setup` are no part of the trial."""

    @asynccontextmanager
    async def setup(client: Any, ask: Ask) -> AsyncIterator[None]:
        await client.responses.create(model="sim-1", input="Hi")
        yield

    ended = bench.run(by_wire(simulator, replace(TEXT, setup=setup), "blocking", None))
    assert (ended.status, len(ended.trial.attempts)) == ("ok", 1)


def test_a_proxy_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """Through a proxy nothing is measured here: one line says the two ways out, unless the host is to be direct."""
    monkeypatch.setenv("HTTP_PROXY", "http://proxy.test:3128")
    with pytest.raises(BenchError, match=r"NO_PROXY.*--client sdk"):
        WireClient("http://api.test/v1", key="key", headers={}, deadline_s=5)
    assert WireClient("http://api.test/v1", key="key", headers={}, deadline_s=5, direct=True).orphans == []
