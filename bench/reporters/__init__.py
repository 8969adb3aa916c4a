"""The built-in reporters, registered as any plugin would."""

from __future__ import annotations

from collections.abc import Iterable

from bench.hookspecs import hookimpl
from bench.reporters.html import render_html
from bench.reporters.markdown import render_markdown
from bench.reporters.pytest_benchmark import render_pytest_benchmark
from bench.reporters.tables import render_csv, render_json
from bench.reporters.terminal import render_terminal
from bench.summary import Reporter


@hookimpl
def register_reporters() -> Iterable[Reporter]:
    """The table on the terminal, and the four files of a run folder."""
    yield Reporter("terminal", None, render_terminal)
    yield Reporter("markdown", "report.md", render_markdown)
    yield Reporter("csv", "summary.csv", render_csv)
    yield Reporter("json", "summary.json", render_json)
    yield Reporter("html", "report.html", render_html)
    yield Reporter("pytest-benchmark", "pytest-benchmark.json", render_pytest_benchmark, always=False)
