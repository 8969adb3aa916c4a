"""Store a run and read it back: a journal during the run, Parquet files after it, one reader for both.

During a run every finished trial becomes one line of `journal.jsonl` with the rows of all its tables, so a killed run
loses only the trials in flight, and no trial is stored in part. At the end the journal becomes one Parquet file per
table and is removed. If there is a journal, it is the truth: Parquet files beside it are unfinished.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

import orjson

from bench.core.errors import BenchError
from bench.core.text.text_file import read_json_lines
from bench.records.schema import SCHEMA_VERSION, TABLES

if TYPE_CHECKING:
    import pyarrow as pa

    from bench.records.parquet import StoredTables

JOURNAL = "journal.jsonl"
MANIFEST = "manifest.json"
PLAN = "plan.json"
_NAMES = {table: [column.name for column in columns] for table, columns in TABLES.items()}
Rows = dict[str, dict[str, list[Any]]]
"""Rows of several tables, by column: {"trials": {"trial_id": [7], …}, "events": {…}}. A missing column is all null."""


def columns_of(table: str, records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Turn rows into columns; every column of the table is present."""
    if len(records) == 1:
        value = records[0].get
        return {name: [value(name)] for name in _NAMES[table]}
    return {name: [record.get(name) for record in records] for name in _NAMES[table]}


class Journal:
    """The run's append-only log: one JSON line for each finished trial, handed to the kernel at once."""

    def __init__(self, run: Path) -> None:
        self._file = (run / JOURNAL).open("ab", buffering=0)

    def write(self, rows: Rows) -> None:
        """Append the rows as one line. A killed process leaves at most its last line cut."""
        self.append(orjson.dumps(rows) + b"\n")

    def append(self, lines: bytes) -> None:
        """Append whole lines, line ends included. Raises `BenchError` if the disk is full."""
        rest = memoryview(lines)
        try:
            while rest:  # in all but odd cases one call
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise BenchError(
                f"{self._file.name}: cannot be written ({error.strerror}); make room and run again"
            ) from error

    def close(self) -> None:
        self._file.close()


def read_journal(run: Path) -> Iterator[Rows]:
    """Yield the lines of a journal without a cut last one. Raises `BenchError` for any other unreadable line."""
    with (run / JOURNAL).open("rb") as lines:
        yield from read_json_lines(lines, run / JOURNAL, "restore it or delete it")


def journal_rows(run: Path, table: str) -> list[dict[str, Any]]:
    """Return all rows of a table in a journal, without loading Arrow: for the few rows of a trial or two."""
    parts = [columns for rows in read_journal(run) if (columns := rows.get(table))]
    return [dict(zip(part, values, strict=True)) for part in parts for values in zip(*part.values(), strict=True)]


def read(run: Path) -> dict[str, pa.Table]:
    """Read every table of a run, empty ones included, from the journal or from Parquet."""
    with open_tables(run) as stored:
        return {name: stored.table(name) for name in TABLES}


@contextmanager
def open_tables(run: Path) -> Iterator[StoredTables]:
    """Open the tables of a run, to read them one by one. A journal is first turned into temporary Parquet files."""
    from bench.records.parquet import StoredTables, write  # noqa: PLC0415  (pyarrow: not in the measuring process)

    if not (run / JOURNAL).exists():
        yield StoredTables(run)
        return
    with TemporaryDirectory(prefix="bench-") as folder:
        write(read_journal(run), Path(folder))
        yield StoredTables(Path(folder))


def finish(run: Path) -> None:
    """Turn the journal into Parquet files and remove it. Interrupted at any point, the run stays readable."""
    from bench.records.parquet import write  # noqa: PLC0415  (pyarrow: not in the measuring process)

    parts = {name: run / f"{name}.parquet.part" for name in TABLES}
    try:
        write(read_journal(run), run, suffix=".part")
        for part in parts.values():
            part.replace(part.with_suffix(""))
    finally:
        for part in parts.values():
            part.unlink(missing_ok=True)
    (run / JOURNAL).unlink()


def read_manifest(run: Path) -> dict[str, Any]:
    """Read the manifest of a run folder. Raises `BenchError` if this version cannot read its schema."""
    manifest = read_json(run / MANIFEST)
    found = str(manifest.get("schema_version", "none"))
    if found.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise BenchError(
            f"{run / MANIFEST}: schema version {found}, but this is streambench for {SCHEMA_VERSION}; "
            "report it with the version that made it"
        )
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object from a file of a run folder. Raises `BenchError` if there is none."""
    try:
        value = orjson.loads(path.read_bytes())
    except FileNotFoundError as error:
        raise BenchError(f"{path.parent}: not a run folder ({path.name} is missing)") from error
    except (OSError, orjson.JSONDecodeError) as error:
        raise BenchError(f"{path}: cannot be read ({error})") from error
    if not isinstance(value, dict):
        raise BenchError(f"{path}: cannot be read (not a JSON object)")
    return value


def write_json(path: Path, value: object) -> None:
    """Write JSON with sorted keys, completely or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    )
    part.replace(path)
