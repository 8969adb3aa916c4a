"""The command as a user runs it: `bench` starts a process, `invoke` calls the same command in this one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir
from pathlib import Path

from click.testing import CliRunner

from bench.cli.main import cli
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


def invoke(
    *arguments: str | Path, cwd: Path, env: Mapping[str, str] | None = None, stdin: str = ""
) -> subprocess.CompletedProcess[str]:
    """Call `bench` in this process and return what a process would: exit code, stdout and stderr.

    For commands that measure nothing: a process costs a second to start. An exception that `bench` does not turn into
    a line is raised here.
    """
    typed, on_sigterm = list(map(str, arguments)), signal.getsignal(signal.SIGTERM)
    try:
        with chdir(cwd):
            done = CliRunner().invoke(cli, typed, input=stdin, env=env, prog_name="bench", catch_exceptions=False)
    finally:
        signal.signal(signal.SIGTERM, on_sigterm)  # `bench run` sets its own
    return subprocess.CompletedProcess([*BENCH, *typed], done.exit_code, done.stdout, done.stderr)


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
