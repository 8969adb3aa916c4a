"""Call back at a moment of `perf_counter_ns`, to about 0.1 ms on systems with timers that can be read (Linux).

An event loop's own timers have milliseconds: a schedule kept by them is half a millisecond late on average.
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import sys
from collections.abc import Callable
from functools import cache
from heapq import heappop, heappush
from itertools import count
from time import perf_counter_ns
from typing import Any

_MONOTONIC, _NONBLOCK_CLOEXEC, _ABSOLUTE = 1, 0o2004000, 1
_SPEC = struct.Struct("@llll")
"""Interval and moment, each in seconds and nanoseconds."""


class Alarm:
    """Calls functions when they are due. An alarm belongs to one event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._heap: list[tuple[int, int, Callable[[], None]]] = []
        self._order = count()
        self._timer: asyncio.TimerHandle | None = None
        self._fd = _new_timer()
        if self._fd is not None:
            self._loop.add_reader(self._fd, self._ring)

    def call_at(self, t: int, callback: Callable[[], None]) -> None:
        """Call the function at `t`, or in the next turn of the loop if `t` is over. Equal times keep their order."""
        heappush(self._heap, (t, next(self._order), callback))
        if self._heap[0][0] == t:
            self._set()

    def clear(self) -> None:
        """Drop all calls that are due."""
        self._heap.clear()

    def close(self) -> None:
        """Drop all calls and close the timer."""
        self.clear()
        if self._timer is not None:
            self._timer.cancel()
        if self._fd is not None:
            self._loop.remove_reader(self._fd)
            os.close(self._fd)
            self._fd = None

    def _ring(self) -> None:
        if self._fd is not None:
            try:
                os.read(self._fd, 8)
            except BlockingIOError:  # it was set anew since
                return
        now = perf_counter_ns()
        while self._heap and self._heap[0][0] <= now:
            heappop(self._heap)[2]()
        if self._heap:
            self._set()

    def _set(self) -> None:
        """Set the timer for the first call of the heap."""
        t = self._heap[0][0]
        if self._fd is None:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_later(max(0, t - perf_counter_ns()) / 1e9, self._ring)
            return
        spec = _SPEC.pack(0, 0, *divmod(max(1, t), 1_000_000_000))
        _libc().timerfd_settime(self._fd, _ABSOLUTE, spec, None)


@cache
def _libc() -> Any:
    return ctypes.CDLL(None)


def _new_timer() -> int | None:
    """Return the file descriptor of a system timer, or None if the system has none."""
    if not sys.platform.startswith("linux") or _SPEC.size != 32:
        return None
    try:
        fd = int(_libc().timerfd_create(_MONOTONIC, _NONBLOCK_CLOEXEC))
    except (OSError, AttributeError):
        return None
    return fd if fd >= 0 else None
