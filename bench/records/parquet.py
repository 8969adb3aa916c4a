"""Write the tables of a run as Parquet from journal lines, in bounded memory; read them back column by column.

This module imports pyarrow, so the measuring process must not import it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from bench.core.errors import BenchError
from bench.records.schema import TABLES

PENDING_ROWS = 10_000
"""Rows of a table kept as Python objects until they become an Arrow batch. One journal line may bring more."""
GROUP_VALUES = 2_000_000
"""Values of a table kept as Arrow batches until they become a row group: 16 MB of numbers."""
PART_ROWS = 500_000
"""Rows per part when a table is read in parts."""
Rows = Mapping[str, Mapping[str, Sequence[Any]]]
"""Rows of several tables, by column."""


def arrow_schema(table: str) -> pa.Schema:
    """Return the Arrow schema of a table."""
    return pa.schema([pa.field(c.name, _TYPES[c.type], metadata={"doc": c.doc, "unit": c.unit}) for c in TABLES[table]])


_TYPES: Mapping[str, pa.DataType] = {
    "int64": pa.int64(),
    "float64": pa.float64(),
    "string": pa.string(),
    "bool": pa.bool_(),
    "label": pa.dictionary(pa.int32(), pa.string()),
}


def write(lines: Iterable[Rows], folder: Path, *, suffix: str = "") -> None:
    """Write every table, empty ones too, to `TABLE.parquet` + suffix, in one pass over the lines.

    Memory does not grow with the number of lines. Raises `BenchError` for a damaged line or a full disk.
    """
    number = 0
    try:
        with ExitStack() as stack:
            files = {name: stack.enter_context(_File(folder / f"{name}.parquet{suffix}", name)) for name in TABLES}
            for number, rows in enumerate(lines, 1):  # noqa: B007  (said where a line is damaged)
                for name, columns in rows.items():
                    files[name].add(columns)
    except OSError as error:
        raise BenchError(
            f"{folder}: the records cannot be written ({error.strerror or error}); make room and run `bench report`"
        ) from error
    except (KeyError, TypeError, AttributeError, ValueError, pa.ArrowException) as error:
        raise BenchError(
            f"journal.jsonl: damaged at or before line {number} ({type(error).__name__}: {error})"
        ) from error


class _File:
    """Writes one table to its file: rows become batches, batches become row groups."""

    def __init__(self, path: Path, table: str) -> None:
        self._schema = arrow_schema(table)
        self._file = pq.ParquetWriter(path, self._schema, compression="zstd")
        self._group = GROUP_VALUES // len(self._schema)
        self._rows: dict[str, list[Any]] = {name: [] for name in self._schema.names}
        self._pending = 0
        self._batches: list[pa.Table] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        """Write the remaining rows, unless an exception ended the block, and close the file."""
        try:
            if error is None:
                self._batch()
                self._row_group()
        finally:
            self._file.close()

    def add(self, columns: Mapping[str, Sequence[Any]]) -> None:
        """Add rows; a missing column is null. Raises ValueError if columns differ in length."""
        lengths = set(map(len, columns.values()))
        if len(lengths) > 1:
            raise ValueError("columns of unequal length")
        length = lengths.pop() if lengths else 0
        missing = [None] * length
        for name, values in self._rows.items():
            values.extend(columns.get(name) or missing)
        self._pending += length
        if self._pending >= PENDING_ROWS:
            self._batch()

    def _batch(self) -> None:
        if not self._pending:
            return
        self._batches.append(pa.Table.from_pydict(self._rows, schema=self._schema))
        for values in self._rows.values():
            values.clear()
        self._pending = 0
        if sum(batch.num_rows for batch in self._batches) >= self._group:
            self._row_group()

    def _row_group(self) -> None:
        if self._batches:
            self._file.write_table(pa.concat_tables(self._batches).unify_dictionaries())
            self._batches = []


@dataclass(frozen=True)
class StoredTables:
    """The Parquet files in a folder, which are read one by one."""

    folder: Path

    def count(self, name: str) -> int:
        """Return the number of rows of a table."""
        with self._file(name) as file:
            return int(file.metadata.num_rows)

    def table(self, name: str, columns: Sequence[str] | None = None) -> pa.Table:
        """Read a table, or some of its columns. A column that an older version did not write is null."""
        fields = _fields(name, columns)
        with self._file(name) as file:
            return _cast(file.read(columns=_present(file, fields)), fields)

    def parts(self, name: str, columns: Sequence[str] | None = None) -> Iterator[pa.Table]:
        """Read a table in parts of bounded size, so that memory does not grow with the table."""
        fields = _fields(name, columns)
        with self._file(name) as file:
            for batch in file.iter_batches(PART_ROWS, columns=_present(file, fields)):
                yield _cast(pa.Table.from_batches([batch]), fields)

    @contextmanager
    def _file(self, name: str) -> Iterator[pq.ParquetFile]:
        path = self.folder / f"{name}.parquet"
        try:
            with pq.ParquetFile(path, pre_buffer=False) as file:  # it would hold the whole file beside its columns
                if not set(arrow_schema(name).names) & set(file.schema_arrow.names):
                    raise BenchError(f"{path}: damaged (none of its columns is known)")
                yield file
        except FileNotFoundError as error:
            raise BenchError(
                f"{self.folder}: damaged run folder ({path.name} and journal.jsonl are missing)"
            ) from error
        except (OSError, ValueError, pa.ArrowException) as error:
            raise BenchError(f"{path}: damaged ({error})") from error


def _fields(name: str, columns: Sequence[str] | None) -> pa.Schema:
    schema = arrow_schema(name)
    return schema if columns is None else pa.schema([schema.field(column) for column in columns])


def _present(file: pq.ParquetFile, fields: pa.Schema) -> list[str]:
    """Return the columns that this file has."""
    found = set(file.schema_arrow.names)
    return [name for name in fields.names if name in found]


def _cast(table: pa.Table, fields: pa.Schema) -> pa.Table:
    """Cast the columns to their types, with nulls for columns that another minor version did not write."""
    columns = [
        table[field.name].cast(field.type) if field.name in table.column_names else pa.nulls(table.num_rows, field.type)
        for field in fields
    ]
    return pa.table(columns, schema=fields)
