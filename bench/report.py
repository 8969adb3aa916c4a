"""From a run folder to its report files, and from what the user typed to the run folder."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from bench import records
from bench.errors import BenchError
from bench.nearest import unknown
from bench.summary import Reporter, Summary

NOT_A_RUN = "sample"
"""The committed example in reports/."""
OWN_FILES = (records.MANIFEST, records.PLAN, records.JOURNAL)
PLAIN_NAME = re.compile(r"[^/\\:\0]+")
_LATEST = re.compile(r"latest(?:~(\d+))?")


def write_reports(run: Path, summary: Summary, reporters: Iterable[Reporter]) -> list[Path]:
    """Write every reporter's file into the run folder. All are rendered before the first is written."""
    texts = {run / name: render(reporter, summary) for name, reporter in by_filename(reporters).items()}
    parts = {path: path.with_name(path.name + ".part") for path in texts}
    try:
        for path, text in texts.items():
            parts[path].write_bytes(text)
        for path, part in parts.items():
            part.replace(path)
    except OSError as error:
        raise BenchError(f"{run}: the report cannot be written ({error.strerror}); make the folder writable") from error
    finally:
        _remove(parts.values())
    return list(texts)


def by_filename(reporters: Iterable[Reporter]) -> dict[str, Reporter]:
    """Those that write a file. BenchError for one that would write elsewhere, or over a file that is not its own."""
    found: dict[str, Reporter] = {}
    taken = dict.fromkeys(OWN_FILES, "the run itself")
    for reporter in reporters:
        if (name := reporter.filename) is None:
            continue
        if not PLAIN_NAME.fullmatch(name) or name in {".", ".."}:
            raise BenchError(f"reporter {reporter.name}: {name!r} is not a plain file name; correct its filename")
        key = name.casefold()  # on some disks Report.md is report.md
        owner = "the run itself" if key.endswith((".parquet", ".part")) else taken.get(key)
        if owner:
            raise BenchError(f"reporter {reporter.name}: {name} is written by {owner}; give it another filename")
        taken[key] = f"reporter {reporter.name}"
        found[name] = reporter
    return found


def _remove(parts: Iterable[Path]) -> None:
    for part in parts:
        if part.is_file():
            part.unlink()


def render(reporter: Reporter, summary: Summary) -> bytes:
    """A reporter's text as bytes; what a plugin does wrong becomes one line that names it."""
    try:
        text = reporter.render(summary)
    except Exception as error:
        raise BenchError(
            f"reporter {reporter.name} failed ({type(error).__name__}: {error}); correct or remove it"
        ) from error
    return text.encode() if isinstance(text, str) else text


def find_run(reports_dir: Path, ref: str) -> Path:
    """The run folder that is meant by a path, a run id or the unique start of one, `latest`, `latest~1`, or a name."""
    if (Path(ref) / records.MANIFEST).is_file():
        return Path(ref)
    runs = list_runs(reports_dir)
    if not runs:
        raise BenchError(f"{reports_dir}: no run in it; `bench run` makes one")
    if latest := _LATEST.fullmatch(ref):
        return _back(runs, int(latest[1] or 0), ref)
    return _by_name(runs, ref)


def list_runs(reports_dir: Path) -> dict[Path, Mapping[str, Any]]:
    """Run folders and their manifests, oldest first. A folder whose manifest cannot be read is no run here."""
    found: dict[Path, Mapping[str, Any]] = {}
    for path in sorted(reports_dir.glob(f"*/{records.MANIFEST}")):
        if path.parent.name != NOT_A_RUN:
            try:
                found[path.parent] = records.read_json(path)
            except BenchError:
                continue
    return dict(sorted(found.items(), key=lambda run: (str(run[1].get("created", "")), run[0].name)))


def _back(runs: Mapping[Path, Mapping[str, Any]], steps: int, ref: str) -> Path:
    if steps >= len(runs):
        raise BenchError(f"{ref}: there are only {len(runs)} runs")
    return list(runs)[-1 - steps]


def _by_name(runs: Mapping[Path, Mapping[str, Any]], ref: str) -> Path:
    """By id, then by name (the newest that has it), then by the start of an id."""
    for key in ("run_id", "name"):
        if named := [path for path, manifest in runs.items() if manifest.get(key) == ref]:
            return named[-1]
    starting = [path for path, manifest in runs.items() if ref and str(manifest.get("run_id", "")).startswith(ref)]
    if len(starting) > 1:
        raise BenchError(
            f"{ref}: {len(starting)} run ids start so ({', '.join(p.name for p in starting[:4])}); type more of it"
        )
    if not starting:
        known = [str(m[key]) for m in runs.values() for key in ("run_id", "name") if m.get(key)]
        raise unknown("run", ref, known, hint="or give the path of a run folder")
    return starting[0]
