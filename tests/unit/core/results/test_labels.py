"""What cells are called, and the time between pieces."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench.analysis.build import build
from bench.core.results.labels import cell_labels
from tests.support.synthetic import Truth, make_run


def cell(scenario: str = "text", **more: Any) -> dict[str, Any]:
    """A cell of a plan."""
    plain = {"params": "", "api": "responses", "target": "sim", "model": "sim-1", "client": "sdk", "load": "c=1"}
    return {"scenario": scenario, **plain, **more}


@pytest.mark.parametrize(
    ("cells", "labels"),
    [
        ([cell(), cell("rag", params='{"k":3}')], ["text", "rag"]),
        ([cell("rag", params='{"k":3,"m":"a"}'), cell("rag", params='{"k":9,"m":"a"}')], ["rag k=3", "rag k=9"]),
        ([cell(), cell("chat_text", api="chat"), cell("own", client="own")], ["text", "chat_text", "own"]),
        ([cell(model="a"), cell(model="b"), cell("x", model="a")], ["text a", "text b", "x a"]),
        ([cell("rag", params="one"), cell("rag", params="two")], ["rag params=one", "rag params=two"]),
        ([cell("rag", params='{"k":[1,2]}'), cell("rag", params='{"k":null}')], ["rag k=[1,2]", "rag k=null"]),
    ],
)
def test_a_label_says_what_differs(cells: list[dict[str, Any]], labels: list[str]) -> None:
    """Parameters only between the cells of one scenario; what belongs to a scenario only where it has several."""
    assert cell_labels(cells) == labels


def test_the_time_between_pieces_is_recovered(tmp_path: Path) -> None:
    """Pieces each 5 ms are 5 ms apart, over all trials that were ok."""
    summary = build(make_run(tmp_path / "run", [Truth(token_ms=5, noise=0.0, fail={("streamed", 1): "timeout"})]))
    row = summary.row(summary.cells[0], "streamed", "piece_gap", "p50")
    assert row is not None
    assert row.estimate == pytest.approx(5, abs=0.01)
    assert (row.n, row.failed, row.unit) == (35, 1, "ms")
    assert summary.row(summary.cells[0], "blocking", "piece_gap", "p50") is None
