"""Make the folder of a run with its plan and manifest, and complete it when the run has ended."""

from __future__ import annotations

import os
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from shutil import rmtree
from time import perf_counter_ns, time_ns
from typing import Any

from bench.clients.guard import Guard
from bench.core.errors import BenchError
from bench.core.results.metrics.registry import definitions
from bench.core.target import Target
from bench.plan.choice import Choice
from bench.plan.options.option import stored_values
from bench.plan.plan import Plan
from bench.plan.settings import Settings
from bench.records.journal import MANIFEST, PLAN, Journal, columns_of, finish, read_journal, write_json
from bench.records.redact import redact_argv
from bench.records.schema import SCHEMA_VERSION
from bench.run import environment
from bench.run.context import Tally
from bench.run.preflight.endpoints import CheckedTarget, redactor
from bench.run.stopping.stopping import Stopping
from bench.simulator.truth import read_truth


@dataclass(kw_only=True)
class Run:
    """A run folder that is being filled."""

    folder: Path
    t0: int
    manifest: dict[str, Any]
    tally: Tally = field(default_factory=Tally)
    stopping: Stopping = field(default_factory=Stopping)
    guard: Guard = field(default_factory=Guard)
    notes: list[str] = field(default_factory=list)
    """What became of the workers, where several measured."""
    lost: str = ""
    """Why the plan could not be run to its end: which measuring process was lost. Empty: none was."""
    clocks_apart: bool = False
    """The measuring processes have other clocks than this one."""

    def save(self) -> None:
        """Write the manifest as it now stands."""
        write_json(self.folder / MANIFEST, self.manifest)


def new_folder(out: Path) -> Path:
    """Make a run folder with an id that sorts by time. Raise `BenchError` if it cannot be written."""
    folder = out / f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{secrets.token_hex(2)}"
    try:
        folder.mkdir(parents=True)
    except OSError as error:
        raise BenchError(f"--out {out}: cannot be written ({error.strerror}); choose another folder") from error
    return folder


def check_out(out: Path) -> None:
    """Raise `BenchError` if runs cannot be written to `out`. Nothing is left behind."""
    place = next(folder for folder in (out, *out.parents) if folder.exists())
    if not place.is_dir() or not os.access(place, os.W_OK | os.X_OK):
        raise BenchError(f"--out {out}: cannot be written ({place} is not a writable folder); choose another")


def begin(
    plan: Plan,
    choice: Choice,
    endpoints: Mapping[str, CheckedTarget],
    settings: Settings,
    *,
    argv: Sequence[str],
    notes: Sequence[str],
    baseline: Mapping[str, str | None] | None = None,
) -> Run:
    """Make the run folder with its plan and manifest, before the first measured request.

    `baseline` is the target or model that the others will be compared with.
    """
    redact = redactor(choice)
    notes = [*notes, *(notice for endpoint in endpoints.values() for notice in endpoint.checked.notices)]
    folder = new_folder(settings.out)
    run = Run(folder=folder, t0=perf_counter_ns(), manifest={})
    run.manifest = {
        "schema_version": SCHEMA_VERSION,
        "run_id": folder.name,
        "name": settings.name,
        "created": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}",
        "t0_mono_ns": run.t0,
        "t0_unix_ns": time_ns(),
        "ended": None,
        "duration_s": None,
        "command": list(map(redact, redact_argv(argv))),
        "versions": environment.versions(),
        "environment": {**environment.machine(), **environment.project(Path.cwd())},
        "targets": {name: dict(endpoint.checked.wire) for name, endpoint in endpoints.items()},
        "simulator": {"profile": settings.profile}
        if any(cell.simulated and cell.role == "scenario" for cell in plan.cells)
        else None,
        "notes": list(map(redact, notes)),
        "plan_sha256": plan.hash,
        "baseline": baseline,
        "definitions": definitions(),
        "stopping": None,
        "settings": {
            **stored_values(settings, "manifest_key"),
            "sent": {name: asdict(endpoint.options(settings)) for name, endpoint in endpoints.items()},
        },
    }
    write_json(folder / PLAN, _stored_plan(plan, choice, settings))
    run.save()
    return run


def _stored_plan(plan: Plan, choice: Choice, settings: Settings) -> dict[str, Any]:
    targets = {target.name: target for target, _ in choice.targets}
    return {**plan.to_json(), **stored_values(settings, "plan_key"), "targets": list(map(_target, targets.values()))}


def _target(target: Target) -> dict[str, Any]:
    """Return what may be stored of a target: no header, no key, no path."""
    price = asdict(target.price) if target.price else None
    return {"name": target.name, "host": target.host, "simulated": target.simulated, "price": price}


def end(
    run: Run,
    journal: Journal,
    truth: Path,
    *,
    ended: str,
    stopping: Mapping[str, Any] | None = None,
    notes: Sequence[str],
    sampled: bool = False,
) -> None:
    """Add the simulator's send log, close the journal, turn it into Parquet, complete the manifest.

    `stopping` is the value of `stopping.ending.ending`. `sampled`: not all trials kept their events.
    """
    if truth.exists():
        _log_sent(run, journal, truth, sampled=sampled)
    journal.close()
    run.manifest["ended"] = ended
    run.manifest["stopping"] = stopping
    run.manifest["duration_s"] = round((perf_counter_ns() - run.t0) / 1e9, 1)
    run.manifest["notes"] += notes
    finish(run.folder)
    run.save()


def discard_unmeasured(run: Run, journal: Journal) -> None:
    """Remove the folder of a run that broke off before its first measured trial."""
    journal.close()
    if not run.tally.statuses:
        rmtree(run.folder)


def _log_sent(run: Run, journal: Journal, truth: Path, *, sampled: bool) -> None:
    """Journal the frames of answers whose reads are stored on the same clock; of other answers, that they were sent."""
    read = set() if run.clocks_apart else _read_in_full(run.folder) if sampled else None
    for sent in read_truth(truth):
        frames = read is None or sent["client_id"] in read
        journal.write({"truth": _truth_columns(sent, run.t0) if frames else _answer(sent)})


def _read_in_full(folder: Path) -> set[str]:
    """Return the `client_id`s of requests whose events are in the journal."""
    found = set()
    for rows in read_journal(folder):
        if rows.get("trials", {}).get("stored") == [True]:
            found.update(rows["attempts"]["client_id"])
    return found


def _answer(sent: Mapping[str, Any]) -> dict[str, list[Any]]:
    """Return a row that says only that the answer was sent."""
    return columns_of("truth", [{name: sent[name] for name in ("client_id", "server_id", "fault")}])


def _truth_columns(sent: Mapping[str, Any], t0: int) -> dict[str, list[Any]]:
    """Return a row for each frame; a single row without a frame where a fault held all of them back."""
    frames = len(sent["t_sent"])
    if sent["fault"] and not frames:
        return _answer(sent)
    return {
        "client_id": [sent["client_id"]] * frames,
        "server_id": [sent["server_id"]] * frames,
        "frame": list(range(frames)),
        "t_sent": [time - t0 for time in sent["t_sent"]],
        "type": sent["type"],
        "bytes": sent["bytes"],
        "fault": [sent["fault"]] * frames,
    }
