"""Which kind of answer it was, and what was wrong with it, in words that the user reads."""

from __future__ import annotations

import json
from typing import Any

import pytest

from bench.doctor.verdict.reading import Kind
from tests.support import chat as c
from tests.support import events as e
from tests.support.scripted import chunk, frame, head
from tests.unit.doctor.verdict.test_reading import CHUNKED, SENT, SSE, attempt, chunked, read

JSON = {"content-type": "application/json"}
ERROR = json.dumps({"error": {"code": "bad", "message": "stream is not for you"}}).encode()


@pytest.mark.parametrize(
    ("status", "body", "kind", "wrong"),
    [
        (400, ERROR, "refused", "HTTP 400: bad: stream is not for you"),
        (404, b'{"detail": "Not Found"}', "refused", "HTTP 404: Not Found"),
        (403, b"", "refused", "HTTP 403: the body is empty"),
        (429, ERROR, "limited", "bad: stream is not for you"),
        (500, ERROR, "failed", "HTTP 500: bad: stream is not for you"),
        (200, json.dumps(e.response(usage=e.USAGE)).encode(), "json", ""),
    ],
)
def test_what_is_no_stream(status: int, body: bytes, kind: Kind, wrong: str) -> None:
    """By its status: refused, limited, failed or one JSON body; with what the server said."""
    raw = head(status, {**JSON, "content-length": str(len(body))}) + body
    made = read(attempt(raw, headers=JSON, status=status))
    assert (made.kind, made.wrong, made.is_whole) == (kind, wrong, False)


def test_a_chat_completion_in_one_body() -> None:
    """It is one JSON body as well, with its token count and no time of a first piece."""
    body = json.dumps(c.completion("hello")).encode()
    made = read(attempt(head(200, {**JSON, "content-length": str(len(body))}) + body, headers=JSON), api="chat")
    assert (made.kind, made.tokens, made.first_ms, made.reads) == ("json", 3, None, [])


@pytest.mark.parametrize(
    ("error", "wrong"),
    [("ConnectionRefusedError: nobody there", "ConnectionRefusedError: nobody there"), (None, "no answer")],
)
def test_no_answer_at_all(error: str | None, wrong: str) -> None:
    """It failed, with the error if there is one."""
    made = read(attempt(status=None, error=error))
    assert (made.kind, made.wrong) == ("failed", wrong)


@pytest.mark.parametrize("status", [None, 200])
def test_late(status: int | None) -> None:
    """What the deadline ended is late, whether or not the answer had begun, and no broken stream."""
    begun = [head(200, CHUNKED), chunk(frame(e.delta("a")))] if status else []
    made = read(attempt(*begun, status=status, error="Deadline: no end within 120 s (--deadline)"))
    assert (made.kind, made.wrong) == ("late", "no end within 120 s (--deadline)")
    assert made.deltas == len(begun[1:])


