"""From socket reads to events."""

from __future__ import annotations

import gzip
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.clients.decode.decode import Answer, decode
from tests.support import events as e
from tests.support.scripted import LAST_CHUNK, chunk, frame, head

SSE = {"content-type": "text/event-stream; charset=utf-8"}
CHUNKED = {**SSE, "transfer-encoding": "chunked"}
STREAM = [e.CREATED, e.delta("Hel"), e.delta("lo"), e.COMPLETED]


def reads(*parts: bytes) -> list[tuple[int, bytes]]:
    """Parts as reads at 100, 200, 300 … ns."""
    return [(100 * number, part) for number, part in enumerate(parts, 1)]


def kinds(answer: Answer) -> list[tuple[int, int, str]]:
    return [(event.t_read, event.read, event.meaning.kind) for event in answer.events]


def test_an_event_takes_the_stamp_of_the_read_that_completed_it() -> None:
    """Two events in one read share its stamp; an event over two reads has that of the second."""
    both, cut = chunk(frame([e.CREATED, e.delta("a")])), chunk(frame(e.delta("b")))
    answer = decode(reads(head(200, CHUNKED), both, cut[:40], cut[40:] + LAST_CHUNK), SSE, asked_stream=True)
    assert kinds(answer) == [(200, 1, "lifecycle"), (200, 1, "content"), (400, 3, "content")]
    assert answer.malformed is None


@given(st.lists(st.integers(1, 1200), max_size=12), st.booleans())
def test_any_cut_of_the_bytes_gives_the_same_events(cuts: list[int], chunked: bool) -> None:
    """However TCP cuts the stream, inside the framing too, the same events come, in order, stamps never falling."""
    parts = [chunk(frame(event)) if chunked else frame(event) for event in STREAM]
    body = head(200, CHUNKED if chunked else SSE) + b"".join(parts) + (LAST_CHUNK if chunked else b"")
    places = sorted({cut for cut in cuts if cut < len(body)})
    pieces = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    answer = decode(reads(*pieces), SSE, asked_stream=True)
    assert [event.meaning.kind for event in answer.events] == ["lifecycle", "content", "content", "terminal"]
    assert [event.t_read for event in answer.events] == sorted(event.t_read for event in answer.events)
    assert (answer.terminal, answer.malformed) == ("completed", None)


def test_gzip_is_unpacked() -> None:
    """A compressed stream is read all the same."""
    headers = {**SSE, "content-encoding": "gzip"}
    body = gzip.compress(b"".join(map(frame, STREAM)))
    answer = decode(reads(head(200, {**headers, "content-length": str(len(body))}), body), headers, asked_stream=True)
    assert answer.terminal == "completed"


def test_an_unknown_encoding_is_said() -> None:
    """What cannot be unpacked is malformed by name, not an empty stream."""
    headers = {**SSE, "content-encoding": "br"}
    answer = decode(reads(head(200, {**headers, "content-length": "3"}), b"abc"), headers, asked_stream=True)
    assert "content-encoding 'br'" in (answer.malformed or "")


def test_an_interim_answer_is_passed_over() -> None:
    """A 100 Continue before the answer is no answer."""
    body = json.dumps(e.response(usage=e.USAGE)).encode()
    final = head(200, {"content-type": "application/json", "content-length": str(len(body))}) + body
    answer = decode(
        reads(b"HTTP/1.1 100 Continue\r\n\r\n", final), {"content-type": "application/json"}, asked_stream=False
    )
    assert (answer.terminal, answer.usage and answer.usage.output) == ("completed", 3)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the body is empty"),
        (b"<html>hello</html>", "the body is not JSON"),
        (b"[1, 2]", "not a JSON object"),
    ],
)
def test_a_blocking_body_that_is_no_response(body: bytes, says: str) -> None:
    """Nonsense in place of a response is said in words."""
    answer = decode(
        reads(head(200, {"content-length": str(len(body))}), body), {"content-type": "text/html"}, asked_stream=False
    )
    assert says in (answer.malformed or "")


@pytest.mark.parametrize(
    ("events", "says"),
    [
        (["data: {oops\n\n"], "event 0 is not JSON"),
        ([e.CREATED, "data: [1, 2"], "ends inside an event"),
        ([b"data: \xff\xfe\n\n"], "event 0 is not JSON"),
        ([e.CREATED, "data: null\n\n", e.COMPLETED], "event 1 is not a JSON object"),
    ],
)
def test_a_stream_that_is_no_stream_of_json(events: list[object], says: str) -> None:
    """Frames that are no JSON are said in words; later ones are still read."""
    body = b"".join(frame(event) for event in events)  # type: ignore[arg-type]
    answer = decode(reads(head(200, SSE), body), SSE, asked_stream=True)
    assert says in (answer.malformed or "")


def test_done_is_no_terminal_event() -> None:
    """`[DONE]` ends the loop of the SDK, but says nothing of how the answer ended."""
    answer = decode(reads(head(200, SSE), frame(e.delta("a")) + b"data: [DONE]\n\n"), SSE, asked_stream=True)
    assert answer.terminal is None
    assert answer.events[-1].meaning.kind == "done"


@given(st.lists(st.tuples(st.integers(0, 9), st.binary(max_size=60)), max_size=5), st.sampled_from([SSE, {}]))
def test_any_bytes_are_survived(parts: list[tuple[int, bytes]], headers: dict[str, str]) -> None:
    """Bytes that are no HTTP give an answer that says so, never an exception."""
    answer = decode(parts, headers, asked_stream=bool(headers))
    assert answer.events == [] or answer.is_stream


@pytest.mark.parametrize("kind", [{}, {"content-type": "text/plain"}, {"content-type": "application/octet-stream"}])
def test_a_stream_without_its_content_type_is_one(kind: dict[str, str]) -> None:
    """What was asked for as a stream is read as one whatever its type, as the SDK does; JSON and HTML are not."""
    read = reads(head(200, kind), b"".join(map(frame, STREAM)))
    assert decode(read, kind, asked_stream=True).terminal == "completed"
    assert not decode(read, kind, asked_stream=False).is_stream
    assert not decode(read, {"content-type": "application/json"}, asked_stream=True).is_stream
