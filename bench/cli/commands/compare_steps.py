"""Carry out `bench compare`: stored runs beside a baseline."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import orjson

from bench.analysis.build import build
from bench.analysis.comparison.runs import compare
from bench.cli.conditions import with_conditions
from bench.cli.config_file import load_config
from bench.core.errors import BenchError
from bench.core.results.comparison import Comparison
from bench.core.results.summary import Summary
from bench.core.text.terminal import say
from bench.gate.run_gate import run_gate
from bench.records.find import find_run
from bench.reports.anonymize import Aliases, hosts_stored
from bench.reports.comparison.json import as_value
from bench.reports.comparison.terminal import WIDEST, render_terminal
from bench.reports.files import open_page, write_comparison
from bench.reports.output import Output

PAGE = "compare.html"
SEVERITY = (2, 1, 4, 0)
"""Exit codes of the gate, the one that tells most first."""


def compare_runs(refs: Sequence[str], reports: Path, output: Output, config_file: Path | None = None) -> int:
    """Compare each run with the first one: show, write, and judge by the gate. Return the exit code."""
    output = with_conditions(output, load_config(Path.cwd(), config_file, os.environ))
    folders = _folders(refs, reports)
    summaries = [build(folder) for folder in folders]
    if output.anonymize:
        summaries, output = _anonymous(summaries, folders, output)
    comparisons = [compare(summaries[0], current) for current in summaries[1:]]
    pages = [page for one in zip(folders[1:], comparisons, strict=True) for page in _write_files(*one)]
    if output.as_json:
        values = list(map(as_value, comparisons))
        value = values if len(values) > 1 else values[0]
        sys.stdout.write(orjson.dumps(value, option=orjson.OPT_INDENT_2).decode() + "\n")
    codes = list(_judge_each(summaries[1:], comparisons, folders[1:], output))
    if output.open_html and pages:
        for page in pages:
            open_page(page)
    return next(code for code in SEVERITY if code in codes)


def _folders(refs: Sequence[str], reports: Path) -> list[Path]:
    folders = [find_run(reports, ref) for ref in refs]
    for ref, folder in zip(refs[1:], folders[1:], strict=True):
        if folder.resolve() == folders[0].resolve():
            raise BenchError(f"{refs[0]} and {ref} are the same run ({folder.name}); name another one")
    return folders


def _anonymous(summaries: Sequence[Summary], folders: Sequence[Path], output: Output) -> tuple[list[Summary], Output]:
    """Replace the names of hosts, each host by the same name everywhere."""
    hosts = [cell.host for summary in summaries for cell in summary.cells if not cell.simulated]
    aliases = Aliases.from_summary(summaries[-1], [*hosts_stored(folders), *hosts])
    hidden = replace(output, fail_on=tuple(map(aliases.text, output.fail_on)))
    return list(map(aliases.in_summary, summaries)), hidden


def _judge_each(
    summaries: Iterable[Summary], comparisons: Sequence[Comparison], folders: Iterable[Path], output: Output
) -> Iterator[int]:
    """Show each comparison and its verdicts; yield the exit codes."""
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else WIDEST
    for place, (summary, comparison, folder) in enumerate(zip(summaries, comparisons, folders, strict=True)):
        if not output.as_json:
            sys.stdout.write(("\n" if place else "") + render_terminal(comparison, width))
            sys.stdout.flush()
        yield run_gate(summary, [comparison], _own_junit(output, folder, len(comparisons)))


def _own_junit(output: Output, folder: Path, number: int) -> Output:
    """Give each of several runs a JUnit file of its own."""
    if output.junit is None or number == 1:
        return output
    return replace(output, junit=output.junit.with_stem(f"{output.junit.stem}-{folder.name}"))


def _write_files(folder: Path, comparison: Comparison) -> list[Path]:
    """Write the files and say where. Return the page; nothing, and a notice, where the folder cannot be written."""
    try:
        files = write_comparison(folder, comparison)
    except OSError as error:
        say(f"{folder}: the comparison cannot be written there ({error.strerror}); it is only shown")
        return []
    say(f"{folder}/: {', '.join(file.name for file in files)}")
    return [folder / PAGE]
