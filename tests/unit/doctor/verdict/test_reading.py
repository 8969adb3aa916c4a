"""From the bytes of an answer to what the doctor knows of it: when what came, in which reads, whatever carried it."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Mapping
from itertools import accumulate, pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.scenario import Api
from bench.core.trial import Attempt
from bench.doctor.diagnosis import Mode
from bench.doctor.requests import PATHS, Question
from bench.doctor.verdict.reading import Read, Reading, read_answer
from tests.support import chat as c
from tests.support import events as e
from tests.support.scripted import LAST_CHUNK, chunk, frame, head

SSE = {"content-type": "text/event-stream; charset=utf-8"}
CHUNKED = {**SSE, "transfer-encoding": "chunked"}
SENT = 5_000_000_000
MS = 1_000_000


def attempt(*parts: bytes, headers: Mapping[str, str] = SSE, status: int | None = 200, **more: Any) -> Attempt:
    """Sent at 0 ms; the parts are read at 10, 20, 30 … ms, and it ends with the last of them."""
    made = Attempt(0, 0, "id", "POST", "/v1/responses", 0, asked_stream=True, t_start=SENT - MS, headers=dict(headers))
    made.t_sent, made.status = SENT, status
    made.reads = [(SENT + 10 * MS * number, part) for number, part in enumerate(parts, 1)]
    made.t_end = made.reads[-1][0] if made.reads else SENT + MS
    for name, value in more.items():
        setattr(made, name, value)
    return made


def read(made: Attempt, mode: Mode = "text", api: Api = "responses") -> Reading:
    """What the doctor makes of it."""
    made.path = f"/v1{PATHS[api]}"
    return read_answer(made, Question(api, mode, 64, 0), hop=1, nonce="[n]")


def chunked(*events: Any) -> list[bytes]:
    """Each in a chunk of its own, and the end."""
    return [*(chunk(frame(event)) for event in events), LAST_CHUNK]


def test_times_are_those_of_the_reads() -> None:
    """Headers, first and last delta and the end, in ms after the request was sent; each read with what it completed."""
    parts = [head(200, CHUNKED), *chunked(e.CREATED, e.delta("Hel"), [e.delta("lo"), e.delta("!")], e.COMPLETED)]
    made = read(attempt(*parts, t_headers=SENT + 10 * MS, t_connect=SENT - 9 * MS, t_connected=SENT - 2 * MS))
    assert (made.headers_ms, made.first_ms, made.last_ms, made.end_ms, made.connect_ms) == (10, 30, 40, 60, 7)
    assert made.reads == [
        Read(30, len(frame(e.delta("Hel"))), 1, inside=False),
        Read(40, len(frame([e.delta("lo"), e.delta("!")])), 2, inside=False),
    ]
    assert made.arrivals == [(SENT + 30 * MS, 3), (SENT + 40 * MS, 6)]
    assert (made.deltas, made.chars, made.tokens, made.window_ms, made.t_sent) == (3, 6, 3, 10, SENT)
    assert (made.kind, made.wrong, made.is_whole, made.hop, made.nonce) == ("stream", "", True, 1, "[n]")


def test_tls_is_part_of_the_connection() -> None:
    """Where there was a handshake, it counts; where the connection was kept, there is no such time."""
    stamps: dict[str, Any] = {"t_connect": SENT - 9 * MS, "t_connected": SENT - 7 * MS, "t_tls": SENT - 3 * MS}
    assert read(attempt(head(200, SSE), **stamps)).connect_ms == 6
    assert read(attempt(head(200, SSE), reused=True)).connect_ms is None


def test_without_a_time_of_sending_it_counts_from_the_start() -> None:
    """An attempt that never got so far has its times from when it began."""
    made = read(attempt(status=None, error="ConnectionRefusedError: no", t_sent=None, t_end=SENT))
    assert (made.t_sent, made.end_ms, made.first_ms, made.reads) == (SENT - MS, 1, None, [])


STREAMS: Mapping[tuple[Api, Mode], list[Any]] = {
    ("responses", "text"): [e.reasoning("hm"), e.delta("a"), e.text_done("a"), e.COMPLETED],
    ("responses", "structured"): [e.reasoning("hm"), e.delta('{"a"'), e.delta(":1}"), e.COMPLETED],
    ("responses", "tools"): [e.delta("I will"), e.arguments("{"), e.arguments("}"), e.call_item("done", "{}")],
    ("chat", "text"): [c.ROLE, c.chunk({"reasoning_content": "hm"}), c.content("a"), c.STOP, c.USAGE_ONLY],
    ("chat", "structured"): [c.ROLE, c.content('{"a"'), c.content(":1}"), c.STOP],
    ("chat", "tools"): [c.content("I will"), c.call(None, "f"), c.call("{"), c.call("}"), c.STOP],
}


@pytest.mark.parametrize(("api", "mode"), STREAMS)
def test_deltas_by_mode(api: Api, mode: Mode) -> None:
    """Two of these events bring the mode's answer: reasoning is of a text only, a text before a call is none of it."""
    made = read(attempt(head(200, CHUNKED), *chunked(*STREAMS[api, mode])), mode, api)
    assert made.deltas == 2
    assert made.chars == {"text": 3, "structured": 7, "tools": 2}[mode]
    assert not made.elsewhere


