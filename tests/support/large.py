"""Run folders as large as load makes them, written column by column: a million trials in seconds, without a server.

`make_large(folder, Large(trials=1_000_000))` writes Parquet, `make_journal` the journal that becomes it.
`python -m tests.support.large FOLDER [TRIALS]` makes one to look at.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from bench.records import journal as records
from bench.records.parquet import arrow_schema
from bench.records.schema import TABLES

KNOWN = ("trial_id", "cell", "pair", "block", "phase", "delivery")
"""Columns of the plan's trials, of which there are none: all are in segments."""

MS = 1_000_000
BEAT_NS = 10 * MS
AA_EVERY = 7
"""Of so many rounds one is A/A."""
Columns = dict[str, Any]
"""By column: an array, or one value for all rows."""


@dataclass(frozen=True, kw_only=True)
class Large:
    """What a large run is made of; it is of one scenario at several loads, in segments with both deliveries."""

    trials: int = 1_000_000
    cells: int = 10
    rounds: int = 14
    """Segments of each cell and delivery."""
    stored: float = 0.01
    """Share of the trials of which events and pieces were written."""
    tokens: int = 60
    useful_ms: float = 120
    token_ms: float = 5
    noise: float = 0.2
    failed: float = 0.002
    in_flight: int = 0
    """Of each segment's trials, so many are started and leave no row."""
    beats: bool = True
    seed: int = 7

    @property
    def segment(self) -> int:
        """Trials of one segment."""
        return self.trials // (2 * self.cells * self.rounds)

    def load(self, cell: int) -> int:
        """Trials at a time in this cell."""
        return 8 * (cell + 1)


def make_large(run: Path, large: Large) -> Path:
    """Write a finished run folder."""
    _describe(run, large)
    with ExitStack() as stack:
        schemas = {name: arrow_schema(name) for name in TABLES}
        files = {n: stack.enter_context(pq.ParquetWriter(run / f"{n}.parquet", s)) for n, s in schemas.items()}
        for tables in segments(large):
            for name, columns in tables.items():
                files[name].write_table(_table(name, columns))
    return run


def make_journal(run: Path, large: Large) -> Path:
    """Write a run folder whose journal has not become Parquet yet: a line for each start and each trial."""
    _describe(run, large)
    with (run / records.JOURNAL).open("wb") as journal:
        for tables in segments(large):
            journal.writelines(orjson.dumps(rows) + b"\n" for rows in _lines(tables))
    return run


def segments(large: Large) -> Iterator[dict[str, Columns]]:
    """The tables of the run, segment by segment, in the order of time."""
    rng, first, start = np.random.default_rng(large.seed), 0, 0
    for place in _places_of(large):
        tables, start = _segment(large, place, first, start, rng)
        first += large.segment
        yield tables
    yield {"cells": _counters(large), "memory": {}, "truth": {}}


def _places_of(large: Large) -> Iterator[dict[str, Any]]:
    """What all trials of a segment share, segment by segment."""
    for round_ in range(large.rounds):
        for cell in range(large.cells):
            block = 2 * (round_ * large.cells + cell)
            both = ("streamed", "blocking") if round_ % 2 else ("blocking", "streamed")
            aa = round_ % AA_EVERY == AA_EVERY - 1
            for order, delivery in enumerate((both[0], both[0]) if aa else both):
                place = {"cell": cell, "block": block + order, "order": order, "delivery": delivery}
                yield {**place, "phase": "aa" if aa else "measure", "arm": "ab"[order] if aa else None}


def _segment(
    large: Large, place: Mapping[str, Any], first: int, start: int, rng: np.random.Generator
) -> tuple[dict[str, Columns], int]:
    """The tables of a segment, and when the next may start."""
    n, load = large.segment, large.load(place["cell"])
    ids = np.arange(first, first + n)
    pair = place["block"] // 2 * n + np.arange(n)
    stretch = np.exp(rng.normal(0, large.noise, n))
    useful = (large.useful_ms * stretch * MS).astype(np.int64)
    total = ((large.useful_ms + large.tokens * large.token_ms) * stretch * MS).astype(np.int64)
    origin = start + (np.arange(n) * (total.mean() / load)).astype(np.int64)
    stored = rng.random(n) < large.stored
    row = n - large.in_flight
    known = {name: place[name] for name in ("cell", "block", "phase", "delivery")}
    offered = {**known, "trial_id": ids, "pair": pair, "t_start": origin}
    trials = {
        **place,
        **_of_run(large, place["cell"]),
        **_outcome(large, place["delivery"], origin, useful, total, rng),
    }
    trials |= {"trial_id": ids, "pair": pair, "ask": pair, "stored": stored}
    streamed = ids[stored] if place["delivery"] == "streamed" else ids[:0]
    chosen = streamed - first
    stamps = _stamps(large, origin[chosen], useful[chosen], stretch[chosen])
    beats = np.arange(start, int(origin[-1] + total[-1]), BEAT_NS) if large.beats else origin[:0]
    return {
        "starts": offered,
        "trials": {name: _head(values, row) for name, values in trials.items()},
        "attempts": {name: _head(values, row) for name, values in _attempts(ids, origin, total).items()},
        "events": _events(streamed, stamps),
        "pieces": _pieces(streamed, stamps),
        "metrics": {"trial_id": ids[stored], "name": "mark.searched", "unit": "ms", "value": stretch[stored]},
        "probes": {
            "t": beats,
            "cell": place["cell"],
            "name": "loop_lag",
            "value": rng.exponential(0.3, beats.size),
            "unit": "ms",
        },
    }, int(origin[-1] + total.max())


