"""Measure the client memory that a scenario takes by length of its answer, streamed and blocking.

    python -m bench.run.memory.measure --base-url URL --plugin FILE --scenario NAME

measures one scenario on a simulator without pacing and prints each point as a JSON line, a row of the `memory` table.
`measure` does so for several scenarios on a simulator of its own, so no target is ever charged.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path
from time import monotonic, sleep
from typing import IO, Any

from bench.core.errors import BenchError
from bench.core.processes.child import python, spawn

LENGTHS = (250, 500, 1000, 2000, 4000, 8000)
"""Output tokens."""
WORKERS = 3
"""Measuring processes at a time. Memory is not timing, so there may be more than cores: three keep two cores busy."""
START = "fork" if sys.platform == "linux" else "spawn"
"""Elsewhere a forked process may not use the system's libraries: each point is a new Python, a second slower."""
METERS = ("rss", "tracemalloc")
"""The quick one first: tracemalloc makes the SDK three times slower, so it is what is left out when time is short."""
ENDING = 0.5
"""Seconds that a measuring process has for ending by itself, before it is killed at the end of its share."""
Row = dict[str, Any]
"""A row of the `memory` table of `records.schema`."""


@dataclass(frozen=True)
class Job:
    """What one process measures: a scenario, the file (or module name) of its plugin, its parameters as rows show them.

    `scenario` may name several scenarios without parameters, separated by commas.
    """

    scenario: str
    plugin: Path | str
    params: str = ""
    arguments: tuple[str, ...] = ()
    """Further arguments of the measuring process."""
    seconds: float | None = None
    """How long the job takes, about; None: unknown. Jobs with and without it are not mixed in a batch."""


def measure(
    jobs: Sequence[Job],
    *,
    seconds: float,
    workers: int = WORKERS,
    lengths: Sequence[int] = LENGTHS,
    reps: int = 1,
    on_progress: Callable[[Row], None] = lambda _: None,
) -> tuple[list[Row], list[str]]:
    """Measure every job, in at most `seconds`: the rows, and a note on whatever is missing from them.

    Each job has a process of its own, at most `workers` at a time, in their order. A batch that would not fit into the
    time, by its `seconds` or the longest batch before, is left out with a note, so that other jobs are whole.
    `on_progress` gets each row as it comes. No process stays behind, not even after Ctrl-C.
    """
    from bench.simulator.process import running  # noqa: PLC0415  (a process that measures memory imports this module, and stays small)

    deadline = monotonic() + seconds
    batches = list(_batches(jobs, workers))
    rows, notes, skipped, longest = list[Row](), list[str](), list[Job](), 0.0
    with running(profile="flood") as simulator:
        for number, batch in enumerate(batches):
            began = monotonic()
            share = deadline - began
            if number and share < max(longest if job.seconds is None else job.seconds for job in batch):
                skipped += batch
                continue
            asked = ["--base-url", simulator.base_url, "--lengths", ",".join(map(str, lengths)), "--reps", str(reps)]
            asked += ["--seconds", f"{max(0.0, share - ENDING):.3f}"]
            for row in _side_by_side(batch, asked, share, notes):
                rows.append(row)
                on_progress(row)
            longest = max(longest, monotonic() - began)
    return rows, [*notes, *left_out(skipped, seconds)]


def _batches(jobs: Sequence[Job], workers: int) -> Iterator[Sequence[Job]]:
    """Yield batches of at most `workers` jobs in their order; jobs of different `seconds` are not mixed."""
    for _, group in groupby(jobs, key=lambda job: job.seconds):
        alike = list(group)
        yield from (alike[start : start + workers] for start in range(0, len(alike), workers))


def left_out(jobs: Sequence[Job], seconds: float) -> Iterator[str]:
    """Yield the notes on jobs that there was no time for."""
    if names := [job.scenario for job in jobs if job.seconds is None]:
        yield f"memory of {', '.join(names)}: not measured in {seconds:g} s; run them by name"
    if len(names) < len(jobs):
        yield f"memory by the way of consuming: not measured in {seconds:g} s; run fewer scenarios at once"


def _side_by_side(jobs: Sequence[Job], asked: Sequence[str], seconds: float, notes: list[str]) -> Iterator[Row]:
    """Run the processes of some jobs and yield their rows as they come; then add to `notes`."""
    deadline = monotonic() + seconds
    with contextlib.ExitStack() as stack:
        processes = [stack.enter_context(_measuring_process(job, asked)) for job in jobs]
        while any(process.running for process in processes) and monotonic() < deadline:
            sleep(0.02)
            for process in processes:
                yield from process.new_rows()
        for process in processes:
            process.end()
            yield from process.new_rows()
            notes += process.notes()


@dataclass
class _Process:
    """A measuring process, and the files that it writes to."""

    job: Job
    process: subprocess.Popen[bytes]
    output: IO[bytes]
    errors: IO[bytes]
    rest: bytes = field(default=b"", init=False)
    killed: bool = field(default=False, init=False)

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def new_rows(self) -> Iterator[Row]:
        """Yield the rows written since the last call, without an incomplete last line."""
        *lines, self.rest = (self.rest + self.output.read()).split(b"\n")
        yield from map(json.loads, lines)

    def end(self) -> None:
        """Kill the process if it still runs, together with the child that measures a point."""
        if self.running:
            self.killed = True
            kill = self.process.kill if os.name == "nt" else lambda: os.killpg(self.process.pid, signal.SIGKILL)
            kill()
            self.process.wait()

    def notes(self) -> list[str]:
        """Return the notes that the process printed, or how it failed."""
        said = [line for line in self.errors.read().decode(errors="replace").splitlines() if line.strip()]
        own = [line.removeprefix(NOTE) for line in said if line.startswith(NOTE)]
        if self.killed:
            own.append("ended when its time was up")
        elif self.process.returncode:
            own.append(f"not measured: {said[-1] if said else f'exit status {self.process.returncode}'}")
        return [f"memory of {self.job.scenario}: {note}" for note in own]


