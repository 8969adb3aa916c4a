"""Probe the client itself while cells run: the event loop, the garbage collector and the machine.

A heartbeat is due every 10 ms. Its lateness is the lateness of any read at that time, regardless of what blocked the
loop: the SDK's work, the scenario's code, the collector, or another process on the same CPU. An idle loop is up to 1 ms
late, because the system's timers have milliseconds. Beats missed in a long pause are not repeated: the analysis knows
when they were due. docs/statistics.md says what the probes cost.
"""

from __future__ import annotations

import asyncio
import gc
import os
from collections import deque
from collections.abc import Iterable, Mapping
from time import perf_counter_ns
from typing import Any, Self

from bench.records.schema import BEAT_NS

SHORT_GC_NS = 1_000_000
"""Shorter pauses of the collector are not kept."""
RECENT = 1000
"""Number of latest beats kept for the live view."""
MACHINE_EVERY_NS = 1_000_000_000
"""Shortest time between two readings of the machine, which are taken only between trials."""


class Guard:
    """Takes probes between `begin` and `end` of a group. Use it as an async context manager."""

    def __init__(self) -> None:
        self._cell: int | None = None
        self._rows: list[dict[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._gc_start = self._machine_at = 0
        self._lags: deque[float] = deque(maxlen=RECENT)

    async def __aenter__(self) -> Self:
        gc.callbacks.append(self._watch_gc)
        return self

    async def __aexit__(self, *_: object) -> None:
        gc.callbacks.remove(self._watch_gc)
        self.end()

    def begin(self, cell: int) -> None:
        """Start probing a group of this cell's trials."""
        self._cell = cell
        self._ask_machine()
        self._due = perf_counter_ns() + BEAT_NS
        self._timer = asyncio.get_running_loop().call_later(BEAT_NS / 1e9, self._beat)

    def end(self) -> list[dict[str, Any]]:
        """Stop probing; return the rows of the table `probes`, times in raw `perf_counter_ns`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if (now := perf_counter_ns()) > self._due:  # held up to the last moment
                self._late(now)
            self._ask_machine()
        self._cell = None
        return self.take()

    def take(self) -> list[dict[str, Any]]:
        """Return the rows since the last call: a group may last for hours."""
        rows, self._rows = self._rows, []
        return rows

    def lags_since(self) -> list[float]:
        """Return how late the beats since the last call were, in ms; at most the latest `RECENT`."""
        lags = list(self._lags)
        self._lags.clear()
        return lags

    def add_lags(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Add the loop lags of a guard in another process to those that `lags_since` returns."""
        self._lags.extend(row["value"] for row in rows if row["name"] == "loop_lag")

    def _beat(self) -> None:
        now = perf_counter_ns()
        self._late(now)
        self._due += BEAT_NS * (1 + max(0, now - self._due) // BEAT_NS)
        self._timer = asyncio.get_running_loop().call_later((self._due - now) / 1e9, self._beat)

    def _late(self, now: int) -> None:
        lag = max(0, now - self._due)
        self._note(now, "loop_lag", lag)
        self._lags.append(lag / 1e6)

    def _watch_gc(self, phase: str, _info: dict[str, int]) -> None:
        now = perf_counter_ns()
        if phase == "start":
            self._gc_start = now
        elif self._cell is not None and now - self._gc_start > SHORT_GC_NS:
            self._note(now, "gc_pause", now - self._gc_start)

    def _ask_machine(self) -> None:
        """Read the system's counters, where it has them."""
        now = perf_counter_ns()
        if now - self._machine_at >= MACHINE_EVERY_NS:
            self._machine_at = now
            for name, ns in {**cpu_times(), **pressure()}.items():
                self._note(now, name, ns)

    def _note(self, now: int, name: str, ns: int) -> None:
        row = {"t": now, "cell": self._cell, "name": name, "value": round(ns / 1e6, 3), "unit": "ms"}
        self._rows.append(row)


def cpu_times() -> dict[str, int]:
    """Return `cpu_time` (ns of all CPUs, idle or not) and `steal` (ns taken by other guests of the host)."""
    fields = _read("/proc/stat").partition("\n")[0].split()[1:9]
    if len(fields) < 8:
        return {}
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    ticks = [int(field) for field in fields]  # user, nice, system, idle, iowait, irq, softirq, steal
    return {"cpu_time": sum(ticks) * tick, "steal": ticks[7] * tick}


def pressure() -> dict[str, int]:
    """Return `pressure`: ns in which at least one process waited for a CPU."""
    some = _read("/proc/pressure/cpu").partition("\n")[0]
    total = some.partition("total=")[2]
    return {"pressure": int(total) * 1000} if total else {}


def _read(path: str) -> str:
    """Return the text of a file, or "" if there is none."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123  (a third of pathlib's time)
            return file.read()
    except OSError:
        return ""
