"""Was the client itself in time? Probes of the event loop, the collector and the machine, taken while cells run.

A heartbeat is due every 10 ms; by how much it comes late is what any read would have been late by, whatever held the
loop up: the SDK's work, the scenario's code, the collector, or another process on the same CPU. An idle loop is up to
1 ms late, as the system's timers are in ms. After a long pause the missed beats are not made up for: the analysis
knows when they were due. What this costs is in docs/statistics.md.
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
"""A shorter pause of the collector is not kept."""
RECENT = 1000
"""Beats that are kept for whoever watches the run."""
MACHINE_EVERY_NS = 1_000_000_000
"""The machine is asked no more often than this, and only between trials."""


class Guard:
    """Probes while it is entered, within groups only."""

    def __init__(self) -> None:
        self._cell: int | None = None
        self._rows: list[dict[str, Any]] = []
        self._timer: asyncio.TimerHandle | None = None
        self._due = self._gc_start = self._machine_at = 0
        self._lags: deque[float] = deque(maxlen=RECENT)

    async def __aenter__(self) -> Self:
        gc.callbacks.append(self._collected)
        return self

    async def __aexit__(self, *_: object) -> None:
        """No more probes."""
        gc.callbacks.remove(self._collected)
        self.end()

    def begin(self, cell: int) -> None:
        """A group of this cell's trials starts."""
        self._cell = cell
        self._ask_machine()
        self._due = perf_counter_ns() + BEAT_NS
        self._timer = asyncio.get_running_loop().call_later(BEAT_NS / 1e9, self._beat)

    def end(self) -> list[dict[str, Any]]:
        """It has ended: rows of the table `probes`, times in raw `perf_counter_ns`."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            if (now := perf_counter_ns()) > self._due:  # held up to the last moment
                self._late(now)
            self._ask_machine()
        self._cell = None
        return self.take()

    def take(self) -> list[dict[str, Any]]:
        """The rows so far, given once: a group may last for hours."""
        rows, self._rows = self._rows, []
        return rows

    def lags_since(self) -> list[float]:
        """How late the beats since the last such question were, in ms: the latest of them."""
        lags = list(self._lags)
        self._lags.clear()
        return lags

    def heard(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Probes of a guard in another process, which are no rows of this one."""
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

    def _collected(self, phase: str, _info: dict[str, int]) -> None:
        now = perf_counter_ns()
        if phase == "start":
            self._gc_start = now
        elif self._cell is not None and now - self._gc_start > SHORT_GC_NS:
            self._note(now, "gc_pause", now - self._gc_start)

    def _ask_machine(self) -> None:
        """What the system has counted since it started, where it counts."""
        now = perf_counter_ns()
        if now - self._machine_at >= MACHINE_EVERY_NS:
            self._machine_at = now
            for name, ns in {**cpu_times(), **pressure()}.items():
                self._note(now, name, ns)

    def _note(self, now: int, name: str, ns: int) -> None:
        row = {"t": now, "cell": self._cell, "name": name, "value": round(ns / 1e6, 3), "unit": "ms"}
        self._rows.append(row)


def cpu_times() -> dict[str, int]:
    """`cpu_time`: ns of all CPUs together, idle or not; `steal`: those that other guests of the host took."""
    fields = _read("/proc/stat").partition("\n")[0].split()[1:9]
    if len(fields) < 8:
        return {}
    tick = 1_000_000_000 // os.sysconf("SC_CLK_TCK")
    ticks = [int(field) for field in fields]  # user, nice, system, idle, iowait, irq, softirq, steal
    return {"cpu_time": sum(ticks) * tick, "steal": ticks[7] * tick}


def pressure() -> dict[str, int]:
    """`pressure`: ns in which at least one process waited for a CPU."""
    some = _read("/proc/pressure/cpu").partition("\n")[0]
    total = some.partition("total=")[2]
    return {"pressure": int(total) * 1000} if total else {}


def _read(path: str) -> str:
    """The file, or nothing where there is none."""
    try:
        with open(path, encoding="ascii") as file:  # noqa: PTH123  (a third of pathlib's time)
            return file.read()
    except OSError:
        return ""
