"""The command as a user runs it: a process of its own, in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from tests.support.paths import ROOT

BENCH = [sys.executable, "-m", "bench"]


def environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """The environment of this process, `bench` importable from any folder."""
    return {**os.environ, "PYTHONPATH": str(ROOT), "COLUMNS": "100", **(extra or {})}


def bench(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = "", timeout: float = 110
) -> subprocess.CompletedProcess[str]:
    """Run `bench` to its end."""
    return subprocess.run(
        [*BENCH, *map(str, arguments)],
        cwd=cwd,
        env=environment(env),
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )


def started(*arguments: str | Path, cwd: Path) -> subprocess.Popen[str]:
    """Start `bench`; for tests that send it signals."""
    return subprocess.Popen(
        [*BENCH, *map(str, arguments)],
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def only_run(folder: Path) -> Path:
    """The one run folder in `reports`."""
    (run,) = (folder / "reports").iterdir()
    return run
