"""The journal, Parquet, and reading either back."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.core.errors import BenchError
from bench.records import journal as records
from bench.records.parquet import arrow_schema
from bench.records.schema import TABLES


def lines(run: Path, count: int) -> None:
    """A journal of so many trials with two events each."""
    journal = records.Journal(run)
    for number in range(count):
        journal.write(
            {
                "trials": records.columns_of("trials", [{"trial_id": number, "status": "ok", "error": None}]),
                "events": {"trial_id": [number, number], "seq": [0, 1], "kind": ["content", "terminal"]},
            }
        )
    journal.close()


def test_what_is_written_is_read(tmp_path: Path) -> None:
    """Every table comes back whole, empty ones too, with missing columns as nulls."""
    lines(tmp_path, 3)
    tables = records.read(tmp_path)
    assert set(tables) == set(TABLES)
    assert tables["trials"]["trial_id"].to_pylist() == [0, 1, 2]
    assert tables["events"]["chars"].null_count == 6
    assert tables["memory"].num_rows == 0


def test_many_lines_are_read(tmp_path: Path) -> None:
    """Reading in batches loses and doubles nothing."""
    lines(tmp_path, 1234)
    tables = records.read(tmp_path)
    assert tables["trials"]["trial_id"].to_pylist() == list(range(1234))
    assert tables["events"].num_rows == 2468


def test_parquet_says_the_same_as_the_journal(tmp_path: Path) -> None:
    """Finishing a run changes the form of its records and nothing else, and the journal goes."""
    lines(tmp_path, 600)
    before = records.read(tmp_path)
    records.finish(tmp_path)
    after = records.read(tmp_path)
    assert not (tmp_path / records.JOURNAL).exists()
    assert {name: table.to_pydict() for name, table in before.items()} == {
        name: table.to_pydict() for name, table in after.items()
    }
    assert after["trials"].schema.equals(arrow_schema("trials"))


def test_a_journal_beside_parquet_wins(tmp_path: Path) -> None:
    """A process that was killed while it finished left both: the journal is the whole one."""
    lines(tmp_path, 1)
    records.finish(tmp_path)
    lines(tmp_path, 5)
    assert records.read(tmp_path)["trials"].num_rows == 5
    records.finish(tmp_path)
    assert records.read(tmp_path)["trials"].num_rows == 5


@pytest.mark.parametrize("keep", [1, 10, 100])
def test_a_cut_last_line_is_left_out(tmp_path: Path, keep: int) -> None:
    """A process killed in the middle of a write loses that line only."""
    lines(tmp_path, 2)
    path = tmp_path / records.JOURNAL
    first, second, _ = path.read_bytes().split(b"\n")
    path.write_bytes(first + b"\n" + second[:keep])
    assert records.read(tmp_path)["trials"]["trial_id"].to_pylist() == [0]


def test_a_damaged_line_is_an_error(tmp_path: Path) -> None:
    """A line that is whole but no JSON means that the file was tampered with: said with its number."""
    lines(tmp_path, 2)
    path = tmp_path / records.JOURNAL
    path.write_bytes(b"{oops}\n" + path.read_bytes())
    with pytest.raises(BenchError, match=r"journal\.jsonl: line 1 is damaged"):
        records.read(tmp_path)


@pytest.mark.parametrize(
    "line",
    [
        b"[]",
        b'{"trials": 5}',
        b'{"nothing": {"a": [1]}}',
        b'{"trials": {"trial_id": ["x"]}}',
        b'{"trials": {"trial_id": [1], "cell": []}}',
    ],
)
def test_a_line_of_another_shape_is_an_error(tmp_path: Path, line: bytes) -> None:
    """JSON that is no rows of this version's tables is one error with the number of the line."""
    lines(tmp_path, 1)
    path = tmp_path / records.JOURNAL
    path.write_bytes(path.read_bytes() + line + b"\n")
    with pytest.raises(BenchError, match="damaged at or before line 2"):
        records.read(tmp_path)


def test_a_full_disk_is_one_line(tmp_path: Path) -> None:
    """What cannot be written is said with the file."""
    (tmp_path / records.JOURNAL).symlink_to("/dev/full")
    no_space = r"journal\.jsonl: cannot be written \(No space left"
    with closing(records.Journal(tmp_path)) as journal, pytest.raises(BenchError, match=no_space):
        journal.write({"starts": {"trial_id": [1]}})


def test_a_missing_or_damaged_file_is_an_error(tmp_path: Path) -> None:
    """Parquet that is gone or is none is named in one line."""
    lines(tmp_path, 1)
    records.finish(tmp_path)
    (tmp_path / "events.parquet").write_bytes(b"no parquet")
    with pytest.raises(BenchError, match=r"events\.parquet: damaged"):
        records.read(tmp_path)
    (tmp_path / "events.parquet").unlink()
    with pytest.raises(BenchError, match=r"damaged run folder \(events\.parquet"):
        records.read(tmp_path)


def test_parquet_of_another_minor_version_is_read(tmp_path: Path) -> None:
    """A column that a later version added is passed over, one that an earlier version had not is null."""
    lines(tmp_path, 2)
    records.finish(tmp_path)
    path = tmp_path / "events.parquet"
    table = pq.read_table(path).drop_columns(["chars"])
    pq.write_table(table.append_column("shade", pa.array(["grey"] * 4)), path)
    events = records.read(tmp_path)["events"]
    assert events.schema.equals(arrow_schema("events"))
    assert events["chars"].null_count == 4
    assert events["seq"].to_pylist() == [0, 1, 0, 1]


def test_another_schema_is_refused(tmp_path: Path) -> None:
    """A run of another major version is refused, one of another minor version read."""
    records.write_json(tmp_path / "manifest.json", {"schema_version": "1.7"})
    assert records.read_manifest(tmp_path)["schema_version"] == "1.7"
    records.write_json(tmp_path / "manifest.json", {"schema_version": "2.0"})
    with pytest.raises(BenchError, match=r"schema version 2\.0"):
        records.read_manifest(tmp_path)


@pytest.mark.parametrize(("content", "says"), [(None, "not a run folder"), (b"{", "cannot be read"), (b"[]", "object")])
def test_a_folder_that_is_no_run(tmp_path: Path, content: bytes | None, says: str) -> None:
    """A manifest that is missing or no JSON object is one clear line."""
    if content is not None:
        (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(BenchError, match=says):
        records.read_manifest(tmp_path)
