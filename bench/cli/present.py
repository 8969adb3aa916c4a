"""Build a run's reports, write them, and show the table: the end of `bench run`, and all of `bench report`."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from bench.analysis.build import build
from bench.analysis.comparison.runs import compare
from bench.cli.conditions import with_conditions
from bench.cli.config_file import load_config
from bench.core.errors import BenchError
from bench.core.plugins.loader import load
from bench.core.results.comparison import Comparison
from bench.core.results.summary import Summary
from bench.core.text.terminal import say, to_devnull
from bench.gate.run_gate import run_gate
from bench.records.find import find_run
from bench.reports.anonymize import Aliases, hosts_stored
from bench.reports.charts.built_in import chart_data
from bench.reports.data_files import render_json
from bench.reports.files import (
    Export,
    ResolvedOutput,
    open_page,
    render,
    resolve_output,
    write_comparison,
    write_exports,
    write_reports,
)
from bench.reports.output import Output
from bench.reports.terminal.report import WIDEST, render_terminal

PAGE = "report.html"


@dataclass(frozen=True)
class Presentation:
    """The summary that was shown, and the exit code of the gate."""

    summary: Summary
    exit_code: int


def report(reports: Path, ref: str, output: Output, plugins: Sequence[Path], plugins_dirs: Sequence[Path]) -> int:
    """Carry out `bench report`. Return the exit code."""
    output = with_conditions(output, load_config(Path.cwd(), None, os.environ))
    folder = find_run(reports, ref)
    return show(folder, resolve_output(output, load(plugins, plugins_dirs).all_reporters, folder.parent)).exit_code


def show(run: Path, output: ResolvedOutput) -> Presentation:
    """Make the reports of a run folder. Results go to stdout, the list of files to stderr."""
    options = output.options
    summary = build(run, options.within_run, chart_data)
    stored = output.stored
    comparisons = [compare_with_stored(run, summary, stored, str(options.baseline))] if stored else []
    where = str(run)
    if options.anonymize:
        summary, comparisons, options, where = _anonymous(run, summary, comparisons, output)
    files = write_reports(run, summary, output.reporters, output.exports)
    files += [file for one in comparisons for file in write_comparison(run, one)]
    elsewhere = write_exports(output.exports, summary)
    _print(_result(where, summary, comparisons, output.exports, options))
    say(f"{where}/: {', '.join(file.name for file in files)}")
    for file in elsewhere:
        say(f"{file} written")
    if options.open_html:
        open_page(run / PAGE)
    return Presentation(summary, run_gate(summary, [*summary.comparisons, *comparisons], options))


def _print(result: bytes) -> None:
    """Write to stdout. A reader who stops reading does not end the gate."""
    try:
        sys.stdout.buffer.write(result)
        sys.stdout.flush()
    except BrokenPipeError:
        to_devnull(sys.stdout)
    except OSError as error:
        raise BenchError(f"stdout cannot be written ({error.strerror}); the files are in the run folder") from error


def _result(
    where: str, summary: Summary, comparisons: Sequence[Comparison], exports: Iterable[Export], output: Output
) -> bytes:
    """Return what goes to stdout: JSON, the report that was asked for there, or the table."""
    if output.as_json:
        return render_json(summary)
    for export in exports:
        if export.to_stdout:
            return render(export.reporter, summary)
    color = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if color else WIDEST
    return render_terminal(summary, width, color=color, where=where, compared=comparisons).encode()


def compare_with_stored(run: Path, summary: Summary, stored: Path, ref: str) -> Comparison:
    """Compare a run with the stored one that `--baseline REF` names. BenchError where that is the run itself."""
    if stored.resolve() == run.resolve():
        raise BenchError(f"--baseline {ref} is this run itself ({run.name}); name another, for instance latest~1")
    return compare(build(stored), summary)


def _anonymous(
    run: Path, summary: Summary, comparisons: Sequence[Comparison], output: ResolvedOutput
) -> tuple[Summary, list[Comparison], Output, str]:
    """Replace the names of hosts; in conditions too, as they may name a target that is called like its host.

    The last value is the run folder as it may be shown.
    """
    aliases = Aliases.from_summary(summary, hosts_stored([run, output.stored] if output.stored else [run]))
    conditions = tuple(map(aliases.text, output.options.fail_on))
    options = replace(output.options, fail_on=conditions)
    return aliases.in_summary(summary), list(map(aliases.hide, comparisons)), options, aliases.text(str(run))
