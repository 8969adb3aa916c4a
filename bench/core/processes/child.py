"""Child processes of this program: start `python -m MODULE`, end it, and say how it ended."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

END_S = 5.0
"""A process may take this long to end by itself, and again after SIGTERM."""
Output = int | IO[bytes]


def python(module: str) -> list[str]:
    """Return the command line that runs a module with this Python; nothing is imported from the current folder."""
    return [sys.executable, "-P", "-m", module]


def import_environment() -> dict[str, str]:
    """Return an environment in which a child imports what this process can import."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)}


def spawn(
    module: str,
    *arguments: str,
    stdin: Output = subprocess.DEVNULL,
    stdout: Output = subprocess.DEVNULL,
    stderr: Output,
    pass_fds: Sequence[int] = (),
) -> subprocess.Popen[bytes]:
    """Start a module in a session of its own, where Ctrl-C in the terminal does not reach it."""
    return subprocess.Popen(
        [*python(module), *arguments],
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        pass_fds=pass_fds,
        env=import_environment(),
        start_new_session=True,
    )


def end(child: subprocess.Popen[bytes], *, patience_s: float = END_S, terminate_s: float = END_S) -> int:
    """Wait for the process, then send SIGTERM, then SIGKILL; return its exit status."""
    for seconds, insist in ((patience_s, child.terminate), (terminate_s, child.kill)):
        try:
            return child.wait(seconds)
        except subprocess.TimeoutExpired:
            insist()
    return child.wait()


def how_ended(status: int) -> str:
    """Describe an exit status: `killed by SIGKILL` or `ended with status 1`."""
    return f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"


def last_lines(errors: IO[bytes], number: int) -> str:
    """Return the last lines of a child's stderr, joined on one line."""
    errors.seek(0)
    return " | ".join(errors.read().decode(errors="replace").strip().splitlines()[-number:])


class SocketChild:
    """A child process that ends when its socket is closed: `python -m MODULE FD`."""

    def __init__(self, module: str, errors: IO[bytes] | None = None) -> None:
        """Start the process. `errors` receives its stderr; by default a temporary file. Raises OSError."""
        self.errors = errors or tempfile.TemporaryFile()  # noqa: SIM115  (`close`)
        self.sock, its = socket.socketpair()
        try:
            with its:
                self.process = spawn(module, str(its.fileno()), stderr=self.errors, pass_fds=[its.fileno()])
        except BaseException:
            self.sock.close()
            if errors is None:
                self.errors.close()
            raise
        self.pid = self.process.pid

    def end(self) -> int:
        """Wait for the end of the process whose socket is closed, or end it; return its exit status."""
        return end(self.process)
