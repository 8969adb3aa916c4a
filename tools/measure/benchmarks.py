"""Puts bench's clients beside others against a server of known send times, and writes docs/benchmarks.md.

    python -m tools.measure.benchmarks            twenty minutes, on a machine that does nothing else
    python -m tools.measure.benchmarks --quick    small sizes, some three minutes, to standard output only

It needs aiohttp and uvloop. Clients take turns within each round, and the order turns too, so that a busy moment is
nobody's alone.
"""

# ruff: noqa: T201

from __future__ import annotations

import argparse
import datetime as dt
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from pathlib import Path
from statistics import median
from time import perf_counter

import numpy as np

from bench.run.environment import machine
from tests.support.cli import BENCH, environment
from tests.support.large import Large, make_large
from tests.support.nullserver import Null, running
from tests.support.yardsticks.processes import most, watched
from tests.support.yardsticks.result import Load, Result
from tests.support.yardsticks.run import measure

PAGE = Path(__file__).parents[2] / "docs/benchmarks.md"
YARDSTICK = "bare-uvloop"
WHAT = {
    "bare-uvloop": "asyncio protocol that stamps its reads, uvloop",
    "bare": "the same, asyncio's own loop",
    "json-uvloop": "the same as the first, with the JSON of each event (orjson)",
    "bench-wire": "**`bench run --client wire`**",
    "aiohttp": "aiohttp, a stamp for each line, then its JSON (orjson)",
    "bench-sdk": "`bench run --client sdk`",
    "sdk": "openai SDK, a stamp for each event that it hands over",
}
ALONE = 30
"""Deltas of an answer where there is only one stream: it takes long enough."""
PACED, FLOOD = "paced", "flood"
PACKAGES = ("openai", "aiohttp", "uvloop", "httptools", "orjson")


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    rounds: int = 3
    streams: Sequence[int] = (1, 32, 256, 512)
    paced: int = 256
    """Streams of the CPU and memory tables; one of `streams`."""
    waves: int = 3
    """Answers per stream in each round."""
    flood: Load = field(default_factory=lambda: Load(16, 192, 4000, 0))
    long: Load = field(default_factory=lambda: Load(256, 256, 1000))
    """Answers ten times as long, for memory."""
    trials: int = 1_000_000
    """Of the run that is reported."""

    def load(self, streams: int) -> Load:
        """100 deltas a second in each of so many streams."""
        return Load(1, 8 * self.waves, ALONE) if streams == 1 else Load(streams, self.waves * streams)

    def small(self, name: str, load: Load) -> Load:
        """Less of a flood for what takes some hundred times as long."""
        slow = name in {"sdk", "bench-sdk"} and not load.interval_ms
        return replace(load, requests=load.streams, events=load.events // 8) if slow else load


QUICK = Sizes(1, (1, 32, 256), 256, 1, Load(8, 16, 1000, 0), Load(32, 32, 300), 20_000)


def main() -> None:
    """Measure, then write."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--quick", action="store_true", help="small sizes, nothing is written")
    parser.add_argument("--rounds", type=int, default=Sizes.rounds, help="of everything; the page says how many")
    asked = parser.parse_args()
    quick = asked.quick
    sizes = QUICK if quick else Sizes(rounds=asked.rounds)
    page = "\n".join(["# Benchmarks", "", *introduction(sizes), *all_tables(sizes)]) + "\n"
    if quick:
        print(page)
    else:
        PAGE.write_text(page, encoding="utf-8")


def all_tables(sizes: Sizes) -> Iterator[str]:
    """Yield the lines of all tables."""
    with running() as server:
        results = clients(sizes, server)
        long = [measure_aloud("bench-wire", sizes.long, server)]
    yield from fidelity(sizes, results)
    yield from cpu(sizes, results)
    yield from memory(sizes, results, long)
    with running("--events", "1", "--interval-ms", "0", "--ttft-ms", "0") as server:
        yield from startup(sizes, server)
    yield from report(sizes)


def clients(sizes: Sizes, server: Null) -> list[Result]:
    """Measure every client under every load, in rounds."""
    loads = [*map(sizes.load, sizes.streams), sizes.flood]
    results = []
    for turn in range(sizes.rounds):
        names = list(WHAT)[turn:] + list(WHAT)[:turn]
        results += [measure_aloud(name, sizes.small(name, load), server) for load in loads for name in names]
    return results


def measure_aloud(name: str, load: Load, server: Null) -> Result:
    """Measure once, and report it on standard error."""
    result = measure(name, load, server)
    said = f"{name}: {load.streams} streams, {kind(load)}: p50 {result.error_ms(0.5):.2f} ms, failed {result.failed}"
    print(said, file=sys.stderr, flush=True)
    return result


def kind(load: Load) -> str:
    """Return `paced` or `flood`."""
    return PACED if load.interval_ms else FLOOD


def rounds_of(results: Sequence[Result], name: str, kind_: str, streams: int) -> list[Result]:
    """Select the rounds of one client under one load."""
    return [r for r in results if (r.name, kind(r.load), r.load.streams) == (name, kind_, streams)]


def introduction(sizes: Sizes) -> Iterator[str]:
    """Yield the introduction: what was done, and on which machine."""
    about = machine()
    cpus = f"{about['cpus']} CPUs, {about['cpu_model']}"
    versions = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    today = dt.datetime.now(tz=dt.UTC).date()
    yield f"{today}, {cpus}, Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, {versions}."
    yield ""
    yield "Written by `python -m tools.measure.benchmarks`. The server (`tests/support/nullserver.py`) runs on the same"
    yield "machine and logs when it really sent each frame. All numbers are this machine's: compare the ratios."
    yield f"Rounds: {sizes.rounds}, the clients in turns. A stream is an answer of 100 deltas ({ALONE} where there is"
    yield "only one), one each 10 ms, the first after 100 to 200 ms. `bench run` is the whole command, from its command"
    yield "line to its Parquet files."
    yield ""


def fidelity(sizes: Sizes, results: Sequence[Result]) -> Iterator[str]:
    """Yield the table of the error of the reported TTFT."""
    yield "## Error of the reported TTFT\n"
    yield "ms from the true send time of the first delta to the time that the client reports: median / p99 over all"
    yield "requests of all rounds. Below: the lateness of the server itself, which is no error of a client.\n"
    yield from header(["client", *[f"{streams} streams" for streams in sizes.streams]])
    for name, what in WHAT.items():
        cells = [errors(rounds_of(results, name, PACED, streams)) for streams in sizes.streams]
        yield line([what, *cells])
    late = [[ms for r in results if r.load == sizes.load(streams) for ms in r.late_ms] for streams in sizes.streams]
    yield line(["server: latest write of an answer", *[quantiles(each) for each in late]])
    yield ""


def errors(rounds: Sequence[Result]) -> str:
    """Median and p99 of all rounds, and how many requests failed."""
    failed = sum(result.failed for result in rounds)
    text = quantiles([ms for result in rounds for ms in result.errors_ms])
    return f"{text} ({failed} failed)" if failed else text


def quantiles(values: Sequence[float]) -> str:
    """Median / p99."""
    return " / ".join(f"{value:.2f}" for value in np.quantile(values, (0.5, 0.99))) if values else "n/a"


def cpu(sizes: Sizes, results: Sequence[Result]) -> Iterator[str]:
    """CPU for a million events."""
    yield "## CPU\n"
    yield "Seconds of the measuring process for a million deltas, median of the rounds. Paced: 100 a second in each of"
    yield f"{sizes.paced} streams; flood: {sizes.flood.streams} streams as fast as the socket takes them. ×: multiple"
    yield "of the first line in the same round. Of `--client wire` it is the process that sends and reads; the one that"
    yield "decodes, judges and writes has a line of its own.\n"
    yield from header(["client", "paced", "×", "flood", "×"])
    loads = ((PACED, sizes.paced), (FLOOD, sizes.flood.streams))
    for name, what in WHAT.items():
        yield line([what, *[cell for where in loads for cell in cpu_cells(results, name, *where)]])
    decoder = [[r for r in rounds_of(results, "bench-wire", *where) if r.decoder_cpu_s is not None] for where in loads]
    cells = [f"{median([r.per_million(r.decoder_cpu_s or 0) for r in rounds]):.1f}" for rounds in decoder]
    yield line(["`bench run --client wire`: decoding, judging, writing", cells[0], "", cells[1], ""])
    yield ""


def cpu_cells(results: Sequence[Result], name: str, kind_: str, streams: int) -> tuple[str, str]:
    """Return the CPU of a client, and its multiple of the yardstick's."""
    each, least = ([r.per_million(r.cpu_s) for r in rounds_of(results, n, kind_, streams)] for n in (name, YARDSTICK))
    return f"{median(each):.2f}", f"{median([a / b for a, b in zip(each, least, strict=True)]):.1f}"


def memory(sizes: Sizes, results: Sequence[Result], long: Sequence[Result]) -> Iterator[str]:
    """Yield the tables of memory: of the measuring process, and of all."""
    yield "## Memory\n"
    yield "MB resident of the measuring process at its most; of `bench run` while its cell was timed.\n"
    yield from header(["client", *[f"{streams} streams" for streams in sizes.streams]])
    for name, what in WHAT.items():
        rounds = [rounds_of(results, name, PACED, streams) for streams in sizes.streams]
        yield line([what, *[f"{median([r.memory for r in each]) / 2**20:.0f}" for each in rounds]])
    one, many = (
        [r.memory for r in rounds_of(results, "bench-wire", PACED, n)] for n in (sizes.streams[0], sizes.paced)
    )
    trees = [r.tree or 0 for r in rounds_of(results, "bench-wire", PACED, sizes.paced)]
    yield ""
    yield f"`--client wire` at {sizes.paced} streams: all processes of `bench run` together"
    yield f"{median(trees) / 2**20:.0f} MB (PSS). A hundred open streams take the reading process"
    each = 100 / (sizes.paced - sizes.streams[0]) / 2**20
    grown = (max(median(many) - median(one), 0) * each, max(median([r.memory for r in long]) - median(one), 0) * each)
    yield f"{grown[0]:.1f} MB at 100 deltas an answer, {grown[1]:.1f} MB at {sizes.long.events}."
    yield ""


def startup(sizes: Sizes, server: Null) -> Iterator[str]:
    """How long one waits."""
    load = Load(1, 6, events=1, interval_ms=0, ttft_ms=(0, 0))
    yield "## Start-up\n"
    yield from header(["", "s"])
    for what, command in {
        "`python -c pass`": [sys.executable, "-c", "pass"],
        "`bench --help`": [*BENCH, "--help"],
    }.items():
        yield line([what, f"{median([seconds(command) for _ in range(5)]):.2f}"])
    for client in ("sdk", "wire"):
        waited = [measure(f"bench-{client}", load, server).first_request_s or 0 for _ in range(sizes.rounds)]
        yield line([f"`bench run --client {client}` until its first trial's request", f"{median(waited):.2f}"])
    yield ""


def seconds(command: Sequence[str]) -> float:
    """Wall time of a command."""
    begun = perf_counter()
    subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - begun


def report(sizes: Sizes) -> Iterator[str]:
    """`bench report` on a large run."""
    with tempfile.TemporaryDirectory() as folder:
        run = make_large(Path(folder) / "run", Large(trials=sizes.trials))
        begun = perf_counter()
        child = subprocess.Popen([*BENCH, "report", str(run)], env=environment(), stdout=subprocess.DEVNULL)
        with watched(child.pid, Path(folder)) as samples:
            child.wait()
        took = perf_counter() - begun
    yield "## Report\n"
    resident = most(samples.seen)[1] / 2**20
    yield f"`bench report` on {sizes.trials:,} trials (events of 1 % stored): {took:.1f} s, {resident:.0f} MB resident."


def header(names: Sequence[str]) -> Iterator[str]:
    """Yield the head of a table: the first column is text, the others are numbers."""
    yield line(names)
    yield line(["---", *["---:" for _ in names[1:]]])


def line(cells: Sequence[str]) -> str:
    """One line of a table."""
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
