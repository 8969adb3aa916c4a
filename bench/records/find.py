"""Find a run by its folder, its name, or `latest`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench.core.errors import BenchError, unknown
from bench.records import journal as records

NOT_A_RUN = "sample"
"""Folder of the committed example in reports/."""
_LATEST = re.compile(r"latest(?:~(\d+))?")


def find_run(reports_dir: Path, ref: str) -> Path:
    """Return the run folder for a path, a run id or its unique start, `latest`, `latest~1`, or a name."""
    if (Path(ref) / records.MANIFEST).is_file():
        return Path(ref)
    runs = list_runs(reports_dir)
    if not runs:
        raise BenchError(f"{reports_dir}: no run in it; `bench run` makes one")
    if latest := _LATEST.fullmatch(ref):
        steps = int(latest[1] or 0)
        if steps >= len(runs):
            raise BenchError(f"{ref}: there are only {len(runs)} runs")
        return list(runs)[-1 - steps]
    return _by_name(runs, ref)


def list_runs(reports_dir: Path) -> dict[Path, Mapping[str, Any]]:
    """Return run folders and their manifests, oldest first. Folders with an unreadable manifest are skipped."""
    found: dict[Path, Mapping[str, Any]] = {}
    for path in sorted(reports_dir.glob(f"*/{records.MANIFEST}")):
        if path.parent.name != NOT_A_RUN:
            try:
                found[path.parent] = records.read_json(path)
            except BenchError:
                continue
    return dict(sorted(found.items(), key=lambda run: (str(run[1].get("created", "")), run[0].name)))


def _by_name(runs: Mapping[Path, Mapping[str, Any]], ref: str) -> Path:
    """Find a run by its id, then by its name (the newest of that name), then by the start of its id."""
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
