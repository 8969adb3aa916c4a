"""Build a run's reports, write them, and show the table: the end of `bench run`, and all of `bench report`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from bench.analysis.build import build
from bench.output import Output
from bench.progress import say
from bench.report import write_reports
from bench.reporters.terminal import render_terminal
from bench.summary import Reporter, Summary


@dataclass(frozen=True)
class Shown:
    """What was shown, and what the gate makes of it."""

    summary: Summary
    exit_code: int


def show(run: Path, reporters: Iterable[Reporter], output: Output) -> Shown:  # noqa: ARG001
    """Everything from the run folder alone. The table goes to stdout, the list of files to stderr."""
    summary = build(run)
    files = write_reports(run, summary, reporters)
    color = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if color else 100
    sys.stdout.write(render_terminal(summary, width, color=color))
    sys.stdout.flush()
    say(f"{run}/: {', '.join(file.name for file in files)}")
    return Shown(summary, 0)
