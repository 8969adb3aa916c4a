"""What a process and all that it started use, from /proc: CPU time and memory, a sample each 100 ms."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter_ns

EVERY_S = 0.1
_TICK_NS = 1_000_000_000 // os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Used:
    """One process at one moment."""

    cpu_ns: int
    """Since it began, in steps of 10 ms."""
    pss: int
    """Bytes; what it shares with others counts by its share, so that sums are true."""
    rss: int
    """Bytes."""
    command: str
    """Its command line."""


@dataclass(frozen=True)
class Sample:
    """All processes at one moment."""

    t: int
    """`perf_counter_ns`."""
    used: dict[int, Used]
    """By process id."""
    written: int
    """Bytes of the journal that is being written; 0 when there is none."""


@dataclass
class Samples:
    """What was seen of a process tree while it ran."""

    root: int
    seen: list[Sample] = field(default_factory=list)

    def within(self, begin: int, end: int) -> list[Sample]:
        """Those of a stretch."""
        return [sample for sample in self.seen if begin <= sample.t <= end]

    def cpu_ns(self, pid: int, begin: int, end: int) -> int:
        """CPU that a process spent in a stretch, between the samples next to its ends."""
        spent = [(sample.t, sample.used[pid].cpu_ns) for sample in self.seen if pid in sample.used]
        before = max((cpu for t, cpu in spent if t <= begin), default=0)
        return max((cpu for t, cpu in spent if t <= end), default=0) - before

    def last_written(self) -> int:
        """When the journal grew for the last time (0: it was never seen)."""
        grown = [b.t for a, b in zip(self.seen, self.seen[1:], strict=False) if b.written > a.written]
        return grown[-1] if grown else 0


@contextmanager
def watched(root: int, journals: Path) -> Iterator[Samples]:
    """Samples of a process and its descendants within the block; `journals`: below it a run writes its journal."""
    samples, over = Samples(root), threading.Event()

    def watch() -> None:
        while not over.wait(EVERY_S):
            used = {pid: found for pid in family(root) if (found := used_by(pid))}
            written = sum(path.stat().st_size for path in journals.glob("*/journal.jsonl")) if used else 0
            samples.seen.append(Sample(perf_counter_ns(), used, written))

    thread = threading.Thread(target=watch, name="watch")
    thread.start()
    try:
        yield samples
    finally:
        over.set()
        thread.join()


def family(root: int) -> Iterator[int]:
    """A process and its descendants."""
    yield root
    for task in Path(f"/proc/{root}/task").glob("*/children"):
        with suppress(OSError):
            for child in task.read_text("ascii").split():
                yield from family(int(child))


def used_by(pid: int) -> Used | None:
    """What it uses; None when it has ended."""
    process = Path(f"/proc/{pid}")
    try:
        stat = (process / "stat").read_text("utf-8").rpartition(")")[2].split()
        rollup = (process / "smaps_rollup").read_text("ascii").splitlines()
        command = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return None
    sizes = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in rollup[1:]}
    cpu = (int(stat[11]) + int(stat[12])) * _TICK_NS  # user and system time: fields 14 and 15 of `man proc`
    return Used(cpu, sizes.get("Pss", 0), sizes.get("Rss", 0), command)


def most(samples: Sequence[Sample], part: str = "") -> tuple[int, int]:
    """The most memory at one moment, (PSS, RSS) in bytes, of all processes whose command line has this in it."""
    each = [[used for used in sample.used.values() if part in used.command] for sample in samples]
    pss = max((sum(used.pss for used in together) for together in each), default=0)
    return pss, max((sum(used.rss for used in together) for together in each), default=0)


def most_memory(pid: int | str = "self") -> int:
    """Bytes resident at a program's most; `getrusage` would count what was there before its `exec` too."""
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines() if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024
