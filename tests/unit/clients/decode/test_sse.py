"""Server-sent events out of bytes."""

from __future__ import annotations

from hypothesis import example, given
from hypothesis import strategies as st

from bench.clients.decode.sse import SseParser

LINE_ENDS = ("\n", "\r\n", "\r")
data_text = st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]))


def parse(*chunks: bytes) -> list[bytes]:
    parser = SseParser()
    return [data for chunk in chunks for data in parser.feed(chunk)]


@given(
    events=st.lists(st.lists(data_text, min_size=1, max_size=3), max_size=5),
    end=st.sampled_from(LINE_ENDS),
    cuts=st.lists(st.integers(0, 500)),
)
def test_any_cut_gives_the_same_events(events: list[list[str]], end: str, cuts: list[int]) -> None:
    """However the bytes are cut into reads, and whatever ends the lines, the same events come out."""
    body = "".join("".join(f"data: {line}{end}" for line in lines) + end for lines in events).encode()
    places = sorted({cut for cut in cuts if cut < len(body)})
    chunks = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    assert parse(*chunks) == ["\n".join(lines).encode() for lines in events]


@given(st.lists(st.binary(max_size=40)))
def test_any_bytes_are_survived(chunks: list[bytes]) -> None:
    """Bytes that are no event stream give something or nothing, never an error, and cut or whole the same."""
    assert parse(*chunks) == parse(b"".join(chunks))


def test_comments_are_pings() -> None:
    """Comment lines are counted and are no events."""
    parser = SseParser()
    assert list(parser.feed(b": ping\n\n: ping\n\ndata: x\n\n")) == [b"x"]
    assert parser.pings == 2


def test_other_fields_are_passed_over() -> None:
    """Event names, ids, retry times and unknown fields are not data; `data` without a colon is an empty line."""
    assert parse(b"event: a\nid: 1\nretry: 5\ndatax: no\ndata\ndata:y\n\n") == [b"\ny"]


def test_an_event_without_its_blank_line_is_none() -> None:
    """What stands after the last blank line was never completed, and is told apart from a clean end."""
    parser = SseParser()
    assert list(parser.feed(b"data: a\n\ndata: half")) == [b"a"]
    assert parser.is_unfinished
    assert list(parser.feed(b"\n\n")) == [b"half"]
    assert not parser.is_unfinished


def test_a_byte_order_mark_is_no_text() -> None:
    """One leading byte-order mark is dropped, also when it comes in pieces."""
    assert parse(b"\xef", b"\xbb\xbfdata: x\n\n") == [b"x"]
    assert parse(b"data: \xef\xbb\xbfx\n\n") == [b"\xef\xbb\xbfx"]


@example(events=[("event: x\n", "abc")] * 9, odd="", cuts=[20, 21, 40, 60, 70, 100, 120, 130])
@example(events=[("", "abc")] * 8, odd="", cuts=[11 * number for number in range(1, 8)])
@example(events=[("", "abc")] * 8, odd="data: half", cuts=list(range(5, 90, 7)))
@given(
    events=st.lists(st.tuples(st.sampled_from(["event: x\n", "event:y\n", "", ": ping\n\n", "id: 1\n"]), data_text)),
    odd=st.sampled_from(["", "", "\r", "data: half", "\ufeff"]),
    cuts=st.lists(st.integers(0, 500)),
)
def test_chunks_together_give_what_they_give_one_by_one(
    events: list[tuple[str, str]], odd: str, cuts: list[int]
) -> None:
    """Many chunks read at once bring the same events, each out of the same chunk, and leave the parser as it was."""
    body = (odd + "".join(f"{front}data: {text}\n\n" for front, text in events) + odd).encode()
    places = sorted({cut for cut in cuts if cut < len(body)})
    chunks = [body[a:b] for a, b in zip([0, *places], [*places, len(body)], strict=True)]
    for half in (0, len(chunks) // 2):
        single, several = SseParser(), SseParser()
        expected = [(place, data) for place, chunk in enumerate(chunks) for data in single.feed(chunk)]
        first, rest = several.feed_all(chunks[:half]), several.feed_all(chunks[half:])
        found = [*zip(*first, strict=True), *((half + place, data) for place, data in zip(*rest, strict=True))]
        assert found == expected
        assert (several.pings, several.is_unfinished) == (single.pings, single.is_unfinished)
