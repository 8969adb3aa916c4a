"""Runs of some hundred thousand trials through real processes: how long they take, and how much memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench.records import journal as records
from tests.support.large import Large, make_journal, make_large
from tests.support.paths import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.alone]

MANY = Large(trials=196_000, cells=10, rounds=7)
FEW = Large(trials=19_600, cells=10, rounds=7)
FINISH = "from bench.records import journal as records; records.finish(Path(sys.argv[1]))"
REPORT = """
from bench.cli.main import main
sys.argv[1:] = ["report", sys.argv[1]]
try:
    main()
except SystemExit as ended:
    assert not ended.code
"""
PEAK = "print('peak', *(int(l.split()[1]) // 1024 for l in open('/proc/self/status') if l.startswith('VmHWM')))"
"""Not `ru_maxrss`: that begins with the size of the process that started this one, here of the whole test session."""


def peak_mb(code: str, run: Path) -> int:
    """Largest resident size of a Python process that runs this on the folder, in MB."""
    script = f"import sys\nfrom pathlib import Path\n{code}\n{PEAK}"
    done = subprocess.run(
        [sys.executable, "-c", script, str(run)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=110,
        check=True,
    )
    return int(done.stdout.rsplit("peak ", 1)[1])


def test_memory_to_finish_a_run_does_not_grow_with_it(tmp_path: Path) -> None:
    """Ten times the trials become Parquet in next to the same memory, and none of them is lost."""
    few, many = (make_journal(tmp_path / name, large) for name, large in (("few", FEW), ("many", MANY)))
    size = (many / records.JOURNAL).stat().st_size / 2**20
    small, large = peak_mb(FINISH, few), peak_mb(FINISH, many)
    assert large - small < size / 4
    assert large < 600
    with records.open_tables(many) as stored:
        assert stored.count("trials") == stored.count("starts") == MANY.trials


def test_a_large_run_is_reported_in_seconds(tmp_path: Path) -> None:
    """`bench report` on 196,000 trials: every cell is in it, and it takes no gigabyte."""
    run = make_large(tmp_path / "run", MANY)
    assert peak_mb(REPORT, run) < 1000
    assert len(set((run / "report.md").read_text().split()) & {f"c={8 * n}" for n in range(1, 11)}) == 10
