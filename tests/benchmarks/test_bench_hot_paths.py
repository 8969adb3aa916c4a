"""What measuring costs: the stamp of a read, the framing of events, decoding a stream, a trial's rows.

`make bench` runs them; the figures to look at are the ratios within one run, since machines differ.
"""

from __future__ import annotations

from pathlib import Path
from time import perf_counter_ns

from openai.types.responses import ResponseStreamEvent
from pydantic import TypeAdapter
from pytest_benchmark.fixture import BenchmarkFixture

from bench.clients.decode.decode import decode
from bench.clients.decode.sse import SseParser
from bench.clients.sdk.sockets import _Protocol
from bench.core.trial import Attempt, Trial
from bench.records.journal import Journal
from bench.run.outcome.judge import judge
from bench.run.trial.rows import trial_rows
from tests.support import events as e
from tests.support.scripted import LAST_CHUNK, chunk, frame, head

EVENTS = 1000
SSE = {"content-type": "text/event-stream"}
FRAMES = [frame(e.delta(f"word{number} ", number)) for number in range(EVENTS)]
READS = [
    (0, head(200, {**SSE, "transfer-encoding": "chunked"})),
    *((number, chunk(data)) for number, data in enumerate(FRAMES)),
    (EVENTS, chunk(frame(e.COMPLETED)) + LAST_CHUNK),
]


def attempt() -> Attempt:
    return Attempt(0, 0, "id", "POST", "/v1/responses", 0, asked_stream=True, t_start=0, headers=SSE, status=200)


def test_stamping_reads(benchmark: BenchmarkFixture) -> None:
    """All that the tap does per read on the hot path: 1,000 reads."""

    def stamp() -> int:
        protocol = _Protocol()
        protocol.attempt = attempt()
        for data in FRAMES:
            protocol.data_received(data)
            protocol.chunks.clear()
            protocol.waiting = 0
        return len(protocol.attempt.reads)

    assert benchmark(stamp) == EVENTS


def test_framing_events(benchmark: BenchmarkFixture) -> None:
    """1,000 events out of 1,000 chunks."""
    assert benchmark(lambda: sum(1 for parser in [SseParser()] for data in FRAMES for _ in parser.feed(data))) == EVENTS


def test_decoding_a_stream(benchmark: BenchmarkFixture) -> None:
    """HTTP chunks, events, JSON and meaning of 1,000 events: what is done after a trial."""
    answer = benchmark(decode, READS, SSE, asked_stream=True)
    assert (len(answer.events), answer.terminal) == (EVENTS + 1, "completed")


def test_what_the_sdk_does_with_one_event(benchmark: BenchmarkFixture) -> None:
    """For scale: validating one event against the SDK's union, which it does for every event while the clock runs."""
    adapter: TypeAdapter[object] = TypeAdapter(ResponseStreamEvent)
    assert benchmark(adapter.validate_python, e.delta("word "))


def test_a_trials_rows(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """Judging a trial of 1,000 events, making its rows and journalling them."""
    tried = attempt()
    tried.reads = READS
    trial = Trial(0, "text", "streamed", "t", "m", "measure", attempts=[tried], t_origin=1, t_end=perf_counter_ns())
    trial.pieces = [(number, "word ") for number in range(EVENTS)]
    trial.useful = [True] * EVENTS
    exchanges = [(tried, decode(tried.reads, tried.headers, asked_stream=True))]
    journal = Journal(tmp_path)

    def write() -> int:
        rows = trial_rows({}, trial, exchanges, judge(trial, exchanges), t0=0, store_text=False)
        journal.write(rows)
        return len(rows["events"]["seq"])

    assert benchmark(write) == EVENTS + 1
    journal.close()
