"""The measuring process's end of the live view: it writes, never waits, and goes on where nobody reads."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from time import monotonic
from typing import Any

from bench.core.processes.child import SocketChild, end
from bench.core.processes.frames import message
from bench.run.liveview.messages import Sent, sendable

VIEWER = "bench.run.liveview"
START_S = 5.0
"""So long the viewer may take to come up; it is waited for, so that its start disturbs no trial."""
END_S = 2.0
EVERY_S = 0.05
"""Between two messages. What ends in between goes with the next trial: no timer wakes the loop for it."""
MOST_WAITING = 1 << 20
"""Bytes that nobody reads: a viewer so far behind is given up."""
AS_BEFORE = "\x1b[?25h"
"""Shows the cursor, which a viewer that was killed has left hidden."""


def shows() -> bool:
    """Can a live view be drawn on stderr?"""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}


def opened(opening: Mapping[str, Any], look: Callable[[], dict[str, Any]] | None) -> Feed | None:
    """A viewer that is ready to draw, or None where it did not come up."""
    try:
        child = SocketChild(VIEWER, sys.stderr.buffer)
    except OSError:  # no more processes, or no memory for one
        return None
    try:
        child.sock.settimeout(START_S)
        ready = child.sock.recv(1)
    except OSError:
        ready = b""
    except BaseException:
        _end(child.process, child.sock)
        raise
    if not ready:
        _end(child.process, child.sock)
        return None
    child.sock.setblocking(False)
    return Feed(child.sock, child.process, opening, look or dict)


def _end(viewer: subprocess.Popen[bytes], sock: socket.socket) -> int:
    """Close the viewer's socket, which ends it, or kill it; return its exit status."""
    sock.close()
    return end(viewer, patience_s=END_S, terminate_s=0)


class Feed:
    """Tells the viewer. Nothing here raises because of the viewer; `alive` says whether it is still there."""

    def __init__(
        self,
        sock: socket.socket,
        child: subprocess.Popen[bytes],
        opening: Mapping[str, Any],
        look: Callable[[], dict[str, Any]],
    ) -> None:
        """`look`: what is told beside the trials, asked before each message."""
        self.alive = True
        self.pid = child.pid
        self._sock, self._child, self._look = sock, child, look
        self._trials: list[Sent] = []
        self._counts: dict[str, Any] = {}
        self._out = bytearray()
        self._last = 0.0
        self._said: list[str] = []
        self._write(message(kind="begin", t=monotonic(), **opening))

    def trial(self, one: Sent, error: str | None) -> None:
        """A trial has ended; sent with the next `step`."""
        if self.alive:
            self._trials.append(one)
            if error:
                cell, status = one[0], one[4]
                self._counts["error"] = (cell, status, sendable(error))

    def step(self, *, done: int, total: int | None, text: str = "") -> None:
        """So far it has come; `text`: what it was just doing."""
        self._counts |= {"done": done, "total": total, "text": text}
        if self.alive and monotonic() - self._last >= EVERY_S:
            self._flush()

    def say(self, line: str) -> None:
        """A line that stays above the view."""
        self._said.append(line)
        self._flush()
        self._write(message(kind="say", line=line.encode("utf-8", "replace").decode()))

    def close(self) -> None:
        """The view goes."""
        if self.alive:
            self._flush()
        if not self.alive:
            self._child.wait()
            return
        self._send_rest()
        self.alive = False
        if _end(self._child, self._sock):
            self._clean_up()

    def _flush(self) -> None:
        if self._counts or self._trials:
            self._write(message(kind="so_far", **self._look(), **self._counts, trials=self._trials))
            self._trials, self._counts = [], {}
            self._last = monotonic()

    def _write(self, data: bytes) -> None:
        if not self.alive:
            return
        self._out += data
        try:
            while self._out:
                del self._out[: self._sock.send(self._out)]
        except BlockingIOError:
            if len(self._out) > MOST_WAITING:
                self._give_up()
        except OSError:  # it is gone
            self._give_up()

    def _send_rest(self) -> None:
        """What it has not read yet, where lines that were said may be; not for long, as it may hang."""
        if self._out:
            with suppress(OSError):
                self._sock.settimeout(END_S)
                self._sock.sendall(self._out)

    def _give_up(self) -> None:
        self.alive = False
        self._sock.close()
        self._child.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        """After a viewer that did not end as it should: the terminal as it was, and the lines it may not have shown."""
        with suppress(OSError):
            sys.stderr.write("\n".join([AS_BEFORE, *self._said, ""]))
            sys.stderr.flush()
