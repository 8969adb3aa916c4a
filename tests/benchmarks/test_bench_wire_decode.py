"""What the client `wire` costs the process that decodes, for each event of a streamed text: 1,000 events a round.

`make bench` runs them. The whole is to stay below 6 µs an event, that is 6 s of CPU for a million; the steps say where
it goes, and the SDK's own way with an event stands beside them for scale.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from pytest_benchmark.fixture import BenchmarkFixture

from bench.clients.decode.decode import decode
from bench.clients.wire.events import event_maker
from bench.clients.wire.stream import Complete, Replay, Stream
from bench.core.plugins.loader import load
from bench.core.trial import Attempt, Trial
from bench.records.journal import Journal
from bench.run.outcome.judge import judge
from bench.run.trial.call import consume
from bench.run.trial.rows import redact_rows, trial_rows
from tests.support import events as e
from tests.support.scripted import LAST_CHUNK, chunk, frame, head

EVENTS = 1000
SSE = {"content-type": "text/event-stream; charset=utf-8"}
PLACE = {"item_id": "msg_" + "7f" * 24, "output_index": 0, "content_index": 0, "logprobs": []}


def delta(number: int) -> bytes:
    """An event as OpenAI and the simulator send it."""
    data = {"type": "response.output_text.delta", "sequence_number": number, **PLACE, "delta": " word"}
    return b"event: response.output_text.delta\ndata: %b\n\n" % orjson.dumps(data)


FRAMES = [delta(number) for number in range(EVENTS)]
READS = [
    (0, head(200, {**SSE, "transfer-encoding": "chunked"})),
    *((number, chunk(data)) for number, data in enumerate(FRAMES)),
    (EVENTS, chunk(frame(e.COMPLETED)) + LAST_CHUNK),
]
BODIES = [data.split(b"data: ")[1] for data in FRAMES]


class Client:
    """Gives a scenario a stream that was made beforehand."""

    def __init__(self, stream: Stream) -> None:
        self.responses, self._stream = self, stream

    async def create(self, **_: Any) -> Stream:
        """That stream."""
        return self._stream


class Asked:
    """An ask without content."""

    request: dict[str, Any] = {}  # noqa: RUF012


@pytest.fixture(scope="module")
def run() -> Iterator[Callable[..., Any]]:
    """Runs a coroutine on a loop that is there already."""
    with asyncio.Runner() as runner:
        yield runner.run


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    """Where the rows go."""
    written = Journal(tmp_path)
    yield written
    written.close()


def test_a_deferred_trial_from_its_reads_to_its_journal_line(
    benchmark: BenchmarkFixture, run: Callable[..., Any], journal: Journal
) -> None:
    """Framing, JSON, objects, the plugin's loop, pieces, judging, rows and the journal's line of scenario `text`."""
    scenario = load().scenarios["text"][0]

    async def trial() -> int:
        attempt = Attempt(0, 0, "id", "POST", "/v1/responses", 0, asked_stream=True, t_start=0, headers=SSE, status=200)
        attempt.reads, attempt.t_end = READS, EVENTS + 1
        trial = Trial(1, "text", "streamed", "sim", "m", "measure", attempts=[attempt], deferred=True)
        clock = Replay(trial)
        trial.clock = clock.now
        clock.begin(1)
        clock.stream = Stream(Complete(attempt, clock), "http://test")
        ask: Any = Asked
        await consume(
            scenario, "streamed", Client(clock.stream), ask, lambda piece: trial.pieces.append((trial.now(), piece))
        )
        clock.settle()
        trial.useful = [scenario.useful(piece) for _, piece in trial.pieces]
        trial.result = scenario.assemble([piece for _, piece in trial.pieces])
        exchanges = [(attempt, attempt.answer)]
        rows = trial_rows({}, trial, exchanges, judge(trial, exchanges), t0=0, store_text=False)
        journal.write(redact_rows(rows, str))
        return len(trial.pieces)

    assert benchmark(lambda: run(trial())) == EVENTS


def test_decoding(benchmark: BenchmarkFixture) -> None:
    """Framing, JSON and meaning alone."""
    answer = benchmark(decode, READS, SSE, asked_stream=True)
    assert (len(answer.events), answer.terminal) == (EVENTS + 1, "completed")


def test_json_alone(benchmark: BenchmarkFixture) -> None:
    """What can hardly be saved."""
    assert len(benchmark(lambda: [orjson.loads(data) for data in BODIES])) == EVENTS


def test_json_and_objects(benchmark: BenchmarkFixture) -> None:
    """The SDK's classes, put together."""
    make = event_maker(chat=False)
    assert len(benchmark(lambda: [make(orjson.loads(data)) for data in BODIES])) == EVENTS


def test_json_and_objects_of_the_sdk(benchmark: BenchmarkFixture) -> None:
    """The SDK's classes by the SDK's validation, for scale."""
    adapter: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
    assert len(benchmark(lambda: [adapter.validate_python(orjson.loads(data)) for data in BODIES])) == EVENTS