def test_what_came_complete_counts_once() -> None:
    """Without deltas the whole text is one delta, though three events repeat it; with deltas they are none."""
    wholes = [e.text_done("all of it"), {**e.text_done("all of it"), "sequence_number": 7}, e.COMPLETED]
    made = read(attempt(head(200, CHUNKED), *chunked(*wholes)))
    assert (made.deltas, made.chars, made.first_ms, made.last_ms) == (1, 9, 20, 20)
    after = read(attempt(head(200, CHUNKED), *chunked(e.delta("all"), *wholes)))
    assert (after.deltas, after.chars) == (1, 3)


def test_a_call_that_came_complete() -> None:
    """Its item with all arguments is one delta; an empty one that opens the call is none."""
    events = [e.call_item("added", ""), e.call_item("done", '{"text": "one"}'), e.COMPLETED]
    made = read(attempt(head(200, CHUNKED), *chunked(*events)), "tools")
    assert (made.deltas, made.chars, made.first_ms) == (1, 15, 30)


def test_a_text_instead_of_a_call() -> None:
    """It is said to have come elsewhere; an answer that brings nothing at all is not."""
    assert read(attempt(head(200, CHUNKED), *chunked(e.delta("No."), e.COMPLETED)), "tools").elsewhere
    assert not read(attempt(head(200, CHUNKED), *chunked(e.CREATED, e.COMPLETED)), "tools").elsewhere


def test_a_read_ends_inside_an_event() -> None:
    """Half an event is seen, completed or not, and its bytes are those of the body without chunk sizes."""
    first, second = frame(c.content("a")), frame(c.content("b"))
    made = read(attempt(head(200, CHUNKED), chunk(first + second[:20]), chunk(second[20:]), LAST_CHUNK), api="chat")
    assert made.reads == [
        Read(20, len(first) + 20, 1, inside=True),
        Read(30, len(second) - 20, 1, inside=False),
    ]


def test_a_body_that_ends_with_its_connection() -> None:
    """Without chunks the same deltas come at the same times, and all bytes are the body's."""
    events = [e.CREATED, e.delta("a"), e.delta("bc"), e.COMPLETED]
    made = read(attempt(head(200, SSE), *map(frame, events)))
    as_chunks = read(attempt(head(200, CHUNKED), *chunked(*events)))
    assert (made.arrivals, made.reads, made.wrong) == (as_chunks.arrivals, as_chunks.reads, "")


