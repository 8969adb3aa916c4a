"""Measure the cost of storing a finished trial at once: a line of journal.jsonl, or batches of Arrow IPC streams.

    python -m tools.measure.journal RUN       the table of docs/architecture.md, from one run's own records

The rows of one streamed `text` trial of that run (60 deltas and what is around them) are written again and again, each
time handed to the kernel at once, as the journal does it. Arrow IPC: one file per table, as one process would keep
them, a record batch for each of the trial's tables; once with labels as dictionaries, once with labels as plain text.
"""

# ruff: noqa: T201

import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.ipc

from bench.records.journal import Journal, Rows, read
from bench.records.schema import TABLES

TIMES = 400
PER_TRIAL = ("trials", "attempts", "events", "pieces", "metrics")


def rows_of_a_trial(run: Path) -> Rows:
    """Read the rows of the run's first measured streamed `text` trial, as the journal had them."""
    tables = read(run)
    found = (
        row["trial_id"]
        for row in tables["trials"].to_pylist()
        if (row["scenario"], row["delivery"], row["phase"]) == ("text", "streamed", "measure")
    )
    trial = next(found)
    return {name: tables[name].filter(pc.equal(tables[name]["trial_id"], trial)).to_pydict() for name in PER_TRIAL}


def journal(folder: Path) -> tuple[Callable[[Rows], None], Path]:
    """Make the journal of bench."""
    return Journal(folder).write, folder / "journal.jsonl"


def ipc(folder: Path, *, dictionaries: bool) -> tuple[Callable[[Rows], None], Path]:
    """Make an IPC stream for each table, with a batch and a flush for each trial."""
    types: dict[str, pa.DataType] = {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "label": pa.dictionary(pa.int32(), pa.string()) if dictionaries else pa.string(),
    }
    schemas = {name: pa.schema([(c.name, types[c.type]) for c in TABLES[name]]) for name in PER_TRIAL}
    files = {name: (folder / f"{name}.arrows").open("wb", buffering=0) for name in PER_TRIAL}
    writers = {name: pa.ipc.new_stream(file, schemas[name]) for name, file in files.items()}

    def write(rows: Rows) -> None:
        for name, columns in rows.items():
            writers[name].write_batch(pa.RecordBatch.from_pydict(columns, schema=schemas[name]))

    return write, folder


def measure_writes(made: tuple[Callable[[Rows], None], Path], rows: Rows) -> tuple[float, float, float]:
    """Write the trial many times: (median, p99 in µs, bytes a trial)."""
    write, place = made
    write(rows)
    before, took = size(place), []
    for _ in range(TIMES):
        start = perf_counter_ns()
        write(rows)
        took.append((perf_counter_ns() - start) / 1e3)
    median, p99 = np.quantile(took, (0.5, 0.99))
    return float(median), float(p99), (size(place) - before) / TIMES


def size(place: Path) -> int:
    """Count the bytes of a file, or of all files of a folder."""
    return sum(file.stat().st_size for file in ([place] if place.is_file() else place.iterdir()))


def main() -> None:
    """Measure, then print a Markdown table."""
    rows = rows_of_a_trial(Path(sys.argv[1]))
    counts = {name: len(next(iter(columns.values()))) for name, columns in rows.items()}
    print(f"one trial: {', '.join(f'{count} {name}' for name, count in counts.items())}; each written {TIMES} times\n")
    print("| stored as | p50 | p99 | bytes a trial |\n| --- | --- | --- | --- |")
    ways: dict[str, Callable[[Path], Any]] = {
        "`journal.jsonl`, one line": journal,
        "Arrow IPC, labels as dictionaries": lambda folder: ipc(folder, dictionaries=True),
        "Arrow IPC, labels as text": lambda folder: ipc(folder, dictionaries=False),
    }
    for name, make in ways.items():
        with tempfile.TemporaryDirectory() as folder:
            median, p99, each = measure_writes(make(Path(folder)), rows)
        print(f"| {name} | {median:.0f} µs | {p99:.0f} µs | {each:,.0f} |")


if __name__ == "__main__":
    main()
