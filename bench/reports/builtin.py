"""List the built-in report formats of a run and of a comparison. A new format is a file and a line here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from bench.core.plugins.hookspecs import hookimpl
from bench.core.results.comparison import Comparison
from bench.core.results.summary import Reporter
from bench.reports import data_files, html, markdown, pytest_benchmark
from bench.reports.comparison import json as compare_json
from bench.reports.comparison import markdown as compare_markdown
from bench.reports.page import compare as compare_html
from bench.reports.terminal import report as terminal


@hookimpl
def register_reporters() -> Iterable[Reporter]:
    """Yield the table on the terminal, and the files of a run folder, registered as any plugin would."""
    yield Reporter("terminal", None, terminal.render_terminal)
    yield Reporter("markdown", "report.md", markdown.render_markdown)
    yield Reporter("csv", "summary.csv", data_files.render_csv)
    yield Reporter("json", "summary.json", data_files.render_json)
    yield Reporter("html", "report.html", html.render_html)
    yield Reporter("pytest-benchmark", "pytest-benchmark.json", pytest_benchmark.render_pytest_benchmark, always=False)


COMPARISON_FORMATS: Mapping[str, Callable[[Comparison], str | bytes]] = {
    "compare.html": compare_html.render_html,
    "compare.md": compare_markdown.render_markdown,
    "compare.json": compare_json.render_json,
}
"""Files of a comparison in the folder of the current run, by name."""
