"""How a run is stored and read back: the journal while it runs, Parquet when it has ended, one reader for both.

During a run every finished trial becomes one line of `journal.jsonl` (all its tables at once, flushed), so a killed
run loses only the trials in flight and no trial is ever half there. At the end the journal becomes one Parquet file
per table and goes. Where there is a journal, it is the truth; Parquet files beside it were not finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import orjson

from bench.errors import BenchError
from bench.schema import SCHEMA_VERSION, TABLES, Column

if TYPE_CHECKING:
    import pyarrow as pa

JOURNAL = "journal.jsonl"
MANIFEST = "manifest.json"
PLAN = "plan.json"

Rows = dict[str, dict[str, list[Any]]]
"""Rows of several tables, by column: {"trials": {"trial_id": [7], …}, "events": {…}}. A missing column is all null."""


def columns_of(table: str, records: Sequence[Mapping[str, Any]]) -> dict[str, list[Any]]:
    """Row dicts → columns, every column of the table present."""
    return {column.name: [record.get(column.name) for record in records] for column in TABLES[table]}


class Journal:
    """The run's append-only log: one JSON line for each thing that was finished, handed to the kernel at once."""

    def __init__(self, run: Path) -> None:
        self._file = (run / JOURNAL).open("ab", buffering=0)

    def write(self, rows: Rows) -> None:
        """Append the rows as one line. A killed process leaves at most the last line cut."""
        rest = memoryview(orjson.dumps(rows) + b"\n")
        try:
            while rest:  # in all but odd cases one call
                rest = rest[self._file.write(rest) or 0 :]
        except OSError as error:
            raise BenchError(
                f"{self._file.name}: cannot be written ({error.strerror}); make room and run again"
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def read_journal(run: Path) -> Iterator[Rows]:
    """The lines of a journal. A cut last line is left out; any other unreadable line is an error."""
    with (run / JOURNAL).open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                return
            try:
                yield orjson.loads(line)
            except orjson.JSONDecodeError as error:
                raise BenchError(
                    f"{run / JOURNAL}: line {number} is damaged ({error}); restore it or delete it"
                ) from error


def journal_rows(run: Path, table: str) -> list[dict[str, Any]]:
    """All rows of one table of a journal, without Arrow: for the few rows of a trial or two."""
    parts = [columns for rows in read_journal(run) if (columns := rows.get(table))]
    return [dict(zip(part, values, strict=True)) for part in parts for values in zip(*part.values(), strict=True)]


def read(run: Path) -> dict[str, pa.Table]:
    """Every table of a run, empty ones included, from the journal or from Parquet."""
    if (run / JOURNAL).exists():
        chunks = _chunks(read_journal(run))
        return {name: _concat(name, chunks.get(name, [])) for name in TABLES}
    return {name: _read_parquet(run, name) for name in TABLES}


def finish(run: Path) -> None:
    """Turn the journal into Parquet files and remove it. Interrupted at any point, the run stays readable."""
    import pyarrow.parquet as pq  # noqa: PLC0415  (not in the measuring process)

    for name, table in read(run).items():
        part = run / f"{name}.parquet.part"
        pq.write_table(table, part, compression="zstd")
        part.replace(run / f"{name}.parquet")
    (run / JOURNAL).unlink()


def read_manifest(run: Path) -> dict[str, Any]:
    """The manifest of a run folder whose schema this version reads."""
    manifest = read_json(run / MANIFEST)
    found = str(manifest.get("schema_version", "none"))
    if found.partition(".")[0] != SCHEMA_VERSION.partition(".")[0]:
        raise BenchError(
            f"{run / MANIFEST}: schema version {found}, but this is streambench for {SCHEMA_VERSION}; "
            "report it with the version that made it"
        )
    return manifest


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object from a file of a run folder."""
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
    """Write JSON with sorted keys, whole or not at all."""
    part = path.with_suffix(path.suffix + ".part")
    part.write_bytes(
        orjson.dumps(value, option=orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS | orjson.OPT_SERIALIZE_NUMPY)
    )
    part.replace(path)


def arrow_schema(table: str) -> pa.Schema:
    """The Arrow schema of one of the tables."""
    import pyarrow as pa  # noqa: PLC0415

    return pa.schema([pa.field(c.name, _arrow_type(c), metadata=_column_metadata(c)) for c in TABLES[table]])


def _arrow_type(column: Column) -> pa.DataType:
    import pyarrow as pa  # noqa: PLC0415

    types: dict[str, pa.DataType] = {
        "int64": pa.int64(),
        "float64": pa.float64(),
        "string": pa.string(),
        "bool": pa.bool_(),
        "label": pa.dictionary(pa.int32(), pa.string()),
    }
    return types[column.type]


def _column_metadata(column: Column) -> dict[str, str]:
    return {"doc": column.doc, "unit": column.unit}


_LINES_A_BATCH = 500


def _chunks(lines: Iterable[Rows]) -> dict[str, list[pa.Table]]:
    """Arrow tables of some hundred journal lines each: bounded Python objects, whatever the length of the run."""
    import pyarrow as pa  # noqa: PLC0415

    done: dict[str, list[pa.Table]] = {}
    pending: Rows = {}
    number = 0
    try:
        for number, rows in enumerate(lines, 1):
            for name, columns in rows.items():
                _append(pending.setdefault(name, {c.name: [] for c in TABLES[name]}), columns)
            if number % _LINES_A_BATCH == 0:
                _flush(pending, done)
        _flush(pending, done)
    except (KeyError, TypeError, AttributeError, ValueError, pa.ArrowException) as error:
        raise BenchError(f"{JOURNAL}: damaged at or before line {number} ({type(error).__name__}: {error})") from error
    return done


def _append(into: dict[str, list[Any]], columns: Mapping[str, list[Any]]) -> None:
    length = len(next(iter(columns.values()), []))
    if any(len(values) != length for values in columns.values()):
        raise ValueError("columns of unequal length")
    for name, values in into.items():
        values.extend(columns.get(name) or [None] * length)


def _flush(pending: Rows, done: dict[str, list[pa.Table]]) -> None:
    import pyarrow as pa  # noqa: PLC0415

    for name, columns in pending.items():
        done.setdefault(name, []).append(pa.Table.from_pydict(columns, schema=arrow_schema(name)))
    pending.clear()


def _concat(name: str, chunks: list[pa.Table]) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415

    schema = arrow_schema(name)
    return pa.concat_tables(chunks).unify_dictionaries() if chunks else schema.empty_table()


def _column(table: pa.Table, field: pa.Field[Any]) -> Any:
    """A column of a table that another minor version wrote: nulls where it is missing."""
    import pyarrow as pa  # noqa: PLC0415

    if field.name in table.column_names:
        return table[field.name].cast(field.type)
    return pa.nulls(table.num_rows, field.type)


def _read_parquet(run: Path, name: str) -> pa.Table:
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    path, schema = run / f"{name}.parquet", arrow_schema(name)
    try:
        table = pq.read_table(path)
        if not set(schema.names) & set(table.column_names):
            raise BenchError(f"{path}: damaged (none of its columns is known)")
        return pa.table([_column(table, field) for field in schema], schema=schema)
    except FileNotFoundError as error:
        raise BenchError(f"{run}: damaged run folder ({path.name} and {JOURNAL} are missing)") from error
    except (OSError, ValueError, pa.ArrowException) as error:
        raise BenchError(f"{path}: damaged ({error})") from error
