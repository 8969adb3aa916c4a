"""What of the simulator's send log is kept beside a run: frames only where reads can be held against them."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter_ns

import orjson
import pytest

from bench.records.journal import Journal, Rows, columns_of, read
from bench.run import folder


def row_of(number: int, *, stored: bool) -> Rows:
    """The journal's line of a trial."""
    return {
        "trials": columns_of("trials", [{"trial_id": number, "stored": stored}]),
        "attempts": columns_of("attempts", [{"trial_id": number, "client_id": f"c{number}"}]),
    }


def sent(number: int) -> bytes:
    """The simulator's line of an answer in three frames."""
    frames = {"t_sent": [5, 6, 7], "type": ["a", "b", "c"], "bytes": [1, 1, 1]}
    line = {
        "client_id": f"c{number}",
        "server_id": f"s{number}",
        "t_received": 4,
        "attempt": 1,
        "fault": None,
        **frames,
    }
    return orjson.dumps(line) + b"\n"


@pytest.mark.parametrize(
    ("sampled", "apart", "rows"),
    [(False, False, [3, 3]), (True, False, [3, 1]), (False, True, [1, 1])],
)
def test_an_answer_whose_events_were_not_kept_is_one_row(
    tmp_path: Path, *, sampled: bool, apart: bool, rows: list[int]
) -> None:
    """Each answer still counts; its frames are there where its reads are, on the same clock."""
    run = folder.Run(folder=tmp_path, t0=perf_counter_ns(), manifest={"notes": []}, clocks_apart=apart)
    journal, truth = Journal(tmp_path), tmp_path / "truth.jsonl"
    for number, stored in enumerate((True, False)):
        journal.write(row_of(number, stored=stored))
    truth.write_bytes(sent(0) + sent(1))
    folder.end(run, journal, truth, ended="finished", notes=[], sampled=sampled)
    found = read(tmp_path)["truth"].to_pylist()
    assert [sum(row["client_id"] == name for row in found) for name in ("c0", "c1")] == rows
    assert {row["server_id"] for row in found} == {"s0", "s1"}
    assert [row["t_sent"] is None for row in found] == [row["frame"] is None for row in found]
    assert sum(row["frame"] is None for row in found) == rows.count(1)
