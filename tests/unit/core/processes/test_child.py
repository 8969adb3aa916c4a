"""Child processes are started where Ctrl-C does not reach them, and ended whatever they do."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from signal import SIGKILL, SIGTERM
from time import monotonic

import pytest

from bench.core.processes.child import end, how_ended, last_lines

IGNORES = "import signal, sys, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(); time.sleep(60)"
SLEEPS = "import time; print(flush=True); time.sleep(60)"


@pytest.mark.parametrize(
    ("program", "status"), [("raise SystemExit(3)", 3), (SLEEPS, -SIGTERM), (IGNORES, -SIGKILL)], ids=str
)
def test_a_process_is_ended_whatever_it_does(program: str, status: int) -> None:
    """By itself, else by SIGTERM, else by SIGKILL; never waited for beyond both times."""
    with subprocess.Popen([sys.executable, "-u", "-c", program], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        began = monotonic()
        assert end(child, patience_s=5 if status > 0 else 0, terminate_s=0.2 if status == -SIGKILL else 5) == status
        assert monotonic() - began < 5


def test_how_a_process_ended_in_words() -> None:
    """Signal or status, and the last lines of what it said."""
    assert (how_ended(-9), how_ended(2)) == ("killed by SIGKILL", "ended with status 2")
    assert last_lines(BytesIO(b"one\ntwo\nthree\n"), 2) == "two | three"
