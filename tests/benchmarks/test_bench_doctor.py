"""How long the doctor takes to read an answer and to judge it: 1,000 deltas, after the last request."""

from __future__ import annotations

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from bench.core.trial import Attempt
from bench.doctor.requests import PATHS, Question
from bench.doctor.verdict.judge import judge
from bench.doctor.verdict.judgement import Judgement
from bench.doctor.verdict.reading import read_answer
from tests.support import events as e
from tests.support.scripted import LAST_CHUNK, chunk, frame, head

DELTAS = 1000
MS = 1_000_000
SSE = {"content-type": "text/event-stream"}
ASKED = Question("responses", "text", 1000, 0)
FRAMES = [chunk(frame(e.delta("word ", number))) for number in range(1, DELTAS + 1)]


def attempt(together: int) -> Attempt:
    """So many events in a read, one read after as many times 20 ms."""
    made = Attempt(0, 0, "id", "POST", f"/v1{PATHS['responses']}", 0, asked_stream=True, t_start=0, headers=SSE)
    made.t_sent, made.status, made.t_end = 1, 200, 21 * MS * DELTAS
    made.reads = [(MS, head(200, {**SSE, "transfer-encoding": "chunked"}) + chunk(frame(e.CREATED)))]
    for place in range(together, DELTAS + 1, together):
        made.reads.append((20 * MS * place, b"".join(FRAMES[place - together : place])))
    made.reads.append((made.t_end, chunk(frame(e.COMPLETED)) + LAST_CHUNK))
    return made


@pytest.mark.parametrize(("together", "verdict"), [(1, "streaming"), (20, "bursty")])
def test_an_answer_from_its_reads_to_its_verdict(benchmark: BenchmarkFixture, together: int, verdict: str) -> None:
    """Framing, JSON, reads, bursts and votes, of a stream and of a stream in lumps."""
    came = attempt(together)

    def examined() -> Judgement:
        return judge([read_answer(came, ASKED, hop=0, nonce="[n]")], None, 6.0)

    found = benchmark(examined)
    assert (found.verdict, found.deltas) == (verdict, DELTAS)
