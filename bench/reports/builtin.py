"""The built-in reporters, registered as any plugin would."""

from __future__ import annotations

from collections.abc import Iterable

from bench.core.hookspecs import hookimpl
from bench.core.summary import Reporter
from bench.reports.data_files import render_csv, render_json
from bench.reports.html import render_html
from bench.reports.markdown import render_markdown
from bench.reports.pytest_benchmark import render_pytest_benchmark
from bench.reports.terminal.report import render_terminal


@hookimpl
def register_reporters() -> Iterable[Reporter]:
    """The table on the terminal, and the four files of a run folder."""
    yield Reporter("terminal", None, render_terminal)
    yield Reporter("markdown", "report.md", render_markdown)
    yield Reporter("csv", "summary.csv", render_csv)
    yield Reporter("json", "summary.json", render_json)
    yield Reporter("html", "report.html", render_html)
    yield Reporter("pytest-benchmark", "pytest-benchmark.json", render_pytest_benchmark, always=False)
