"""Processes of ours at the other end of a socket: begun, and ended by their number."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import IO

END_S = 5.0
"""So long a process may take to end by itself, and again after it was told to."""


def spawn(module: str, sock: socket.socket, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """`python -m MODULE FD`, with the socket as FD and its stderr in that file.

    It sees the modules that this process sees, none of the current folder (`-P`), and no Ctrl-C of the terminal.
    """
    search_path = os.pathsep.join(str(Path(entry).absolute()) for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-m", module, str(sock.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
        pass_fds=[sock.fileno()],
        env={**os.environ, "PYTHONPATH": search_path},
        start_new_session=True,
    )


def end(child: subprocess.Popen[bytes]) -> int:
    """Its exit status; it is given some seconds to end by itself, as it does when its socket is closed."""
    for more in (child.terminate, child.kill):
        try:
            return child.wait(END_S)
        except subprocess.TimeoutExpired:
            more()
    return child.wait()
