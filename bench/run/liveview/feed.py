"""The measuring process's end of the live view: write messages, never wait, and go on if nobody reads."""

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
"""Longest wait for the viewer, which must be up before the first trial begins."""
END_S = 2.0
EVERY_S = 0.05
"""Shortest time between two messages. Trials that end in between are sent with a later one: no timer wakes the loop."""
MOST_WAITING = 1 << 20
"""Unread bytes at which a viewer is given up."""
AS_BEFORE = "\x1b[?25h"
"""Shows the cursor, which a killed viewer leaves hidden."""


def can_show() -> bool:
    """Return True if a live view can be drawn on stderr."""
    return sys.stderr.isatty() and os.environ.get("TERM", "dumb") not in {"dumb", "unknown", ""}


def open_view(opening: Mapping[str, Any], look: Callable[[], dict[str, Any]] | None) -> Feed | None:
    """Start a viewer; return None if it does not come up."""
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
    """Sends messages to the viewer. Nothing raises because of the viewer; `alive` says whether it is still there."""

    def __init__(
        self,
        sock: socket.socket,
        child: subprocess.Popen[bytes],
        opening: Mapping[str, Any],
        look: Callable[[], dict[str, Any]],
    ) -> None:
        """`look`: called before each message for its other values."""
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
        """Add an ended trial, sent with the next `step`."""
        if self.alive:
            self._trials.append(one)
            if error:
                cell, status = one[0], one[4]
                self._counts["error"] = (cell, status, sendable(error))

    def step(self, *, done: int, total: int | None, text: str = "") -> None:
        """Report progress: `done` of `total`; `text` names the last scenario."""
        self._counts |= {"done": done, "total": total, "text": text}
        if self.alive and monotonic() - self._last >= EVERY_S:
            self._flush()

    def say(self, line: str) -> None:
        """Print a line that stays above the view."""
        self._said.append(line)
        self._flush()
        self._write(message(kind="say", line=line.encode("utf-8", "replace").decode()))

    def close(self) -> None:
        if self.alive:
            self._flush()
        if not self.alive:
            self._child.wait()
            return
        if self._out:  # with a time limit: the viewer may hang
            with suppress(OSError):
                self._sock.settimeout(END_S)
                self._sock.sendall(self._out)
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

    def _give_up(self) -> None:
        self.alive = False
        self._sock.close()
        self._child.kill()
        self._clean_up()

    def _clean_up(self) -> None:
        """Restore the terminal after a viewer that did not end well, and print the lines it may not have shown."""
        with suppress(OSError):
            sys.stderr.write("\n".join([AS_BEFORE, *self._said, ""]))
            sys.stderr.flush()
