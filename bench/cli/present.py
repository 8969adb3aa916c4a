"""Build a run's reports, write them, and show the table: the end of `bench run`, and all of `bench report`."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from bench.analysis.build import build
from bench.core.errors import BenchError
from bench.core.messages import say
from bench.core.summary import Reporter, Summary
from bench.core.terminal import to_devnull
from bench.reports.anonymize import Aliases, hosts_stored
from bench.reports.data_files import render_json
from bench.reports.files import Export, check_output, open_page, render, write_comparison, write_exports, write_reports
from bench.reports.output import Output, baseline_of
from bench.reports.terminal.report import WIDEST, render_terminal

if TYPE_CHECKING:
    from bench.core.comparison import Comparison
from bench.analysis.comparison.runs import compare
from bench.core.comparison import Comparison
from bench.records.find import find_run

PAGE = "report.html"


@dataclass(frozen=True)
class Shown:
    """What was shown, and what the gate makes of it."""

    summary: Summary
    exit_code: int


def show(run: Path, reporters: Iterable[Reporter], output: Output) -> Shown:
    """Everything from the run folder alone. Results go to stdout, the list of files to stderr."""
    from bench.reports.charts.built_in import chart_data  # noqa: PLC0415  (altair)

    known = list(reporters)
    exports = check_output(known, output)
    summary = build(run, baseline_of(output), chart_data)
    comparisons = _against_stored(run, summary, output)
    where = str(run)
    if output.anonymize:
        summary, comparisons, output, where = _anonymous(run, summary, comparisons, output)
    files = [*write_reports(run, summary, known, exports), *_compared(run, comparisons)]
    elsewhere = write_exports(exports, summary)
    _print(_result(where, summary, comparisons, exports, output))
    say(f"{where}/: {', '.join(file.name for file in files)}")
    for file in elsewhere:
        say(f"{file} written")
    if output.open_html:
        open_page(run / PAGE)
    return Shown(summary, _gate(summary, comparisons, output))


def _print(result: bytes) -> None:
    """To stdout. The verdicts stand whether or not anybody reads it: its end is not the end of the gate."""
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
    """What goes to stdout: JSON, the report that was asked for there, or the table."""
    if output.as_json:
        return render_json(summary)
    for export in exports:
        if export.to_stdout:
            return render(export.reporter, summary)
    color = sys.stdout.isatty()
    width = shutil.get_terminal_size().columns if color else WIDEST
    return render_terminal(summary, width, color=color, where=where, compared=comparisons).encode()


def _against_stored(run: Path, summary: Summary, output: Output) -> list[Comparison]:
    if output.baseline is None:
        return []

    return [against(run, summary, output.baseline, run.parent)]


def _compared(run: Path, comparisons: Iterable[Comparison]) -> list[Path]:
    """The files of a comparison with a stored run, in the folder of this one."""
    if not comparisons:
        return []
    return [file for one in comparisons for file in write_comparison(run, one)]


def _anonymous(
    run: Path, summary: Summary, comparisons: Sequence[Comparison], output: Output
) -> tuple[Summary, list[Comparison], Output, str]:
    """All of it without the names of hosts; conditions too, as they may name a target that is called like its host.

    Last the run folder, as it may be shown.
    """
    stored = hosts_stored(run.parent, run, output.baseline)
    aliases = Aliases.from_summary(summary, stored)
    hidden = aliases.in_summary(summary)
    conditions = tuple(map(aliases.text, output.fail_on))
    told = replace(output, fail_on=conditions)
    return hidden, [aliases.hide(one) for one in comparisons], told, aliases.text(str(run))


def _gate(summary: Summary, comparisons: Sequence[Comparison], output: Output) -> int:
    from bench.gate import run_gate  # noqa: PLC0415

    return run_gate(summary, [*summary.comparisons, *comparisons], output)


def against(run: Path, summary: Summary, ref: str, reports: Path) -> Comparison:
    """A run beside the stored one that `ref` names: a folder, an id, a name, `latest~1`."""
    stored = find_run(reports, ref)
    if stored.resolve() == run.resolve():
        raise BenchError(f"--baseline {ref} is this run itself ({run.name}); name another, for instance latest~1")
    return compare(build(stored), summary)
