"""Check which report files were asked for, and write them."""

from __future__ import annotations

import re
import webbrowser
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from bench.core.errors import BenchError, unknown
from bench.core.results.comparison import Comparison
from bench.core.results.summary import Reporter, Summary
from bench.core.text.terminal import say
from bench.records import journal as records
from bench.records.find import find_run
from bench.records.write import write_whole
from bench.reports.builtin import COMPARISON_FORMATS
from bench.reports.output import Output

STDOUT = Path("-")
OWN_FILES = (records.MANIFEST, records.PLAN, records.JOURNAL)
PLAIN_NAME = re.compile(r"[^/\\:\0]+")


class Export(NamedTuple):
    """A report that was asked for by name."""

    reporter: Reporter
    file: Path | None
    """Where it goes; None: to its own file in the run folder. `-`: stdout."""

    @property
    def to_stdout(self) -> bool:
        """Return True if the report is printed."""
        return self.file == STDOUT


@dataclass(frozen=True, kw_only=True)
class ResolvedOutput:
    """The output options, looked up: reporters, files and the stored run that they name."""

    options: Output
    reporters: Sequence[Reporter]
    exports: Sequence[Export]
    stored: Path | None
    """The run folder that `--baseline` names."""


def resolve_output(output: Output, reporters: Iterable[Reporter], runs: Path) -> ResolvedOutput:
    """Look up what the options name, before a run sends anything. BenchError for what is not there.

    `runs` is the folder with the stored runs. `latest` is the last one of now, not of the end of a run.
    """
    known = list(reporters)
    exports = check_output(known, output)
    stored = find_run(runs, output.baseline) if output.baseline else None
    return ResolvedOutput(options=output, reporters=known, exports=exports, stored=stored)


def check_output(reporters: Iterable[Reporter], output: Output) -> list[Export]:
    """Return what is to be exported. BenchError for what cannot be."""
    exports = check_exports(reporters, output.exports)
    if output.as_json and any(export.to_stdout for export in exports):
        raise BenchError("--json and --export NAME=- both want stdout; leave one out, or name a file")
    if output.junit:
        check_no_record(f"--junit {output.junit}", output.junit)
    return exports


def check_exports(reporters: Iterable[Reporter], exports: Sequence[str]) -> list[Export]:
    """Parse `--export NAME[=FILE]`. BenchError for an unknown name, and for a file that has no place."""
    known = {reporter.name: reporter for reporter in reporters}
    found = [_export(known, text) for text in exports]
    by_filename([*(reporter for reporter in known.values() if reporter.always), *_exports_to_folder(found)])
    if sum(export.to_stdout for export in found) > 1:
        raise BenchError("--export: only one report can go to stdout; give the others a file: NAME=FILE")
    taken: dict[Path, str] = {}
    for one in found:
        if one.file is None or one.to_stdout:
            continue
        if (other := taken.setdefault(one.file.resolve(), one.reporter.name)) != one.reporter.name:
            raise BenchError(f"--export: {other} and {one.reporter.name} both go to {one.file}; give each its own file")
    return found


def _export(known: Mapping[str, Reporter], text: str) -> Export:
    name, equals, file = text.partition("=")
    if name not in known:
        raise unknown("reporter", name, known, hint="bench list shows all")
    if equals:
        return Export(known[name], _place(text, file))
    if known[name].filename is None:
        raise BenchError(f"--export {name}: it has no file of its own; say where: {name}=FILE, or {name}=- for stdout")
    return Export(known[name], None)


def _place(text: str, file: str) -> Path:
    path = Path(file)
    if path == STDOUT:
        return path
    check_no_record(f"--export {text}", path)
    if not file or path.is_dir():
        raise BenchError(f"--export {text}: that is no file; name one behind the =")
    if not path.parent.is_dir():
        raise BenchError(f"--export {text}: there is no folder {path.parent}; make it first")
    return path


def check_no_record(option: str, path: Path) -> None:
    """Raise BenchError where `path` is a record of a run: no report could be made of that run again."""
    folder = path.resolve().parent
    if is_record(path.resolve().name) and (folder / records.MANIFEST).is_file():
        raise BenchError(f"{option}: {path.name} is a record of the run in {folder.name}; name another file")


def is_record(name: str) -> bool:
    """Return True if the run itself writes a file of this name."""
    key = name.casefold()  # on some disks Plan.json is plan.json
    return key in OWN_FILES or key.endswith((".parquet", ".part"))


def _exports_to_folder(exports: Iterable[Export]) -> list[Reporter]:
    """Return the reporters whose file is in the run folder only because it was named."""
    return list(
        {one.reporter.name: one.reporter for one in exports if one.file is None and not one.reporter.always}.values()
    )


def write_exports(exports: Iterable[Export], summary: Summary) -> list[Path]:
    """Write the exports whose file was named; all are rendered before the first is written."""
    texts = {one.file: render(one.reporter, summary) for one in exports if one.file and not one.to_stdout}
    for path, text in texts.items():
        try:
            path.write_bytes(text)
        except OSError as error:
            raise BenchError(f"--export: {path} cannot be written ({error.strerror}); choose another file") from error
    return list(texts)


def write_reports(
    run: Path, summary: Summary, reporters: Iterable[Reporter], exports: Iterable[Export] = ()
) -> list[Path]:
    """Write into the run folder what is always written and what was named; all is rendered before it is written."""
    chosen = [*(reporter for reporter in reporters if reporter.always), *_exports_to_folder(exports)]
    texts = {run / name: render(reporter, summary) for name, reporter in by_filename(chosen).items()}
    try:
        write_whole(texts)
    except OSError as error:
        raise BenchError(f"{run}: the report cannot be written ({error.strerror}); make the folder writable") from error
    return list(texts)


def write_comparison(folder: Path, comparison: Comparison) -> list[Path]:
    """Write a comparison in every format into the folder of the current run. OSError where it is locked."""
    texts = {folder / name: render(comparison) for name, render in COMPARISON_FORMATS.items()}
    write_whole({file: text.encode() if isinstance(text, str) else text for file, text in texts.items()})
    return list(texts)


def open_page(page: Path) -> None:
    """Open a page in the browser; where there is none, say where the page is."""
    if not page.is_file():
        say(f"--open: there is no {page} in this run")
    elif not webbrowser.open(page.resolve().as_uri()):
        say(f"--open: no browser was found; open {page.resolve()} yourself")


def by_filename(reporters: Iterable[Reporter]) -> dict[str, Reporter]:
    """Return the reporters that write a file. BenchError for one that would write elsewhere, or over another's file."""
    found: dict[str, Reporter] = {}
    taken: dict[str, str] = {}
    for reporter in reporters:
        if (name := reporter.filename) is None:
            continue
        if not PLAIN_NAME.fullmatch(name) or name in {".", ".."}:
            raise BenchError(f"reporter {reporter.name}: {name!r} is not a plain file name; correct its filename")
        key = name.casefold()  # on some disks Report.md is report.md
        owner = "the run itself" if is_record(name) else taken.get(key)
        if owner:
            raise BenchError(f"reporter {reporter.name}: {name} is written by {owner}; give it another filename")
        taken[key] = f"reporter {reporter.name}"
        found[name] = reporter
    return found


def render(reporter: Reporter, summary: Summary) -> bytes:
    """Render a report as bytes; a plugin's exception becomes a BenchError that names it."""
    try:
        text = reporter.render(summary)
    except Exception as error:
        raise BenchError(
            f"reporter {reporter.name} failed ({type(error).__name__}: {error}); correct or remove it"
        ) from error
    return text.encode() if isinstance(text, str) else text
