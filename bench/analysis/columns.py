"""Read Parquet into DataFrames: only the columns that the analysis uses, and a sample if there are many events."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc

from bench.records.schema import TABLES

if TYPE_CHECKING:
    from bench.records.parquet import StoredTables

MOST_EVENTS = 2_000_000
"""Events looked at. Of a run with more, those of a seeded sample of the trials: memory stays the same."""
UNREAD: Mapping[str, frozenset[str]] = {
    "starts": frozenset({"t_start"}),
    "trials": frozenset(
        (
            *("scenario", "params", "api", "ask", "ask_id", "nonce", "text", "t_first_piece"),
            *("reads", "bytes_in", "result_chars"),
        )
    ),
    "attempts": frozenset(
        (
            *("retry_count", "connection", "t_headers", "backoff_ns", "status"),
            *("http_version", "content_type", "content_encoding", "retry_after", "terminal", "closed_early", "pings"),
            *("events", "reads", "bytes_in", "error"),
        )
    ),
    "events": frozenset({"read", "bytes", "sequence_number"}),
    "pieces": frozenset({"useful", "chars"}),
    "probes": frozenset({"unit"}),
    "truth": frozenset({"bytes", "fault"}),
}
"""Columns that no figure is made of."""
CATEGORIES: Mapping[str, frozenset[str]] = {
    "trials": frozenset({"arm", "target", "model", "worker"}),
    "attempts": frozenset({"method"}),
    "probes": frozenset({"name", "worker"}),
}
"""Labels that are only compared; the others are text in the frames."""
HASH, HASH_DIGITS = "result_sha256", 16
"""Hashes are only compared, and there may be a million: 64 bits of them will do."""
COLUMNS_AT_ONCE = 8


def columns(name: str) -> list[str]:
    """List the columns of a table that are read."""
    return [column.name for column in TABLES[name] if column.name not in UNREAD.get(name, ())]


def read_frame(name: str, stored: StoredTables) -> pd.DataFrame:
    """Read a whole table, a few columns at a time, so that the table is never in memory in both forms."""
    names = columns(name)
    groups = [names[i : i + COLUMNS_AT_ONCE] for i in range(0, len(names), COLUMNS_AT_ONCE)]
    return pd.concat([to_frame(name, stored.table(name, group)) for group in groups], axis=1)


def to_frame(name: str, table: pa.Table) -> pd.DataFrame:
    """Convert a table. Numbers are nullable, so a missing value stays missing; labels become strings or categories."""
    labels = {column.name for column in TABLES[name] if column.type == "label"} - CATEGORIES.get(name, frozenset())
    schema = pa.schema([field.with_type(pa.string()) if field.name in labels else field for field in table.schema])
    types = {pa.int64(): pd.Int64Dtype(), pa.float64(): pd.Float64Dtype(), pa.bool_(): pd.BooleanDtype()}
    table = _shorten_hash(table.unify_dictionaries().cast(schema))  # its only name: each column goes when it was taken
    frame: pd.DataFrame = table.to_pandas(types_mapper=types.get, self_destruct=True, split_blocks=True)
    del table
    pa.default_memory_pool().release_unused()
    return frame


def _shorten_hash(table: pa.Table) -> pa.Table:
    if HASH not in table.column_names:
        return table
    place = table.column_names.index(HASH)
    return table.set_column(place, HASH, pc.utf8_slice_codeunits(table[HASH], 0, HASH_DIGITS))


def choose_event_trials(trials: pd.DataFrame, events: int, seed: int) -> pd.Series[bool]:
    """Choose the trials whose events are read: all that were stored, or a sample where there are too many events.

    Each cell may bring as many events as any other, in each phase and delivery; a trial comes with all of its own.
    """
    stored = trials["stored"].fillna(value=True).astype(bool)
    if events <= MOST_EVENTS:
        return stored
    longer = trials.loc[stored, ["events", "pieces"]].astype("Float64").fillna(0).max(axis=1)
    drawn = trials.loc[stored, _GROUP].assign(size=longer.astype(float)).sample(frac=1, random_state=seed)
    groups = drawn.groupby(_GROUP)["size"]
    fits = groups.cumsum() <= MOST_EVENTS / max(1, groups.ngroups)
    return stored & fits.reindex(trials.index, fill_value=False)


_GROUP = ["cell", "phase", "delivery"]


def read_trials(name: str, stored: StoredTables, trials: pd.Index[int], most: int = MOST_EVENTS) -> pd.DataFrame:
    """Read the rows of these trials, or all rows if the table has at most `most`."""
    if stored.count(name) <= most:
        return read_frame(name, stored)
    numbers = pa.array(np.asarray(trials, dtype=np.int64))
    return _read_parts(name, stored, lambda part: part.filter(pc.is_in(part["trial_id"], value_set=numbers)))


def read_truth(stored: StoredTables, client_ids: pd.Series[str], most: int = MOST_EVENTS) -> pd.DataFrame:
    """Read the simulator's log of these requests.

    If the log has more than `most` rows, other requests keep only their first frame, without its time. That is enough
    to count their answers, and cannot pass for a send time.
    """
    if stored.count("truth") <= most:
        return read_frame("truth", stored)
    known = pa.array(client_ids.dropna().astype(object), type=pa.string())

    def without_other_times(part: pa.Table) -> pa.Table:
        mine = pc.is_in(part["client_id"], value_set=known)
        first = pc.or_kleene(pc.is_null(part["frame"]), pc.equal(part["frame"], pa.scalar(0, pa.int64())))
        times = pc.if_else(mine, part["t_sent"], pa.scalar(None, pa.int64()))
        place = part.column_names.index("t_sent")
        return part.set_column(place, part.schema.field(place), times).filter(pc.or_kleene(mine, first))

    return _read_parts("truth", stored, without_other_times)


def _read_parts(name: str, stored: StoredTables, kept: Callable[[pa.Table], pa.Table]) -> pd.DataFrame:
    """Read a table part by part and keep what `kept` returns: the whole is never held."""
    return to_frame(name, pa.concat_tables([kept(part) for part in stored.parts(name, columns(name))]))
