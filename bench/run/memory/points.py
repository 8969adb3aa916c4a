"""Load a scenario in the process that measures memory, warm it, and measure each point in a child process.

The process is small and single-threaded, because every point is forked from it: it imports only the SDK and the plugin.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import random
import select
import signal
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn, get_args

from bench.core.errors import BenchError
from bench.core.plugins.loader import load_file
from bench.core.scenario import Scenario
from bench.core.trial import Delivery
from bench.run.memory.call import MemoryServer, Meter, measure_peak, warm

Reading = dict[str, Any]
"""The measured columns of a row: output_tokens, base_bytes and peak_bytes, or error in their place."""


@dataclass(frozen=True, kw_only=True)
class Point:
    """One measurement: a delivery by a meter at a length, and which repetition."""

    delivery: Delivery
    meter: Meter
    tokens: int
    rep: int


@dataclass(frozen=True)
class Measurer:
    """Measures points of one scenario, each in a process of its own."""

    scenario: Scenario
    endpoint: MemoryServer
    spawn: Sequence[str] | None
    """The command that measures a point given as JSON behind it; None: fork this process."""

    def prepare(self) -> None:
        """Warm each delivery, then freeze the garbage collector's objects, which the children share.

        A delivery that fails here fails again in each of its points, where the failure is recorded.
        """
        for delivery in deliveries(self.scenario):
            with contextlib.suppress(Exception):
                warm(self.scenario, delivery, self.endpoint)
        gc.collect()
        gc.freeze()

    def measure_here(self, point: Point) -> Reading:
        """Measure a point in this process."""
        try:
            base, peak = measure_peak(self.scenario, point.delivery, point.meter, point.tokens, self.endpoint)
        except Exception as error:  # noqa: BLE001  (whatever a plugin raises is a failed point)
            return _failure(f"{type(error).__name__}: {error}")
        return {"output_tokens": point.tokens, "base_bytes": base, "peak_bytes": peak}

    def read(self, point: Point, deadline: float) -> Reading | None:
        """Measure a point. Return None if the deadline (`monotonic`) passes first."""
        if monotonic() >= deadline:
            return None
        return (
            self._measure_in_fork(point, deadline)
            if self.spawn is None
            else self._measure_in_new_process(point, self.spawn, deadline)
        )

    def _measure_in_fork(self, point: Point, deadline: float) -> Reading | None:
        receive, send = os.pipe()
        pid = os.fork()
        if pid == 0:
            self._tell(send, point)
        os.close(send)
        data = None
        try:
            data = _read_all(receive, deadline)
        finally:
            os.close(receive)
            if data is None:
                os.kill(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
        return None if data is None else _reading(data, os.waitstatus_to_exitcode(status))

    def _tell(self, send: int, point: Point) -> NoReturn:
        """Measure in the child, write the reading, and exit without running the parent's clean-up."""
        try:
            os.write(send, json.dumps(self.measure_here(point)).encode())
        finally:
            os._exit(0)

    def _measure_in_new_process(self, point: Point, command: Sequence[str], deadline: float) -> Reading | None:
        left = deadline - monotonic()
        try:
            done = subprocess.run(
                [*command, json.dumps(vars(point))], stdout=subprocess.PIPE, timeout=left, check=False
            )
        except subprocess.TimeoutExpired:
            return None
        return _reading(done.stdout, done.returncode)


def _read_all(receive: int, deadline: float) -> bytes | None:
    """Read a pipe until it is closed. Return None if the deadline passes first."""
    data = b""
    while select.select([receive], [], [], max(0.0, deadline - monotonic()))[0]:
        chunk = os.read(receive, 65536)
        if not chunk:
            return data
        data += chunk
    return None


def _reading(data: bytes, exit_code: int) -> Reading:
    """Return the child's reading or, if it died first, how it died."""
    if data:
        reading: Reading = json.loads(data)
        return reading
    how = f"signal {-exit_code}" if exit_code < 0 else f"exit status {exit_code}"
    return _failure(f"the measuring process died ({how})")


def _failure(message: str) -> Reading:
    return {"error": " ".join(message.split())[:500]}


def find_scenario(plugin: Path | str, name: str) -> Scenario:
    """Load the scenario `name` from a plugin's file or module."""
    module = load_file(plugin) if isinstance(plugin, Path) else importlib.import_module(plugin)
    scenarios: dict[str, Scenario] = {scenario.name: scenario for scenario in module.register_scenarios()}
    if name not in scenarios:
        raise BenchError(f"plugin {plugin}: no scenario {name!r}; it has {', '.join(sorted(scenarios)) or 'none'}")
    return scenarios[name]


def deliveries(scenario: Scenario) -> list[Delivery]:
    """Return the deliveries that a scenario supports."""
    return [d for d in get_args(Delivery) if d == "streamed" or scenario.blocking is not None]


def plan(scenario: Scenario, lengths: Sequence[int], reps: int, meters: Sequence[Meter]) -> Iterator[Point]:
    """Yield every point, repetition by repetition and in it meter by meter.

    Within a meter the order is shuffled from a fixed seed, so that drift does not look like length or delivery.
    """
    for rep, meter in product(range(reps), meters):
        points = list(product(deliveries(scenario), lengths))
        random.Random(rep).shuffle(points)  # noqa: S311  (an order, not a secret)
        for delivery, tokens in points:
            yield Point(delivery=delivery, meter=meter, tokens=tokens, rep=rep)
