"""Draw the live view on stderr from the messages of a socket, until it closes: `python -m bench.run.liveview FD`.

The process shares the machine with a measurement: it draws at most four pictures a second, uses at most a twentieth of
a CPU, and has the lowest priority.
"""

from __future__ import annotations

import os
import select
import signal
import socket
import sys
from collections.abc import Iterator
from time import monotonic, process_time
from typing import Any

from rich.console import Console
from rich.live import Live
from rich.text import Text

from bench.core.processes.frames import FrameReader
from bench.run.liveview.estimates import FiguresCache
from bench.run.liveview.screen import one_line, page
from bench.run.liveview.state import State

FASTEST_S = 0.25
"""Shortest time between two pictures."""
SLOWEST_S = 1.0
"""Longest time between two pictures: the clock goes on."""
SHARE = 20
"""The pause after a picture is this many times the CPU time that the picture took."""
_PIECE = 1 << 20


class MessageSource:
    """The messages of a socket as they arrive."""

    def __init__(self, sock: socket.socket) -> None:
        sock.setblocking(False)
        self._sock, self._reader, self.over = sock, FrameReader(), False
        self._data, self._end = select.poll(), select.poll()
        self._data.register(sock, select.POLLIN)
        self._end.register(sock, 0)

    def pause(self, seconds: float) -> None:
        """Wait this many seconds, or until the other side has ended."""
        self._end.poll(seconds * 1000)

    def messages(self) -> Iterator[dict[str, Any]]:
        """Yield the messages that have arrived; wait up to `SLOWEST_S` for the first."""
        self._data.poll(SLOWEST_S * 1000)
        for piece in self._pieces():
            for frame in self._reader.feed(piece):
                yield frame.meta

    def _pieces(self) -> Iterator[bytes]:
        try:
            while piece := self._sock.recv(_PIECE):
                yield piece
        except BlockingIOError:
            return
        except ConnectionError:
            pass
        self.over = True


def draw(source: MessageSource, console: Console) -> None:
    """Draw until the source ends; then remove the view, and keep the lines of `say`."""
    state, cache = State(), FiguresCache()
    with Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        while not source.over:
            began = process_time()
            for message in source.messages():
                if message["kind"] == "say":
                    live.console.print(Text(one_line(message["line"])), soft_wrap=True)
                else:
                    state.apply(message)
            if not source.over:
                live.update(page(state, cache, monotonic(), *console.size), refresh=True)
                source.pause(max(FASTEST_S, SHARE * (process_time() - began)))


def main() -> int:
    """Draw the messages of the socket whose descriptor is the only argument; return 1 if that fails."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    os.nice(19)
    with socket.socket(fileno=int(sys.argv[1])) as sock:
        try:
            sock.send(b"1")
            draw(MessageSource(sock), Console(stderr=True))
        except Exception:  # noqa: BLE001  (no traceback in the middle of a terminal; the run prints the lines)
            return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