NOTE = "note: "
"""Begins the lines on a measuring process's stderr that become notes of the run."""
MODULE = "bench.run.memory.measure"
UNREAD = {"output_tokens": None, "base_bytes": None, "peak_bytes": None, "error": None}
"""The columns that a reading fills, in part."""


@contextlib.contextmanager
def _measuring_process(job: Job, asked: Sequence[str]) -> Iterator[_Process]:
    """Start a measuring process in a group of its own: Ctrl-C does not reach it, and its children end with it."""
    plugin = ["--plugin" if isinstance(job.plugin, Path) else "--module", str(job.plugin)]
    arguments = [*plugin, "--scenario", job.scenario, "--params", job.params, *asked, *job.arguments]
    with tempfile.TemporaryDirectory() as folder:
        output, errors = Path(folder) / "output", Path(folder) / "errors"
        with output.open("wb") as out, errors.open("wb") as err:
            process = spawn(MODULE, *arguments, stdout=out, stderr=err)
        with output.open("rb") as out, errors.open("rb") as err:
            started = _Process(job, process, out, err)
            try:
                yield started
            finally:
                started.end()


def main() -> None:
    """Measure as a process of its own: rows go to stdout, everything else to stderr."""
    began = monotonic()
    options = _parser().parse_args()
    rows = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a plugin prints is not a row
    try:
        _run(options, rows, began + options.seconds)
    except BenchError as error:
        print(error, file=sys.stderr)  # noqa: T201
        sys.exit(error.exit_code)


def _run(options: argparse.Namespace, rows: IO[str], deadline: float) -> None:
    from bench.run.memory import points  # noqa: PLC0415  (the SDK: loaded after `began`, so that it counts towards the time)
    from bench.run.memory.call import TOKENS_PER_EVENT, MemoryServer, read_at_most  # noqa: PLC0415  (likewise)

    if options.read_at_most:
        read_at_most(options.read_at_most)
    endpoint = MemoryServer(
        base_url=options.base_url,
        model=options.model,
        params=options.params,
        tokens_per_event=options.tokens_per_event or TOKENS_PER_EVENT,
    )
    measurers = {}
    for name in options.scenario.split(","):
        scenario = points.find_scenario(options.plugin or options.module, name)
        again = None if options.start == "fork" else [*python(MODULE), *sys.argv[1:], "--scenario", name, "--point"]
        measurers[name] = points.Measurer(scenario, endpoint, again)
        measurers[name].prepare()
    if options.point:
        point = points.Point(**json.loads(options.point))
        print(json.dumps(measurers[options.scenario].measure_here(point)), file=rows, flush=True)
        return
    todo = [
        (name, point)
        for name, measurer in measurers.items()
        for point in points.plan(measurer.scenario, options.lengths, options.reps, options.meters)
    ]
    missing = sum(point.rep == 0 for _, point in todo)
    for name, point in todo:
        reading = measurers[name].read(point, deadline)
        if reading is None:
            break
        missing -= point.rep == 0
        row = {"scenario": name, "params": options.params, **vars(point), **UNREAD, **reading}
        print(json.dumps(row), file=rows, flush=True)
    if missing:
        print(f"{NOTE}{missing} of {len(todo) // options.reps} points did not fit into the time", file=sys.stderr)  # noqa: T201


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"python -m {MODULE}", description=(__doc__ or "").splitlines()[0])
    plugin = parser.add_mutually_exclusive_group(required=True)
    plugin.add_argument("--plugin", type=Path, metavar="FILE", help="file of the plugin")
    plugin.add_argument("--module", metavar="NAME", help="module of the plugin")
    parser.add_argument("--base-url", required=True, help="of a simulator")
    parser.add_argument("--scenario", required=True, help="name of the scenario; or of several, a,b")
    parser.add_argument("--params", default="", help="its parameters, as the rows shall show them")
    parser.add_argument("--model", default="sim-1", help="name of the model")
    parser.add_argument(
        "--lengths",
        type=lambda text: [*map(int, text.split(","))],
        default=LENGTHS,
        help="output tokens, for instance 250,500",
    )
    parser.add_argument("--meters", type=lambda text: text.split(","), default=METERS, help="which, and in which order")
    parser.add_argument("--tokens-per-event", type=int, help="tokens that each event carries")
    parser.add_argument("--read-at-most", type=int, help="bytes that asyncio asks for at once")
    parser.add_argument("--reps", type=int, default=1, help="repetitions of every point, while there is time")
    parser.add_argument("--seconds", type=float, default=20.0, help="time for all of it")
    parser.add_argument("--start", choices=("fork", "spawn"), default=START, help="how the process of a point is made")
    parser.add_argument("--point", help="measure only this one, given as JSON, in this process")
    return parser


if __name__ == "__main__":
    main()
