"""The tables of a run as DataFrames, with every offered trial accounted for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import UnionType
from typing import TYPE_CHECKING, Any

import pandas as pd

from bench import records
from bench.errors import BenchError
from bench.schema import TABLES, TRIAL_STATUS
from bench.summary import CellKey

if TYPE_CHECKING:
    import pyarrow as pa

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
PLAN_SHAPE: Mapping[str, type | UnionType] = {"seed": int, "cells": list, "trials": dict}
CELL_SHAPE: Mapping[str, type | UnionType] = {
    **dict.fromkeys(("host", *CellKey._fields), str),
    "params": dict | str | None,
    "cell": int,
    "simulated": bool,
}
"""What the analysis reads of them; None: may be missing."""
IN_FLIGHT = "run ended while it was in flight"


@dataclass(frozen=True)
class RunFrames:
    """A run as the analysis needs it."""

    manifest: Mapping[str, Any]
    plan: Mapping[str, Any]
    cells: list[Mapping[str, Any]]
    """Of the plan, those of scenarios: the rows of the report."""
    trials: pd.DataFrame
    """Offered trials of the measure phase, indexed by trial_id; without a row of their own: `cancelled`."""
    aa: pd.DataFrame
    """The same of the A/A pairs: in no figure but that of the check."""
    calibration: pd.DataFrame
    """The same of the streams of known send times."""
    warmup: int
    """Warm-up trials that were started: in no figure."""
    tables: Mapping[str, pd.DataFrame]
    """The other tables as stored."""


def load(run: Path) -> RunFrames:
    """Read a run folder, whole or killed."""
    manifest = records.read_manifest(run)
    check_shape(run / records.MANIFEST, manifest, MANIFEST_SHAPE)
    plan = records.read_json(run / records.PLAN)
    check_shape(run / records.PLAN, plan, PLAN_SHAPE)
    for cell in plan["cells"]:
        check_shape(run / records.PLAN, cell, CELL_SHAPE, "cells: ")
    tables = {name: to_frame(name, table) for name, table in records.read(run).items()}
    starts, rows = tables.pop("starts"), tables.pop("trials")
    trials = account(run, starts, rows, planned(run, plan))
    cells = [cell for cell in plan["cells"] if cell.get("role", "scenario") == "scenario"]
    of = {phase: trials[trials["phase"] == phase] for phase in (MEASURE, "aa", "calibrate", "warmup")}
    return RunFrames(manifest, plan, cells, of[MEASURE], of["aa"], of["calibrate"], len(of["warmup"]), tables)


def check_shape(file: Path, value: object, shape: Mapping[str, type | UnionType], where: str = "") -> None:
    """Is the value an object with these members? BenchError naming the file and what is wrong."""
    if not isinstance(value, dict):
        raise BenchError(f"{file}: damaged ({where}not an object); restore it")
    wrong = sorted(name for name, kind in shape.items() if not isinstance(value.get(name), kind))
    if wrong:
        raise BenchError(f"{file}: damaged ({where}{', '.join(wrong)} missing or of another type); restore it")


def to_frame(name: str, table: pa.Table) -> pd.DataFrame:
    """A table with nullable numbers, so that missing stays missing, and labels as plain strings."""
    import pyarrow as pa  # noqa: PLC0415

    labels = {column.name for column in TABLES[name] if column.type == "label"}
    schema = pa.schema([field.with_type(pa.string()) if field.name in labels else field for field in table.schema])
    types = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype()}
    frame: pd.DataFrame = table.cast(schema).to_pandas(types_mapper=types.get)
    return frame


def planned(run: Path, plan: Mapping[str, Any]) -> pd.DataFrame:
    """The plan's trials, indexed by trial_id: what is known of a trial that left no row."""
    try:
        frame = pd.DataFrame(plan["trials"])[["trial_id", "cell", "pair", "phase", "delivery"]]
        return frame.astype({"trial_id": "Int64", "cell": "Int64", "pair": "Int64"}).set_index("trial_id")
    except (KeyError, TypeError, ValueError) as error:
        raise BenchError(f"{run / records.PLAN}: damaged (trials: {error})") from error


def account(run: Path, starts: pd.DataFrame, rows: pd.DataFrame, plan: pd.DataFrame) -> pd.DataFrame:
    """Every started trial exactly once, or no report: offered = ok + each class of failure."""
    offered = pd.Index(starts["trial_id"].unique())
    ended = rows.set_index("trial_id")
    lost = offered.difference(ended.index)
    _refuse_if(run, ended.index[ended.index.duplicated()], "has two results")
    _refuse_if(run, ended.index.difference(offered), "has a result but no journalled start")
    _refuse_if(run, lost.difference(plan.index), "was started but is not in the plan")
    _refuse_if(run, ended.index[~ended["status"].isin(TRIAL_STATUS)], "has no status that this version knows")
    cancelled = plan.loc[lost].assign(status="cancelled", error=IN_FLIGHT)
    return ended if cancelled.empty else _append(ended, cancelled).sort_index()


def _append(ended: pd.DataFrame, cancelled: pd.DataFrame) -> pd.DataFrame:
    """Both, with the columns and types of the first."""
    full = cancelled.reindex(columns=ended.columns).astype(ended.dtypes.to_dict())
    return pd.concat([ended, full])


def _refuse_if(run: Path, trial_ids: pd.Index[Any], what: str) -> None:
    if len(trial_ids):
        raise BenchError(f"{run}: trial {trial_ids[0]} {what}; the figures would not add up, so no report is built")
