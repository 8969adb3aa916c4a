"""The yardsticks' own arithmetic: errors against the truth, and what a process used within a stretch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.support.yardsticks.processes import Sample, Samples, Used, most, most_memory, used_by, watched
from tests.support.yardsticks.result import Load, Result, compared

MB = 1 << 20


def used(cpu_ns: int, mb: int = 0, command: str = "bench run") -> Used:
    """A process that spent and holds so much."""
    return Used(cpu_ns, mb * MB, 2 * mb * MB, command)


def test_an_error_counts_from_the_true_send_time() -> None:
    """Each reported time is set against the frame of the same request, whatever else the server sent."""
    sent = {name: {"t_first": t, "late_ns": 7_000_000} for name, t in (("a", 10_000_000), ("b", 0), ("warm-up", 5))}
    assert compared({"a": 12_000_000, "b": 500_000}, sent) == ([2.0, 0.5], [7.0, 7.0])


def test_cpu_is_that_of_the_stretch() -> None:
    """What was spent before the stretch and after it is left out; a process that is not there yet spent nothing."""
    samples = Samples(1, [Sample(t, {1: used(10 * t), **({2: used(t)} if t > 2 else {})}, 0) for t in range(10)])
    assert samples.cpu_ns(1, 3, 7) == 40
    assert samples.cpu_ns(2, 1, 7) == 7


def test_the_last_write_is_the_last_growth() -> None:
    """A journal that stands still, or is removed, was not written then."""
    samples = Samples(1, [Sample(t, {}, written) for t, written in enumerate((0, 5, 9, 9, 0))])
    assert samples.last_written() == 2
    assert Samples(1).last_written() == 0


def test_the_most_memory_is_of_one_moment() -> None:
    """Processes are summed at each moment, not each at its own worst, and may be chosen by their command line."""
    seen = [
        Sample(0, {1: used(0, 5), 2: used(0, 1, "shooter")}, 0),
        Sample(1, {1: used(0, 1), 2: used(0, 3, "shooter")}, 0),
    ]
    assert most(seen) == (6 * MB, 12 * MB)
    assert most(seen, "shooter") == (3 * MB, 6 * MB)


def test_a_million_events_are_counted_by_deltas() -> None:
    """CPU is told for a million of the deltas that were asked for."""
    result = Result("x", Load(2, 10, events=50), [1.0, 3.0], [0.0], cpu_s=0.01, wall_s=1, memory=0)
    assert result.per_million(result.cpu_s) == pytest.approx(20)
    assert result.error_ms(0.5) == 2


def test_a_child_is_seen_with_its_parent(tmp_path: Path) -> None:
    """A process and one that it started are sampled until they end; an ended one is none."""
    script = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(0.5)  # second'])"
    child = subprocess.Popen([sys.executable, "-c", script])
    with watched(child.pid, tmp_path) as samples:
        child.wait()
        time.sleep(0.15)
    assert max(len(sample.used) for sample in samples.seen) == 2
    assert most(samples.seen, "# second")[1] > MB
    assert samples.seen[-1].used == {}
    assert used_by(child.pid) is None
    assert most_memory(os.getpid()) >= most_memory("self") // 2 > MB
