"""The live view in a real terminal: there while it runs, gone at the end, and never in the way of a run."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryFile
from threading import Thread
from typing import Any

import pytest

from bench.core.processes.child import spawn
from bench.core.processes.frames import FrameReader
from bench.core.text.terminal import say
from bench.plan.plan import BOTH, PlannedTrial
from bench.records import journal as records
from bench.run.liveview.feed import MOST_WAITING, VIEWER, Feed
from bench.run.liveview.messages import encode_trial
from bench.run.progress import ProgressReporter, progress
from tests.support.cli import BENCH, environment, only_run
from tests.support.harness import cell_of
from tests.support.scenarios import TEXT
from tests.support.terminal import Terminal, cursor_shown, in_terminal, screen

pytestmark = pytest.mark.alone

CELL = cell_of(TEXT, BOTH, 1, 1)
ROW = {
    "status": "ok",
    "phase": "measure",
    "delivery": "streamed",
    "error": None,
    "result_sha256": "a" * 64,
    "output_tokens": 60,
    "t_origin": 0,
    "t_end": 400_000_000,
    "t_first_useful": 120_000_000,
}
OPENING = {"what": "trials", "total": 10, "most": False, "seconds": None, "cells": []}


def planned(pair: int) -> PlannedTrial:
    known: dict[str, Any] = {"trial_id": pair, "block": 0, "order": 0, "phase": "measure", "ask": 0, "nonce": ""}
    return PlannedTrial(cell=0, pair=pair, delivery="streamed", seed=0, **known)


@pytest.fixture
def terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[Terminal]:
    """A terminal that can become this process's stderr."""
    one = Terminal()
    monkeypatch.setenv("TERM", "xterm-256color")
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        monkeypatch.delenv(name, raising=False)
    yield one
    one.close()


def viewer(reporter: ProgressReporter) -> Feed:
    """The view of a reporter that has one."""
    assert reporter._view is not None
    return reporter._view


def for_bench() -> dict[str, str]:
    env = environment({"TERM": "xterm-256color"})
    return {name: value for name, value in env.items() if name not in {"COLUMNS", "LINES", "NO_COLOR"}}


def plain(text: str) -> str:
    """Without control sequences."""
    return re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", text)


RUN = [*BENCH, "run", "text", "--no-memory"]


@pytest.mark.slow
def test_a_run_in_a_terminal(tmp_path: Path) -> None:
    """The view shows the cell and its figures; at the end it is gone, and the report stands there with the cursor."""
    text, code = in_terminal([*RUN, "--pairs", "1"], tmp_path, for_bench())
    assert code == 0, text
    assert "warm-up" in text
    assert "n=0 < 6" in text
    assert re.search(r"loop lag p90 \d+\.\d ms, now \d+\.\d ms\s+tokens \d+ in, \d+ out", plain(text))
    left = "\n".join(screen(text))
    assert "loop lag p90" not in left
    assert "SIMULATED" in left
    assert "TRUST" in left
    assert cursor_shown(text)


@pytest.mark.slow
def test_ctrl_c_in_the_view(tmp_path: Path) -> None:
    """It works at once: exit 130, the view gone, and the report of what was measured."""
    pressed: list[float] = []

    def press(text: str, fd: int, _pid: int) -> None:
        if "measuring" in text and not pressed:
            pressed.append(time.monotonic())
            os.write(fd, b"\x03")

    text, code = in_terminal([*RUN, "--pairs", "400", "--profile", "flood"], tmp_path, for_bench(), press)
    assert (code, bool(pressed)) == (130, True), text
    assert records.read_manifest(only_run(tmp_path))["ended"] == "interrupted"
    assert "loop lag" in text
    assert "loop lag" not in "\n".join(screen(text))
    assert cursor_shown(text)
    assert "Traceback" not in text


@pytest.mark.slow
def test_a_viewer_that_is_killed(tmp_path: Path) -> None:
    """The run does not notice: exit 0, every planned trial measured, the terminal as it was."""
    killed: list[int] = []

    def kill(text: str, _fd: int, pid: int) -> None:
        if "measuring" in text and not killed:
            (child,) = (int(one) for one in children(pid) if "bench.run.liveview" in command(int(one)))
            killed.append(child)
            os.kill(child, signal.SIGKILL)

    text, code = in_terminal([*RUN, "--pairs", "8"], tmp_path, for_bench(), kill)
    assert (code, len(killed)) == (0, 1), text
    run = only_run(tmp_path)
    assert len(records.read(run)["trials"]) == len(records.read_json(run / "plan.json")["trials"]["trial_id"])
    assert "trials: 22 of 22" in text
    assert cursor_shown(text)


