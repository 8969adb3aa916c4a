"""Frames between parent and load generator survive any backlog."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator

import pytest

from bench.clients.load_generator.channel import Channel, FrameKind
from bench.core.processes.frames import Frame, encode, unpack


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """A pair of sockets."""
    ours, other = socket.socketpair()
    with ours, other:
        yield ours, other


def test_a_slow_reader_loses_nothing(ends: tuple[socket.socket, socket.socket]) -> None:
    """24 MB are posted before the other end reads at all: everything comes, in order, and the poster never waits."""
    sent = [(number, bytes([number % 256]) * 100_000) for number in range(240)]
    came: list[Frame] = []

    async def main() -> None:
        closed, done = asyncio.Event(), asyncio.Event()

        def receive(message: Frame) -> None:
            came.append(message)
            if len(came) == len(sent):
                done.set()

        poster = Channel(ends[0], came.append, lambda _: None)
        for number, blob in sent:
            poster.post(encode(FrameKind.READS, number, reads=[(number, blob)]))
        assert poster._spill.file_bytes
        reader = Channel(ends[1], receive, lambda _: closed.set())
        await asyncio.wait_for(done.wait(), 20)
        poster.close()
        await asyncio.wait_for(closed.wait(), 5)
        reader.close()

    asyncio.run(main())
    assert [(message.number, unpack(message.data, message.reads)) for message in came] == [
        (number, [(number, blob)]) for number, blob in sent
    ]
