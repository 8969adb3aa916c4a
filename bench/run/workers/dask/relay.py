"""The task of a Dask worker: start the process that measures, and relay frames between it and the coordinator.

Only code installed with streambench runs here, nothing that was pickled.
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
"""Each side sends a sign of life this often."""
SILENT_S = 30.0
"""After this long without a word the other side is taken to be gone."""
CLAIM_S = 5.0
KEEP = 16 << 20
"""Bytes that may wait in memory to be sent; more wait in a temporary file."""
MOST_AT_ONCE = 1 << 20
IN_QUEUE = 32
"""Most items in the scheduler's queue: 32 MB."""


@dataclass(frozen=True)
class Names:
    """The queues of a run on the scheduler."""

    run: str

    @property
    def from_workers(self) -> str:
        """Queue from all workers: (index, bytes of frames); (index, None): sign of life; (index, text): the end."""
        return f"bench-{self.run}-up"

    def to_worker(self, index: int) -> str:
        """Queue to one worker: bytes of frames, or None as a sign of life."""
        return f"bench-{self.run}-down-{index}"

    def token(self, index: int) -> str:
        """Queue with one item: the task that takes it runs the shard."""
        return f"bench-{self.run}-token-{index}"


class StartedTwice(Exception):
    """The shard was started before; this start has sent nothing."""


def relay(run: str, index: int) -> str:
    """Run shard `index` in a process of its own, until it ends or the run is gone; return how it ended.

    Raises `StartedTwice` if the shard was started before.
    """
    from distributed import Queue, get_client  # noqa: PLC0415  (an optional extra, half a second)

    client, names = get_client(), Names(run)
    claim(client, names, index)
    with (
        closing(Queue(names.from_workers, client=client)) as up,
        closing(Queue(names.to_worker(index), client=client)) as down,
    ):
        how = _run_shard(up, down, index)
        up.put((index, how), timeout=SILENT_S)
    return how


def _run_shard(up: Any, down: Any, index: int) -> str:
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
    """Take the shard's token, which the scheduler gives once. Raises `StartedTwice`."""
    from distributed import Queue  # noqa: PLC0415  (an optional extra, half a second)

    try:
        with closing(Queue(names.token(index), client=client)) as token:
            token.get(timeout=CLAIM_S)
    except TimeoutError as error:
        raise StartedTwice(f"shard {index + 1} of run {names.run} was started before: not measured twice") from error


def _pass_down(down: Any, sock: socket.socket) -> None:
    """Forward orders to the process until the run is silent; then close the socket, which ends the process."""
    with suppress(OSError, TimeoutError):
        while True:
            order = down.get(timeout=SILENT_S)
            if order is not None:
                sock.sendall(order)
    with suppress(OSError):
        sock.shutdown(socket.SHUT_RDWR)


def _pass_up(up: Any, index: int, sock: socket.socket) -> None:
    """Forward the process's output in order, with signs of life while it is silent."""
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
    """Bytes that were read and not sent yet: reading never waits for the scheduler."""

    def __init__(self) -> None:
        self._spill, self._held = Spill(KEEP), deque[Held]()
        self._condition, self._closed = threading.Condition(), False

    def put(self, data: bytes) -> None:
        with self._condition:
            self._held.append(self._spill.put(data))
            self._condition.notify()

    def close(self) -> None:
        with self._condition:
            self._closed = True
            self._condition.notify()

    def take(self, seconds: float) -> bytes | None:
        """Return the kept bytes, up to about 1 MB; b"" if none came within `seconds`, None at the end."""
        with self._condition:
            self._condition.wait_for(lambda: self._held or self._closed, seconds)
            taken = bytearray()
            while self._held and len(taken) < MOST_AT_ONCE:
                taken += self._spill.take(self._held.popleft())
            return None if self._closed and not taken else bytes(taken)