def children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def command(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def test_without_a_viewer_it_goes_on_in_lines(terminal: Terminal) -> None:
    """Killed in the middle: no error, what was said is said again, progress goes on in plain lines."""
    with terminal.as_stderr(), progress(1000, "trials") as reporter:
        say("unsupported: a thing")
        reporter.step("")
        terminal.read("unsupported: a thing")
        view = viewer(reporter)
        os.kill(view.pid, signal.SIGKILL)
        end = time.monotonic() + 5
        while view.alive and time.monotonic() < end:
            reporter.step("")
            time.sleep(0.01)
        assert not view.alive
        reporter.skip(1000 - reporter.done - 1)
        reporter.step("")
        say("another thing")
    text = terminal.read("another thing")
    assert text.count("unsupported: a thing") == 2
    assert re.search(r"trials: (\d+) of \1\r\n", text)
    assert cursor_shown(text)


def test_a_viewer_that_hangs(terminal: Terminal) -> None:
    """It is never waited for: what it does not read is given up at a limit, and its end does not hold up the run."""
    with terminal.as_stderr(), progress(10**6, "trials") as reporter:
        view = viewer(reporter)
        os.kill(view.pid, signal.SIGSTOP)
        began = time.monotonic()
        for _ in range(MOST_WAITING // 50):
            reporter.trial_done(CELL, planned(0), ROW)
        view._last = 0  # else it would wait a moment for the next message
        reporter.step("")
        assert not view.alive
    assert time.monotonic() - began < 5
    assert cursor_shown(terminal.read())


def test_a_viewer_that_nobody_waits_for() -> None:
    """After a Ctrl-C while it starts there is nobody to tell: it ends without a traceback in the terminal."""
    ours, its = socket.socketpair()
    ours.close()
    with its, TemporaryFile() as errors:
        child = spawn(VIEWER, str(its.fileno()), stderr=errors, pass_fds=[its.fileno()])
        assert child.wait(20) == 1
        errors.seek(0)
        assert errors.read() == b""


def test_at_most_twenty_messages_a_second() -> None:
    """However many trials end, there are few messages; all trials are in them."""
    ours, its = socket.socketpair()
    ours.setblocking(False)
    child = subprocess.Popen([sys.executable, "-c", ""])
    messages: list[Any] = []
    reading = Thread(
        target=lambda: messages.extend(frame.meta for frame in FrameReader().feed(its.makefile("rb").read()))
    )
    reading.start()
    feed, began, number = Feed(ours, child, OPENING, dict), time.monotonic(), 3000
    for pair in range(number):
        feed.trial(encode_trial(CELL, planned(pair), ROW), None)
        feed.step(done=pair + 1, total=number)
        time.sleep(0.0001)
    seconds = time.monotonic() - began
    feed.close()
    reading.join()
    its.close()
    assert messages[0]["kind"] == "begin"
    assert 2 <= len(messages) - 1 <= 20 * seconds + 2
    assert [trial[1] for message in messages[1:] for trial in message["trials"]] == list(range(number))


def test_a_terminal_that_cannot(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """It gets plain lines."""
    monkeypatch.setenv("TERM", "dumb")
    with terminal.as_stderr(), progress(1, "trials") as reporter:
        reporter.step("")
    text = terminal.read("1 of 1")
    assert text == "trials: 1 of 1\r\n"


def test_a_bar_alone(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory pass has a bar and says what it is at; NO_COLOR is heard; nothing is left of it."""
    monkeypatch.setenv("NO_COLOR", "1")
    with terminal.as_stderr(), progress(8, "memory") as reporter:
        reporter.step("text")
        text = terminal.read("1 of 8")
        assert "text · 0:0" in text
        assert not re.search(r"\x1b\[[\d;]*3[18]", text)
    end = time.monotonic() + 5
    while not cursor_shown(text := terminal.read()) and time.monotonic() < end:
        time.sleep(0.02)
    assert not "".join(screen(text))


def test_a_window_that_becomes_narrow(terminal: Terminal) -> None:
    """The next picture fits into it."""
    with terminal.as_stderr(), progress(8, "memory") as reporter:
        reporter.step("text")
        terminal.read("1 of 8")
        terminal.resize(60)
        reporter.step("text")
        time.sleep(0.06)
        reporter.step("text")
        text = terminal.read("3 of 8")
    bar = next(line for line in reversed(text.splitlines()) if "3 of 8" in line)
    assert len(plain(bar)) == 60
