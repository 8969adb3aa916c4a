"""The instrument against streams of known truth, through the command; and the streams served to anyone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import httpx2
import pytest

from bench.simulator.conformance_set import ConformanceStream, Truth, load
from bench.testing.conformance.check import judge
from bench.testing.conformance.command import with_more_of_late
from bench.testing.conformance.run import RecordedTrial, conduct
from tests.support.cli import bench, invoke, started

pytestmark = pytest.mark.alone

EXIT_BUSY = 4
STREAMS = load()
SOME = ("responses/reasoning_text", "responses/cut", "responses/split_event", "chat/tool_call", "chat/http_429")


def all_right(folder: Path, *arguments: str) -> Sequence[Mapping[str, Any]]:
    """Run the command and hold it to its word; only on a machine that is too busy may a time be off."""
    done = bench("conformance", "--json", *arguments, cwd=folder)
    answer = json.loads(done.stdout)
    assert [(one["stream"], one["wrong"]) for one in answer["streams"] if one["wrong"]] == []
    assert answer["busy"] or [(one["stream"], one["late"]) for one in answer["streams"] if one["late"]] == []
    assert done.returncode == (EXIT_BUSY if answer["busy"] else 0), done.stderr
    streams: Sequence[Mapping[str, Any]] = answer["streams"]
    return streams


@pytest.mark.slow
def test_some_streams_are_right(tmp_path: Path) -> None:
    """One text stream of each API: all marks there, status ok, exit 0."""
    streams = all_right(tmp_path, "text", "--repeat", "3")
    assert [one["stream"] for one in streams] == ["responses/text", "chat/text"]
    assert all(one["status"] == "ok" and one["marks_ms"]["ttft"]["reading"] > 90 for one in streams)


@pytest.mark.slow
def test_every_stream_is_right(tmp_path: Path) -> None:
    """The whole set: every status, count and time."""
    assert len(all_right(tmp_path, "--repeat", "3")) == len(STREAMS)


@pytest.fixture(scope="module")
def trials() -> Mapping[str, Sequence[RecordedTrial]]:
    """A few streams, each measured once."""
    return conduct([STREAMS[model] for model in SOME], STREAMS, 1)


def with_truth(stream: ConformanceStream, **other: Any) -> ConformanceStream:
    """The same stream, said to be something else."""
    truth = Truth.model_validate({**stream.truth.model_dump(), **other})
    return stream.model_copy(update={"truth": truth})


def test_every_write_has_its_send_time(trials: Mapping[str, Sequence[RecordedTrial]]) -> None:
    """The truth of each trial is whole, in order, and no write left before its time."""
    for model in SOME:
        (one,), writes = trials[model], STREAMS[model].turn.writes
        assert len(one.t_sent) == len(writes)
        assert list(one.t_sent) == sorted(one.t_sent)
        assert one.t_sent[-1] - one.trial["t_origin"] >= writes[-1].at * 1e6


@pytest.mark.parametrize(
    ("model", "other", "found"),
    [
        ("responses/reasoning_text", {"visible_at": 100}, "visible: +"),
        ("responses/reasoning_text", {"useful_at": 100}, "ttfu: +"),
        ("responses/reasoning_text", {"visible_at": None}, "visible: a time, not none"),
        ("responses/split_event", {"deltas_at": [200, 320, 340, 360]}, "ttft: +"),
        ("responses/cut", {"status": "ok"}, "status: cut_mid_stream, not ok"),
        ("chat/tool_call", {"output_tokens": None}, "output tokens: 6, not none"),
        ("chat/tool_call", {"events": 8}, "events: 9, not 8"),
        ("chat/http_429", {"status": "http_5xx"}, "status: http_429, not http_5xx"),
    ],
)
def test_an_instrument_that_differs_is_found(
    trials: Mapping[str, Sequence[RecordedTrial]], model: str, other: dict[str, Any], found: str
) -> None:
    """Real readings held against another truth are wrong, and the line says in what, with the widest tolerance too."""
    result = judge(with_truth(STREAMS[model], **other), trials[model], 10.0)
    assert any(line.startswith(found) for line in [*result.wrong, *result.late])


@pytest.mark.slow
def test_what_is_late_is_measured_again(trials: Mapping[str, Sequence[RecordedTrial]]) -> None:
    """A stream of which only times are off gets further trials, and a wrong mark stays wrong; the others get none."""
    wrong, sound = with_truth(STREAMS[SOME[0]], visible_at=100), STREAMS[SOME[2]]
    more = with_more_of_late([wrong, sound], STREAMS, trials, 1, 10.0)
    assert (len(more[SOME[0]]), len(more[SOME[2]])) == (3, 1)
    assert judge(wrong, more[SOME[0]], 10.0).late


def test_served_to_any_tool(tmp_path: Path) -> None:
    """`bench serve --conformance` lists the streams among its models and answers with them."""
    server = started("serve", "--conformance", "--port", "0", cwd=tmp_path)
    try:
        assert server.stdout
        url = server.stdout.readline().split()[0]
        assert set(STREAMS) <= {model["id"] for model in httpx2.get(f"{url}/models").json()["data"]}
        body = {"model": "chat/text", "messages": [{"role": "user", "content": "Hi"}], "stream": True}
        assert '"content":"tide "' in httpx2.post(f"{url}/chat/completions", json=body).text
    finally:
        server.terminate()
        server.communicate(timeout=10)


def test_an_unknown_name(tmp_path: Path) -> None:
    """A stream that is not there is a line with the nearest name, exit 2."""
    done = invoke("conformance", "responses/txt", cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 'responses/text'?" in done.stderr
