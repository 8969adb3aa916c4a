"""A real terminal for tests: a pty, and what would be seen on its screen."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import sys
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

_TOKEN = re.compile(r"\x1b\[([?\d;]*)([A-Za-z])|([\r\n])|([^\x1b\r\n]+)")
_ROWS = 40


class Terminal:
    """Its two ends. What comes is read with `read`, or nobody could go on writing."""

    def __init__(self, columns: int = 100) -> None:
        self.master, self.slave = pty.openpty()
        self.text = ""
        self.resize(columns)

    def resize(self, columns: int) -> None:
        """As a user does who drags the window's corner."""
        resized(self.master, columns)

    @contextmanager
    def as_stderr(self) -> Iterator[None]:
        """What this process writes to `sys.stderr` goes there."""
        before = sys.stderr
        with os.fdopen(os.dup(self.slave), "w") as stderr:
            sys.stderr = stderr
            try:
                yield
            finally:
                sys.stderr = before

    def read(self, until: str = "", seconds: float = 10.0) -> str:
        """All so far, once that has come; without it what is there already. TimeoutError where it does not come."""
        end = time.monotonic() + seconds
        while select.select([self.master], [], [], 0.02 if until else 0)[0] or until:
            if select.select([self.master], [], [], 0)[0]:
                self.text += os.read(self.master, 1 << 16).decode(errors="replace")
            if until and until in self.text:
                return self.text
            if time.monotonic() > end:
                raise TimeoutError(f"{until!r} did not come: {self.text!r}")
        return self.text

    def close(self) -> None:
        """Both ends."""
        os.close(self.master)
        os.close(self.slave)


def resized(fd: int, columns: int) -> None:
    """Give the terminal so many columns."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", _ROWS, columns, 0, 0))


def in_terminal(
    arguments: Sequence[str],
    cwd: Path,
    env: Mapping[str, str],
    at: Callable[[str, int, int], None] = lambda *_: None,
    seconds: float = 60.0,
) -> tuple[str, int]:
    """Run a command in a terminal of its own: all it wrote, and its exit code.

    `at` is called with the text so far, the terminal and the process each time something has come.
    """
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(cwd)
        os.execve(arguments[0], list(arguments), dict(env))  # noqa: S606  (no shell is wanted)
    resized(fd, 100)
    text, end = "", time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            if select.select([fd], [], [], 0.1)[0]:
                text += os.read(fd, 1 << 16).decode(errors="replace")
                at(text, fd, pid)
    except OSError:  # the last process has left it
        pass
    else:
        os.kill(pid, 9)
    finally:
        os.close(fd)
    return text, os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def screen(text: str) -> list[str]:
    """The lines that are left in the end, by the control sequences that a view uses; others are an error."""
    lines, row, column = [""], 0, 0
    for found in _TOKEN.finditer(text):
        number, kind, move, words = found.groups()
        if kind == "A":
            row = max(0, row - int(number or 1))
        elif kind == "K":
            lines[row] = ""
        elif move == "\n":
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif move == "\r":
            column = 0
        elif words:
            lines[row] = lines[row][:column].ljust(column) + words + lines[row][column + len(words) :]
            column += len(words)
        elif kind not in {"m", "h", "l"}:
            raise ValueError(f"control sequence {found[0]!r}")
    return [line.rstrip() for line in lines]


def cursor_shown(text: str) -> bool:
    """Whether the cursor is shown in the end."""
    return text.rfind("\x1b[?25h") >= text.rfind("\x1b[?25l")
