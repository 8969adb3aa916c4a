"""Limits of open files and local ports, looked at before the first request."""

from __future__ import annotations

import os
import subprocess
import sys
from math import inf

import pytest

from bench.plan.checks.open_file_limit import RESERVE, Limits, check, limits, problem

FREE = Limits(soft=inf, hard=inf, open=0, ports=inf)


def of(soft: float, hard: float = inf, *, open_: int = 0, ports: float = inf) -> Limits:
    return Limits(soft, hard, open_, ports)


def test_each_stream_takes_one() -> None:
    """Streams, files open already and the reserve fit exactly, and one more does not."""
    room = of(1000, open_=36)
    assert problem(1000 - 36 - RESERVE, 1, room) is None
    assert problem(1001 - 36 - RESERVE, 1, room) == (
        "901 streams at a time need 1001 open files in one process and the limit is 1000; raise it in this shell "
        "before the run: ulimit -n 1024, or ask for fewer or for more --workers"
    )


def test_workers_share_the_streams() -> None:
    """With workers only the share of one counts, unless the simulator holds all of them in one process."""
    room = of(1024, 4096)
    assert problem(2000, 1, room) is not None
    assert problem(2000, 4, room) is None
    said = problem(2000, 4, room, simulated=True) or ""
    assert said.startswith("2000 streams at a time in 4 workers need 2064 open files in the simulator, which holds all")
    assert said.endswith("ulimit -n 4096, or ask for fewer")


def test_the_hard_limit() -> None:
    """The number to type never exceeds a hard limit that is enough; where it is not, both are to be raised."""
    assert "before the run: ulimit -n 3000," in (problem(2500, 1, of(1024, 3000)) or "")
    said = problem(4000, 1, of(1024, 3000)) or ""
    assert "the hard limit is 3000: raise both for this shell: sudo prlimit --pid $$ --nofile=4096:4096" in said


def test_local_ports() -> None:
    """More streams to one server than local ports is said, whatever the number of workers."""
    assert problem(28232, 1, of(inf, ports=28232)) is None
    said = problem(28233, 8, of(inf, ports=28232)) or ""
    assert said.startswith("28233 streams at a time and this machine has 28232 local ports")
    assert 'ip_local_port_range="1024 65535"' in said
    assert problem(10**6, 1, FREE) is None


def test_limits_of_this_process() -> None:
    """What is open is counted: ten more files are ten more."""
    before = limits()
    pipes = [end for _ in range(5) for end in os.pipe()]
    try:
        assert limits().open == before.open + len(pipes)
    finally:
        for end in pipes:
            os.close(end)
    assert 0 < before.open < before.soft <= before.hard
    check(1)


@pytest.mark.skipif(sys.platform == "win32", reason="no such limit")
def test_a_process_with_a_low_limit() -> None:
    """A process with a really lowered limit is told before it opens anything, and the typed command helps."""
    code = "from bench.plan.checks.open_file_limit import check; check(400)"
    shell = ["sh", "-c", f'ulimit -Sn 256; "$0" -c "{code}" 2>&1; ulimit -n 512; "$0" -c "{code}"', sys.executable]
    ran = subprocess.run(shell, capture_output=True, text=True, check=True)
    assert "BenchError: 400 streams at a time need 4" in ran.stdout
    assert "ulimit -n 512" in ran.stdout
    assert not ran.stderr
