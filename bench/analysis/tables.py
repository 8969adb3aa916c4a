"""Load the tables of a run as DataFrames, with every offered trial accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench.analysis.columns import choose_event_trials, read_frame, read_trials, read_truth
from bench.core.errors import BenchError
from bench.core.results.row import CellKey
from bench.records import journal as records
from bench.records.schema import TABLES, TRIAL_STATUS

if TYPE_CHECKING:
    from bench.records.parquet import StoredTables

MEASURE = "measure"
MANIFEST_SHAPE: Mapping[str, type | UnionType] = {
    "run_id": str,
    "created": str,
    "command": list,
    "versions": dict,
    "environment": dict | None,
    "targets": dict | None,
    "simulator": dict | None,
    "notes": list | None,
}
PLAN_SHAPE: Mapping[str, type | UnionType] = {
    "seed": int,
    "cells": list,
    "trials": dict,
    "segments": dict | None,
}
CELL_SHAPE: Mapping[str, type | UnionType] = {
    **dict.fromkeys(("host", *CellKey._fields), str),
    "params": dict | str | None,
    "cell": int,
    "simulated": bool,
}
"""What the analysis reads of them; None: may be missing."""
KNOWN = ["trial_id", "cell", "pair", "block", "phase", "delivery"]
"""Columns of `starts`, and of the plan's trials: what a trial without a row has."""
_INTEGERS = dict.fromkeys(("trial_id", "cell", "pair", "block"), "Int64")
OF_EVENTS = ("events", "pieces")
"""Tables that may be of a sample of the trials: those that are `stored`."""
IN_FLIGHT = "run ended while it was in flight"


@dataclass(frozen=True)
class RunFrames:
    """A run as the analysis needs it."""

    manifest: Mapping[str, Any]
    plan: Mapping[str, Any]
    cells: list[Mapping[str, Any]]
    """Cells of the plan that measure scenarios: the rows of the report."""
    trials: pd.DataFrame
    """Offered trials of the measure phase, indexed by trial_id; without a row of their own: `cancelled`.

    `stored`: their events and pieces are in the tables; not so where `--events` left them out, or there are too many.
    """
    aa: pd.DataFrame
    """The same of the A/A pairs: in no figure but that of the check."""
    calibration: pd.DataFrame
    """The same of the streams of known send times."""
    warmup: int
    """Warm-up trials that were started: in no figure."""
    tables: Mapping[str, pd.DataFrame]
    """The other tables as stored, but for columns that no figure is made of (`reading.UNREAD`)."""
    ramp: pd.DataFrame
    """The trials while the load of a segment came up: in no figure, but in flight beside the measured."""


def load(run: Path) -> RunFrames:
    """Read a run folder, whole or killed."""
    manifest = records.read_manifest(run)
    check_shape(run / records.MANIFEST, manifest, MANIFEST_SHAPE)
    plan = records.read_json(run / records.PLAN)
    check_shape(run / records.PLAN, plan, PLAN_SHAPE)
    for cell in plan["cells"]:
        check_shape(run / records.PLAN, cell, CELL_SHAPE, "cells: ")
    with records.open_tables(run) as stored:
        trials = _offered_trials(run, plan, stored)
        looked = trials.index[trials["stored"]]
        of = {phase: trials[trials["phase"] == phase] for phase in (MEASURE, "aa", "calibrate", "warmup", "ramp")}
        del trials  # or a long run would be held twice
        tables = _tables(stored, looked)
    cells = [cell for cell in plan["cells"] if cell.get("role", "scenario") == "scenario"]
    checks = of["aa"], of["calibrate"], len(of["warmup"])
    return RunFrames(manifest, plan, cells, of[MEASURE], *checks, tables, of["ramp"])


def _offered_trials(run: Path, plan: Mapping[str, Any], stored: StoredTables) -> pd.DataFrame:
    """Read the offered trials; `stored`: their events will be read."""
    rows, starts = read_frame("trials", stored), read_frame("starts", stored)
    trials = account(run, starts, rows, planned_trials(run, plan))
    del rows, starts
    events = max(map(stored.count, OF_EVENTS))
    return trials.assign(stored=choose_event_trials(trials, events, int(plan["seed"])))


