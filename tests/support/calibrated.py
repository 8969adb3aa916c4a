"""Run folders with calibration streams of known lateness: tests of the floors need no server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from bench.core.load import Load
from bench.plan import calibration
from bench.records import journal as records
from bench.records.journal import Journal, columns_of
from bench.records.schema import SCHEMA_VERSION

MS = 1_000_000
DELTA = "response.output_text.delta"
TERMINAL = "response.completed"


@dataclass(frozen=True, kw_only=True)
class Late:
    """By how many ms the client is late; the simulator is always in time."""

    read: float = 0.3
    """Every read."""
    useful: float = 0.8
    """The first piece at the caller."""
    gap: float = 0.2
    """Every second read, on top."""
    streamed: float = 1.5
    """The end of a streamed trial, after its terminal event was sent."""
    blocking: float = 0.9


def make_calibrated(
    run: Path,
    late: Late = Late(),
    *,
    trials: int = 40,
    concurrency: int = 1,
    failed: int = 0,
    truth: bool = True,
) -> Path:
    """A run of nothing but calibration; the last `failed` trials of each kind failed."""
    run.mkdir(parents=True)
    cells = calibration.calibration_cells(0, [Load(concurrency=concurrency)])
    kinds = [(cell, delivery) for cell in cells for delivery in cell.deliveries]
    rows = [
        {
            "trial_id": place * trials + number,
            "cell": cell.cell,
            "pair": place * trials + number,
            "block": 0,
            "phase": "calibrate",
            "delivery": delivery,
            "params": cell.params,
            "status": "timeout" if number >= trials - failed else "ok",
        }
        for place, (cell, delivery) in enumerate(kinds)
        for number in range(trials)
    ]
    manifest = {"schema_version": SCHEMA_VERSION, "run_id": run.name, "created": "", "command": [], "versions": {}}
    names = ("trial_id", "cell", "pair", "block", "phase", "delivery")
    plan = {"seed": 0, "cells": [asdict(cell) for cell in cells]}
    records.write_json(run / records.MANIFEST, manifest)
    records.write_json(run / records.PLAN, {**plan, "trials": {name: [row[name] for row in rows] for name in names}})
    journal = Journal(run)
    for row in rows:
        journal.write({"starts": columns_of("starts", [{"trial_id": row["trial_id"], "t_start": 0}])})
        journal.write(_tables(row, late, alone=concurrency == 1, truth=truth))
    spent = {"cell": 0, "cpu_ns": 400 * MS, "wall_ns": 900 * MS, "events": 1000, "orphans": 0}
    journal.write({"cells": columns_of("cells", [spent])})
    journal.close()
    records.finish(run)
    return run


def _tables(row: dict[str, Any], late: Late, *, alone: bool, truth: bool) -> records.Rows:
    origin = int(row["trial_id"]) * 100 * MS
    sent = [origin + (10 + 5 * i) * MS for i in range(calibration.TOKENS)] if row["delivery"] == "streamed" else []
    frames = [*((time, DELTA) for time in sent), (origin + 66 * MS, TERMINAL if sent else "body")]
    read = [time + int((late.read + late.gap * (i % 2)) * MS) for i, time in enumerate(sent)]
    after = late.streamed if sent else late.blocking
    trial = {
        **row,
        "t_origin": origin,
        "t_first_token": read[0] if read else None,
        "t_first_useful": sent[0] + int(late.useful * MS) if sent else None,
        "t_end": frames[-1][0] + int(after * MS),
        "cpu_ns": 6 * MS if alone else None,
        "events": len(read),
    }
    client_id = f"{row['trial_id']:x}"
    attempt = {"trial_id": row["trial_id"], "request": 0, "attempt": 0, "client_id": client_id}
    known = [{"client_id": client_id, "frame": i, "t_sent": t, "type": type_} for i, (t, type_) in enumerate(frames)]
    return {
        "trials": columns_of("trials", [trial]),
        "attempts": columns_of("attempts", [attempt]),
        "events": columns_of("events", list(_events(row["trial_id"], read))),
        "truth": columns_of("truth", known if truth else []),
    }


def _events(trial_id: int, read: list[int]) -> Iterator[dict[str, Any]]:
    for seq, time in enumerate(read):
        place = {"trial_id": trial_id, "request": 0, "attempt": 0, "seq": seq, "t_read": time, "read": seq}
        yield {**place, "kind": "content", "type": DELTA, "bytes": 200, "chars": 4}
