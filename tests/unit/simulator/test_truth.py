"""The truth file."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.core.errors import BenchError
from bench.simulator.truth import SentResponse, TruthLog, read_truth


def logged(path: Path, responses: int) -> None:
    """Write a log of that many responses with one frame each."""
    with closing(TruthLog(path)) as log:
        for number in range(responses):
            sent = SentResponse(client_id=None, server_id=f"req_{number}", t_received=number)
            sent.stamp("body", b"12345")
            log.write(sent)


def test_round_trip(tmp_path: Path) -> None:
    """What was written comes back, in the order of the ends of the responses."""
    logged(tmp_path / "t.jsonl", 2)
    first, second = read_truth(tmp_path / "t.jsonl")
    assert (first["server_id"], second["server_id"]) == ("req_0", "req_1")
    assert (first["client_id"], first["type"], first["bytes"]) == (None, ["body"], [5])
    assert second["t_received"] == 1
    assert first["t_sent"] < second["t_sent"]


@given(st.integers(0, 400))
def test_cut_anywhere(tmp_path_factory: pytest.TempPathFactory, cut: int) -> None:
    """A file that was cut gives back every complete line and no other."""
    path = tmp_path_factory.mktemp("cut") / "t.jsonl"
    logged(path, 3)
    path.write_bytes(path.read_bytes()[:cut])
    rows = list(read_truth(path))
    assert len(rows) == path.read_bytes().count(b"\n")
    assert [row["t_received"] for row in rows] == list(range(len(rows)))


def test_damage(tmp_path: Path) -> None:
    """A damaged line, a missing file and one that cannot be written are one line each that names the file."""
    path = tmp_path / "t.jsonl"
    path.write_bytes(b"{}\nnonsense\n")
    with pytest.raises(BenchError, match=r"t\.jsonl: line 2 is damaged"):
        list(read_truth(path))
    with pytest.raises(BenchError, match=r"none\.jsonl: cannot be read"):
        list(read_truth(tmp_path / "none.jsonl"))
    with pytest.raises(BenchError, match=r"--truth .*cannot be written"):
        TruthLog(tmp_path / "nowhere" / "t.jsonl")