def _tables(stored: StoredTables, looked: pd.Index[int]) -> dict[str, pd.DataFrame]:
    """Read the other tables, with the events of these trials."""
    apart = {"starts", "trials", "truth", *OF_EVENTS}
    tables = {name: read_frame(name, stored) for name in TABLES if name not in apart}
    tables |= {name: read_trials(name, stored, looked) for name in OF_EVENTS}
    attempts = tables["attempts"]
    return {**tables, "truth": read_truth(stored, attempts["client_id"][attempts["trial_id"].isin(looked)])}


def cell_frames(frames: RunFrames, cell: int) -> RunFrames:
    """Return the frames with the trials of one cell, and what they left."""
    trials, ramp = (part[part["cell"] == cell] for part in (frames.trials, frames.ramp))
    mine = trials.index.append(ramp.index)
    left = {name: frames.tables[name] for name in ("attempts", "metrics", *OF_EVENTS)}
    own = {name: table[table["trial_id"].isin(mine)] for name, table in left.items()}
    return replace(frames, trials=trials, ramp=ramp, tables={**frames.tables, **own})


def check_shape(file: Path, value: object, shape: Mapping[str, type | UnionType], where: str = "") -> None:
    """Raise `BenchError` with the file and what is wrong, unless the value is an object with these members."""
    if not isinstance(value, dict):
        raise BenchError(f"{file}: damaged ({where}not an object); restore it")
    wrong = sorted(name for name, kind in shape.items() if not isinstance(value.get(name), kind))
    if wrong:
        raise BenchError(f"{file}: damaged ({where}{', '.join(wrong)} missing or of another type); restore it")


def planned_trials(run: Path, plan: Mapping[str, Any]) -> pd.DataFrame:
    """Read the plan's trials, indexed by trial_id: what is known of a trial that left no row.

    A plan of segments has none.
    """
    try:
        none: dict[str, list[int]] = {name: [] for name in KNOWN} if "segments" in plan else {}
        frame = pd.DataFrame(plan["trials"] or none)[KNOWN]
        return frame.astype(_INTEGERS).set_index("trial_id")
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{run / records.PLAN}: damaged (trials: {error})") from error


def planned_phases(plan: Mapping[str, Any]) -> set[str]:
    """Return the phases that the plan has trials or segments of."""
    parts = (plan.get(name) or {} for name in ("trials", "segments"))
    return {phase for part in parts for phase in part.get("phase", ())}


def account(run: Path, starts: pd.DataFrame, rows: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Account for every started trial exactly once, or refuse a report: offered = ok + each class of failure.

    What is known of one that left no row says its start, or in older runs the plan.
    """
    offered = pd.Index(starts["trial_id"].unique())
    ended = rows.set_index("trial_id")
    lost = offered.difference(ended.index)
    _refuse_if(run, ended.index[ended.index.duplicated()], "has two results")
    _refuse_if(run, ended.index.difference(offered), "has a result but no journalled start")
    known = _known_of_lost(starts, plan, lost)
    _refuse_if(run, lost.difference(known.index), "was started but is not in the plan")
    _refuse_if(run, ended.index[~ended["status"].isin(TRIAL_STATUS)], "has no status that this version knows")
    cancelled = known.loc[lost].assign(status="cancelled", error=IN_FLIGHT)
    if cancelled.empty:
        return ended
    same = cancelled.reindex(columns=ended.columns).astype(ended.dtypes.to_dict())
    full: pd.DataFrame = pd.concat([ended, same]).sort_index()
    return full


def _known_of_lost(starts: pd.DataFrame, plan: pd.DataFrame, lost: pd.Index[Any]) -> pd.DataFrame:
    """Return what starts and plan know of these trials, indexed by trial_id; unknown ones are missing."""
    said = starts.loc[starts["trial_id"].isin(lost) & starts["cell"].notna(), KNOWN].drop_duplicates("trial_id")
    listed = plan[plan.index.isin(lost.difference(pd.Index(said["trial_id"])))]
    return pd.concat([said.set_index("trial_id"), listed])


def _refuse_if(run: Path, trial_ids: pd.Index[Any], what: str) -> None:
    if len(trial_ids):
        raise BenchError(f"{run}: trial {trial_ids[0]} {what}; the figures would not add up, so no report is built")