def _head(values: Any, rows: int) -> Any:
    return values[:rows] if isinstance(values, np.ndarray) else values


def _outcome(
    large: Large,
    delivery: str,
    origin: NDArray[np.int64],
    useful: NDArray[np.int64],
    total: NDArray[np.int64],
    rng: np.random.Generator,
) -> Columns:
    """Stamps, counts and status: of a failed trial only its start and end."""
    n, failed, streamed = origin.size, rng.random(origin.size) < large.failed, delivery == "streamed"

    def of_ok(values: Any) -> Any:
        return np.ma.masked_array(np.broadcast_to(values, n), failed)

    first = {
        name: of_ok(origin + useful)
        for name in ("t_first_event", "t_first_token", "t_first_visible", "t_first_piece", "t_first_useful")
    }
    return {
        "status": np.where(failed, rng.choice(["timeout", "http_429", "shed"], n), "ok"),
        "error": np.ma.masked_array(np.full(n, "it was planned so"), ~failed),
        "truncated": False,
        "t_origin": origin,
        "t_call": origin,
        "t_end": origin + total,
        **(first if streamed else {"t_first_useful": of_ok(origin + total)}),
        **({"t_last_token": of_ok(origin + total), "deltas": of_ok(large.tokens)} if streamed else {}),
        **({"stalls": of_ok(0), "stall_ns": of_ok(0)} if streamed else {}),
        "input_tokens": of_ok(20),
        "cached_tokens": of_ok(0),
        "output_tokens": of_ok(large.tokens),
        "requests": 1,
        "attempts": 1,
        "backoff_ns": 0,
        "events": large.tokens + 1 if streamed else 0,
        "reads": large.tokens,
        "bytes_in": 200 * large.tokens,
        "pieces": large.tokens if streamed else 1,
        "result_chars": of_ok(4 * large.tokens),
        "result_sha256": of_ok(_hashes(origin.size)),
        "nonce": _hashes(origin.size, 16),
    }


def _hashes(n: int, length: int = 64) -> NDArray[np.str_]:
    """The same in both deliveries of a pair, others for each pair of a segment."""
    return np.array([f"{i:0{length}x}" for i in range(n)])


def _stamps(
    large: Large, origin: NDArray[np.int64], useful: NDArray[np.int64], stretch: NDArray[np.float64]
) -> NDArray[np.int64]:
    """When each token of each of these trials came: a row for each."""
    steps = np.arange(large.tokens)[None, :] * (large.token_ms * MS * stretch)[:, None]
    return (origin + useful)[:, None] + steps.astype(np.int64)


def _events(ids: NDArray[np.int64], stamps: NDArray[np.int64]) -> Columns:
    seq = np.tile(np.arange(stamps.shape[1]), ids.size)
    return {
        "trial_id": np.repeat(ids, stamps.shape[1]),
        "request": 0,
        "attempt": 0,
        "seq": seq,
        "t_read": stamps.ravel(),
        "read": seq,
        "kind": "content",
        "type": "response.output_text.delta",
        "bytes": 200,
        "chars": 4,
        "sequence_number": seq,
    }


def _pieces(ids: NDArray[np.int64], stamps: NDArray[np.int64]) -> Columns:
    owner, seq = np.repeat(ids, stamps.shape[1]), np.tile(np.arange(stamps.shape[1]), ids.size)
    return {"trial_id": owner, "seq": seq, "t_yield": stamps.ravel(), "useful": True, "chars": 4}


