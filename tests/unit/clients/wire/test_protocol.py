"""What parent and shooter say to each other survives any way of being cut into pieces, and any backlog."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bench.clients.wire.channel import Channel
from bench.clients.wire.protocol import COPY_BELOW, Decoder, Kind, Message, encode, unpack
from bench.clients.wire.spill import Place, Spill

READS = st.lists(st.tuples(st.integers(0, 2**63 - 1), st.binary(max_size=40)), max_size=5)
METAS = st.none() | st.dictionaries(st.text(max_size=5), st.integers(-(2**53), 2**53) | st.text(), max_size=3)
NUMBERS = st.integers(0, 2**32 - 1)


@given(st.lists(st.tuples(st.sampled_from(Kind), NUMBERS, METAS, READS), max_size=5), st.integers(1, 200))
def test_round_trip(
    sent: list[tuple[Kind, int, dict[str, int | str] | None, list[tuple[int, bytes]]]], cut: int
) -> None:
    """Messages come out as they went in, wherever the bytes were cut."""
    stream = b"".join(b"".join(encode(kind, number, meta, reads=reads)) for kind, number, meta, reads in sent)
    decoder = Decoder()
    pieces = [stream[start : start + cut] for start in range(0, len(stream), cut)]
    came = [message for piece in pieces for message in decoder.feed(piece)]
    assert [(m.kind, m.number, m.meta, unpack(m.packed, m.reads)) for m in came] == sent


def test_a_request_travels_as_it_is() -> None:
    """Bytes that are no reads are the packed part."""
    (message,) = Decoder().feed(b"".join(encode(Kind.FIRE, 7, {"due": None}, data=b"POST /")))
    assert (message.number, message.meta, message.reads, message.packed) == (7, {"due": None}, 0, b"POST /")


def test_long_reads_are_not_copied() -> None:
    """The bytes of a long read are handed to the kernel as they are; of short ones one piece is made."""
    long = bytes(COPY_BELOW)
    assert encode(Kind.READS, 1, reads=[(1, long)])[1] is long
    assert len(encode(Kind.READS, 1, reads=[(1, b"a"), (2, b"b")])) == 1


@settings(max_examples=40)
@given(st.lists(st.binary(max_size=9000), max_size=30), st.randoms(use_true_random=False), st.integers(0, 20_000))
def test_spill_gives_back_what_was_put(blobs: list[bytes], random: Random, limit: int) -> None:
    """In any order, whether memory held it or the file; the memory stays within the limit."""
    with closing(Spill(limit)) as spill:
        held = []
        for blob in blobs:
            held.append((blob, spill.put(blob)))
            assert spill.in_memory <= limit
            if random.random() < 0.4:
                random.shuffle(held)
                kept, place = held.pop()
                assert spill.take(place) == kept
        assert [spill.take(place) for _, place in held] == [blob for blob, _ in held]
        assert spill.in_memory == 0


def test_spill_uses_its_file_again() -> None:
    """What was taken leaves room: a long run with a small backlog has a small file."""
    with closing(Spill(0)) as spill:
        for _ in range(50):
            assert spill.take(spill.put(bytes(5000))) == bytes(5000)
        assert spill.file_bytes == 8192


def test_the_file_has_no_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing is left behind, however the process ends."""
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with closing(Spill(0)) as spill:
        assert isinstance(spill.put(b"text"), Place)
        assert list(tmp_path.iterdir()) == []


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of sockets."""
    ours, other = socket.socketpair()
    with ours, other:
        yield ours, other


def test_a_slow_reader_loses_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    """24 MB are posted before the other end reads at all: everything comes, in order, and the poster never waits."""
    sent = [(number, bytes([number % 256]) * 100_000) for number in range(240)]
    came: list[Message] = []

    async def main() -> None:
        closed, done = asyncio.Event(), asyncio.Event()

        def receive(message: Message) -> None:
            came.append(message)
            if len(came) == len(sent):
                done.set()

        poster = Channel(ends[0], came.append, lambda _: None)
        for number, blob in sent:
            poster.post(encode(Kind.READS, number, reads=[(number, blob)]))
        assert poster.backlog_in_file
        reader = Channel(ends[1], receive, lambda _: closed.set())
        await asyncio.wait_for(done.wait(), 20)
        poster.close()
        await asyncio.wait_for(closed.wait(), 5)
        reader.close()

    asyncio.run(main())
    assert [(message.number, unpack(message.packed, message.reads)) for message in came] == [
        (number, [(number, blob)]) for number, blob in sent
    ]