@pytest.mark.parametrize("encoding", ["gzip", "deflate"])
def test_a_compressed_stream_in_pieces(encoding: str) -> None:
    """A delta comes with the read that lets it be unpacked; the bytes are those that were transferred."""
    packer = zlib.compressobj(wbits=31 if encoding == "gzip" else 15)
    events = [e.CREATED, e.delta("a"), e.delta("bc"), e.COMPLETED]
    packed = [packer.compress(frame(one)) + packer.flush(zlib.Z_SYNC_FLUSH) for one in events]
    headers = {**CHUNKED, "content-encoding": encoding}
    parts = [head(200, headers), chunk(packed[0]), chunk(packed[1][:9]), chunk(packed[1][9:] + packed[2][:4])]
    last = packed[2][4:] + packed[3] + packer.flush()
    made = read(attempt(*parts, chunk(last), LAST_CHUNK, headers=headers))
    assert made.arrivals == [(SENT + 40 * MS, 1), (SENT + 50 * MS, 3)]
    assert [(one.bytes, one.deltas) for one in made.reads] == [(len(packed[1]) - 9 + 4, 1), (len(last), 1)]
    assert made.is_whole


def test_a_compressor_that_does_not_flush() -> None:
    """All of it comes with the read that ends the body."""
    headers = {**SSE, "content-encoding": "gzip"}
    events = [e.CREATED, *(e.delta(f"word {number} ", number) for number in range(500)), e.COMPLETED]
    packed = gzip.compress(b"".join(map(frame, events)))
    made = read(attempt(head(200, headers), packed[:20], packed[20:], headers=headers))
    assert (made.deltas, made.first_ms, made.last_ms, made.wrong) == (500, 30, 30, "")
    assert [one.bytes for one in made.reads] == [len(packed) - 20]


def test_what_cannot_be_unpacked_is_malformed() -> None:
    """An encoding that nobody asked for is named, and no delta is made up."""
    headers = {**SSE, "content-encoding": "br"}
    made = read(attempt(head(200, headers), b"\x0b\x02\x80abc\x03", headers=headers))
    assert "content-encoding 'br' cannot be read here" in made.wrong
    assert (made.kind, made.deltas, made.reads) == ("stream", 0, [])


@given(st.lists(st.integers(1, 30), min_size=2, max_size=12), st.data())
def test_any_cut_gives_the_same_deltas(lengths: list[int], data: st.DataObject) -> None:
    """However the bytes are cut into reads, a delta comes with the read of its last byte, and all else is the same."""
    frames = [frame(c.ROLE), *(frame(c.content("x" * length)) for length in lengths), frame(c.STOP)]
    pieces = [head(200, CHUNKED), *(chunk(one) for one in frames), LAST_CHUNK]
    raw = b"".join(pieces)
    ends = [end - 2 for end in accumulate(map(len, pieces))][1:-1]  # without the line end of the chunk
    cuts = sorted({*data.draw(st.sets(st.integers(1, len(raw) - 1), max_size=25)), len(raw)})

    made = read(attempt(*(raw[a:b] for a, b in pairwise([0, *cuts]))), api="chat")

    places = [next(place for place, cut in enumerate(cuts) if cut >= end) for end in ends[1:-1]]
    times = {SENT + 10 * MS * (place + 1): chars for place, chars in zip(places, accumulate(lengths), strict=True)}
    assert (made.deltas, made.chars, made.wrong) == (len(lengths), sum(lengths), "")
    assert dict(made.arrivals) == times
    assert sum(one.deltas for one in made.reads) == len(lengths)
    bodies = [_body_before(cut, ends, [len(one) for one in frames]) for cut in (0, *cuts)]
    kept = [(a, b) for a, b in pairwise(bodies[places[0] : places[-1] + 2]) if b > a]
    assert [one.bytes for one in made.reads] == [b - a for a, b in kept]
    whole = {0, *accumulate(map(len, frames))}
    assert [one.inside for one in made.reads] == [b not in whole for _, b in kept]


def _body_before(cut: int, ends: list[int], sizes: list[int]) -> int:
    """Bytes of the body among the first so many that were transferred."""
    return sum(max(0, min(size, size - (end - cut))) for end, size in zip(ends, sizes, strict=True))


def test_a_stream_of_one_event() -> None:
    """It brings one delta and ends; there is no time between its deltas."""
    made = read(attempt(head(200, CHUNKED), *chunked(c.content("all of it", "stop"))), api="chat")
    assert (made.deltas, made.chars, made.window_ms, made.wrong) == (1, 9, 0, "")