BROKEN: dict[str, tuple[list[Any], dict[str, Any], str]] = {
    "cut": ([e.delta("a")], {"error": "ReadError: reset by peer"}, "ended inside the answer (reset by peer)"),
    "cut without words": ([e.delta("a")], {"error": "EOF"}, "the connection ended inside the answer (EOF)"),
    "no JSON": ([e.delta("a"), "data: {oops\n\n", e.COMPLETED], {}, "it is malformed: event 1 is not JSON"),
    "no terminal": ([e.CREATED, e.delta("a")], {}, "it ends without a terminal event"),
    "half an event": ([e.delta("a"), 'data: {"type"'], {}, "it is malformed: the body ends inside an event"),
    "failed": ([e.delta("a"), e.FAILED], {}, "the server ended it with an error (server_error: out of memory)"),
    "nothing": ([], {}, "it ends without a terminal event"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_wrong_with_a_stream(name: str) -> None:
    """Each way to break a stream is said as such, and none of them is whole."""
    events, more, says = BROKEN[name]
    made = read(attempt(head(200, CHUNKED), *chunked(*events), **more))
    assert made.kind == "stream"
    assert says in made.wrong
    assert not made.is_whole


@pytest.mark.parametrize("end", [e.COMPLETED, e.INCOMPLETE, e.FILTERED])
def test_a_proper_end(end: Any) -> None:
    """Also an answer that reached its cap, or was filtered, came to its end as a stream."""
    assert read(attempt(head(200, CHUNKED), *chunked(e.delta("a"), end))).is_whole


@pytest.mark.parametrize(
    ("headers", "said"), [({}, "missing"), ({"content-type": "text/plain"}, "text/plain"), (JSON, "application/json")]
)
def test_another_content_type(headers: dict[str, str], said: str) -> None:
    """Events under another type, JSON's too, are named as what they are: a stream with the wrong type."""
    parts = [head(200, {**headers, "transfer-encoding": "chunked"}), *chunked(e.delta("a"), e.COMPLETED)]
    made = read(attempt(*parts, headers=headers))
    assert (made.kind, made.wrong) == ("stream", f"the content type is {said}, not text/event-stream")


def test_a_page_instead_of_a_stream() -> None:
    """HTML is no event stream, and its content type is named."""
    page = b"<html>Welcome to nginx!</html>"
    headers = {"content-type": "text/html"}
    made = read(attempt(head(200, {**headers, "content-length": str(len(page))}) + page, headers=headers))
    assert made.kind == "stream"
    assert "text/html" in made.wrong or "not JSON" in made.wrong
    assert not made.is_whole


def test_a_type_in_capitals_is_right() -> None:
    """Media types have no case."""
    headers = {"content-type": "Text/Event-Stream"}
    parts = [head(200, {**headers, "transfer-encoding": "chunked"}), *chunked(e.delta("a"), e.COMPLETED)]
    assert read(attempt(*parts, headers=headers)).is_whole


def test_bytes_that_are_no_http() -> None:
    """They are a broken stream, never an exception."""
    made = read(attempt(b"\x15\x03\x01\x00\x02\x02P", headers={}))
    assert not made.is_whole
    assert made.wrong
    assert (made.reads, made.arrivals) == ([], [])


@pytest.mark.parametrize(
    ("numbers", "numbered"),
    [([0, 1, 2], "whole"), ([4, 5, 6], "whole"), ([0, 2, 3], "gaps"), ([1, 0, 2], "gaps"), ([0, None, 2], "none")],
)
def test_sequence_numbers(numbers: list[int | None], numbered: str) -> None:
    """They count by one from wherever they begin; lost or swapped ones are gaps; where one lacks it there are none."""
    events = [
        {**one, "sequence_number": n} for one, n in zip([e.CREATED, e.delta("a"), e.COMPLETED], numbers, strict=True)
    ]
    made = read(attempt(head(200, CHUNKED), *chunked(*events, c.DONE)))
    assert made.numbered == numbered
    assert read(attempt(head(200, CHUNKED), *chunked(c.content("a", "stop"))), api="chat").numbered == "none"


def test_pings_and_done() -> None:
    """Comment lines are counted, `[DONE]` is noted, and neither is a delta."""
    parts = chunked(": ping\n\n", c.content("a"), ": ping\n\n", c.STOP, c.DONE)
    made = read(attempt(head(200, CHUNKED), *parts), api="chat")
    assert (made.pings, made.done, made.deltas, made.wrong) == (2, True, 1, "")
    assert not read(attempt(head(200, CHUNKED), *chunked(c.content("a", "stop"))), api="chat").done


def test_what_is_known_of_the_connection_is_kept() -> None:
    """Version, reuse and the id by which a log may be asked."""
    made = read(attempt(head(200, SSE), reused=True, http_version="HTTP/1.0", client_id="bench-7"))
    assert (made.reused, made.http_version, made.client_id, made.t_sent) == (True, "HTTP/1.0", "bench-7", SENT)
