"""The task of one Dask worker: it starts the process that measures, and passes on what goes between it and the run.

Only what was installed with streambench runs here, nothing that was pickled.
"""

from __future__ import annotations

import socket
import threading
from collections import deque
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from bench.core.processes.child import SocketChild
from bench.core.processes.spill import Held, Spill
from bench.run.workers.processes import WORKER, end_and_describe

if TYPE_CHECKING:
    from distributed import Client

BEAT_S = 5.0
"""So often each side says that it is there."""
SILENT_S = 30.0
"""So long without a word, and the other side is taken to be gone."""
CLAIM_S = 5.0
KEEP = 16 << 20
"""Bytes that wait in memory to be passed on; more wait in a temporary file."""
MOST_AT_ONCE = 1 << 20
IN_QUEUE = 32
"""Pieces that the scheduler holds at most: 32 MB."""


@dataclass(frozen=True)
class Names:
    """The queues of a run on the scheduler."""

    run: str

    @property
    def up(self) -> str:
        """From all workers: (index, bytes); (index, None) is a sign of life, (index, text) how its process ended."""
        return f"bench-{self.run}-up"

    def down(self, index: int) -> str:
        """To one worker: bytes, or None as a sign of life."""
        return f"bench-{self.run}-down-{index}"

    def token(self, index: int) -> str:
        """Has one item: whoever takes it carries the shard out."""
        return f"bench-{self.run}-token-{index}"


class StartedTwice(Exception):
    """This shard was started before; nothing was sent by this start."""


def relay(run: str, index: int) -> str:
    """Carry out shard `index` in a process of its own, until it ends or the run is gone. How it ended.

    Raises `StartedTwice` where the shard has been started before.
    """
    from distributed import Queue, get_client  # noqa: PLC0415

    client, names = get_client(), Names(run)
    claim(client, names, index)
    with closing(Queue(names.up, client=client)) as up, closing(Queue(names.down(index), client=client)) as down:
        how = _carried_out(up, down, index)
        up.put((index, how), timeout=SILENT_S)
    return how


def _carried_out(up: Any, down: Any, index: int) -> str:
    child = SocketChild(WORKER)
    with child.errors, child.sock:
        threading.Thread(target=_pass_down, args=(down, child.sock), daemon=True).start()
        try:
            _pass_up(up, index, child.sock)
        finally:
            with suppress(OSError):
                child.sock.shutdown(socket.SHUT_RDWR)
            how = end_and_describe(child)
        return how


def claim(client: Client, names: Names, index: int) -> None:
    """Take the shard's token; the scheduler gives it once. Raises `StartedTwice`."""
    from distributed import Queue  # noqa: PLC0415

    try:
        with closing(Queue(names.token(index), client=client)) as token:
            token.get(timeout=CLAIM_S)
    except TimeoutError as error:
        raise StartedTwice(f"shard {index + 1} of run {names.run} was started before: not measured twice") from error


def _pass_down(down: Any, sock: socket.socket) -> None:
    """Orders, until the run says nothing any more: then the process is told to end by the end of its socket."""
    with suppress(OSError, TimeoutError):
        while True:
            order = down.get(timeout=SILENT_S)
            if order is not None:
                sock.sendall(order)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _pass_up(up: Any, index: int, sock: socket.socket) -> None:
    """What the process says, in its order; a sign of life where it says nothing."""
    pieces = Pieces()
    threading.Thread(target=_read, args=(sock, pieces), daemon=True).start()
    while (data := pieces.take(BEAT_S)) is not None:
        up.put((index, data or None), timeout=SILENT_S)


def _read(sock: socket.socket, pieces: Pieces) -> None:
    with suppress(OSError):
        while data := sock.recv(MOST_AT_ONCE):
            pieces.put(data)
    pieces.close()


class Pieces:
    """What was read and not yet passed on: reading never waits for the scheduler."""

    def __init__(self) -> None:
        self._spill, self._held = Spill(KEEP), deque[Held]()
        self._condition, self._closed = threading.Condition(), False

    def put(self, data: bytes) -> None:
        """Keep it."""
        with self._condition:
            self._held.append(self._spill.put(data))
            self._condition.notify()

    def close(self) -> None:
        """There will be no more."""
        with self._condition:
            self._closed = True
            self._condition.notify()

    def take(self, seconds: float) -> bytes | None:
        """All that is there, up to about a MB; empty when nothing came for so long, None at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._held or self._closed, seconds)
            taken = bytearray()
            while self._held and len(taken) < MOST_AT_ONCE:
                taken += self._spill.take(self._held.popleft())
            return None if self._closed and not taken else bytes(taken)