def _attempts(ids: NDArray[np.int64], origin: NDArray[np.int64], total: NDArray[np.int64]) -> Columns:
    names = np.array([f"{i:032x}" for i in ids])
    return {
        "trial_id": ids,
        "request": 0,
        "attempt": 0,
        "client_id": names,
        "server_id": names,
        "method": "POST",
        "path": "/v1/responses",
        "retry_count": 0,
        "t_start": origin,
        "connection": ids % 64,
        "reused": True,
        "t_sent": origin + MS // 10,
        "t_headers": origin + MS,
        "t_first_read": origin + MS,
        "t_last_read": origin + total,
        "t_end": origin + total,
        "status": 200,
        "http_version": "HTTP/1.1",
        "content_type": "text/event-stream",
        "closed_early": False,
        "pings": 0,
    }


def _counters(large: Large) -> Columns:
    spent = {"cpu_ns": 10**10, "wall_ns": 10**11, "events": 10**6, "orphans": 0}
    return {"cell": np.arange(large.cells), **spent}


def _of_run(large: Large, cell: int) -> Columns:
    return {**_key(large, cell), "params": ""}


def _key(large: Large, cell: int) -> dict[str, str]:
    plain = {"api": "responses", "target": "own", "model": "m-1", "client": "wire"}
    return {"scenario": "text", **plain, "load": f"c={large.load(cell)}"}


def _describe(run: Path, large: Large) -> None:
    """The manifest and the plan: without a list of trials, as for runs under load."""
    run.mkdir(parents=True)
    versions = {"python": "3.11.7", "streambench": "0.1.0"}
    manifest = {"schema_version": "1.3", "run_id": run.name, "created": "2026-01-02T03:04:05Z", "ended": "finished"}
    records.write_json(run / records.MANIFEST, {**manifest, "command": ["bench", "run"], "versions": versions})
    cells = [
        {
            **_key(large, cell),
            "cell": cell,
            "params": "",
            "host": "localhost",
            "simulated": False,
            "deliveries": ["streamed", "blocking"],
            "role": "scenario",
        }
        for cell in range(large.cells)
    ]
    plan = {"seed": large.seed, "pairs": large.trials // large.cells // 2, "warmup": 0, "delivery": "both"}
    events = {"events": large.stored, "loads": [f"c={large.load(cell)}" for cell in range(large.cells)]}
    trials = dict.fromkeys(KNOWN, ())
    records.write_json(
        run / records.PLAN, {**plan, **events, "cells": cells, "trials": trials, "segments": _planned(large)}
    )


def _planned(large: Large) -> dict[str, list[Any]]:
    found = list(_places_of(large))
    return {name: [place[name] for place in found] for name in ("block", "cell", "phase", "delivery", "arm", "order")}


def _table(name: str, columns: Columns) -> pa.Table:
    """The columns with the table's types; one value stands for all rows, what is missing is null."""
    schema = arrow_schema(name)
    rows = max((value.size for value in columns.values() if isinstance(value, np.ndarray)), default=0)
    return pa.table([_array(columns.get(field.name), field.type, rows) for field in schema], schema=schema)


def _array(value: Any, kind: pa.DataType, rows: int) -> Any:
    if value is None:
        return pa.nulls(rows, kind)  # type: ignore[call-overload]
    if not isinstance(value, np.ndarray):
        return pa.repeat(pa.scalar(value), rows).cast(kind)
    if isinstance(value, np.ma.MaskedArray):
        return pa.array(np.asarray(value.data), mask=np.ma.getmaskarray(value)).cast(kind)
    return pa.array(value).cast(kind)


def _lines(tables: Mapping[str, Columns]) -> Iterator[records.Rows]:
    """As the runner writes them: a line for each start, one for each trial with all its rows, one for the rest."""
    flat = {name: _table(name, columns).to_pydict() for name, columns in tables.items()}
    starts, trials = flat.pop("starts", {}), flat.pop("trials", {})
    for i in range(len(starts.get("trial_id", ()))):
        yield {"starts": {name: [values[i]] for name, values in starts.items()}}
    of_trials = {name: flat.pop(name) for name in ("attempts", "events", "pieces", "metrics") if name in flat}
    places = {name: _places(columns["trial_id"]) for name, columns in of_trials.items()}
    for i, trial_id in enumerate(trials.get("trial_id", ())):
        rows = {"trials": {name: [values[i]] for name, values in trials.items()}}
        for name, columns in of_trials.items():
            at = places[name].get(trial_id, slice(0, 0))
            rows[name] = {column: values[at] for column, values in columns.items()}
        yield rows
    yield flat


def _places(owners: list[int]) -> dict[int, slice]:
    """Where each trial's rows are; they stand together."""
    found: dict[int, slice] = {}
    for place, owner in enumerate(owners):
        found[owner] = slice(found[owner].start if owner in found else place, place + 1)
    return found


if __name__ == "__main__":
    make_large(Path(sys.argv[1]), Large(trials=int(sys.argv[2]) if len(sys.argv) > 2 else 1_000_000))
