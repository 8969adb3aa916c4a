"""Frames survive any way of being cut into pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from bench.core.processes.frames import COPY_BELOW, MESSAGE, FrameReader, encode, message, unpack

READS = st.lists(st.tuples(st.integers(0, 2**63 - 1), st.binary(max_size=40)), max_size=5)
DATA = st.binary(max_size=40)
METAS = st.none() | st.dictionaries(st.text(max_size=5), st.integers(-(2**53), 2**53) | st.text(), max_size=3)
NUMBERS = st.integers(0, 2**32 - 1)
KINDS = st.integers(0, 255)
FIRE, READ_KIND = 2, 8


@given(st.lists(st.tuples(KINDS, NUMBERS, METAS, READS | DATA), max_size=5), st.integers(1, 200))
def test_round_trip(
    sent: list[tuple[int, int, dict[str, int | str] | None, list[tuple[int, bytes]] | bytes]], cut: int
) -> None:
    """Messages come out as they went in, with reads or with data, wherever the bytes were cut."""
    stream = b"".join(
        part
        for kind, number, meta, packed in sent
        for part in (
            encode(kind, number, meta, data=packed)
            if isinstance(packed, bytes)
            else encode(kind, number, meta, reads=packed)
        )
    )
    decoder = FrameReader()
    pieces = [stream[start : start + cut] for start in range(0, len(stream), cut)]
    came = [message for piece in pieces for message in decoder.feed(piece)]
    assert [(m.kind, m.number, m.meta, unpack(m.data, m.reads) or m.data) for m in came] == [
        (kind, number, meta, packed or b"") for kind, number, meta, packed in sent
    ]


def test_a_request_travels_as_it_is() -> None:
    """Bytes that are no reads are the packed part."""
    (message,) = FrameReader().feed(b"".join(encode(FIRE, 7, {"due": None}, data=b"POST /")))
    assert (message.number, message.meta, message.reads, message.data) == (7, {"due": None}, 0, b"POST /")


def test_long_reads_are_not_copied() -> None:
    """The bytes of a long read are handed to the kernel as they are; of short ones one piece is made."""
    long = bytes(COPY_BELOW)
    assert encode(READ_KIND, 1, reads=[(1, long)])[1] is long
    assert len(encode(READ_KIND, 1, reads=[(1, b"a"), (2, b"b")])) == 1


def test_a_message_is_one_frame_of_json() -> None:
    """Keys that are numbers become text, as JSON has no others."""
    (found,) = FrameReader().feed(message(kind="ready", seen={3: "no"}))
    assert (found.kind, found.number, found.meta) == (MESSAGE, 0, {"kind": "ready", "seen": {"3": "no"}})
