"""The ways of consuming an answer, measured on the real SDK and simulator."""

from __future__ import annotations

import pandas as pd
import pytest

from bench.analysis.claims import consuming
from bench.analysis.memory import memory_curves
from bench.core.results.summary import MemoryCurve
from bench.plan.consumers import CONSUMERS, LENGTHS
from bench.records.schema import TABLES
from bench.run.memory.consumers import consumer_jobs
from bench.run.memory.measure import measure


@pytest.fixture(scope="module")
def curves() -> dict[tuple[str, str], MemoryCurve]:
    """One pass over all of them, by name and delivery."""
    rows, notes = measure(consumer_jobs(), seconds=90)
    assert notes == []
    assert all(row["error"] is None for row in rows)
    frame = pd.DataFrame(rows)[[column.name for column in TABLES["memory"]]]
    return {(curve.scenario, curve.delivery): curve for curve, _, _ in memory_curves(frame)}


def slope(curves: dict[tuple[str, str], MemoryCurve], name: str, delivery: str = "streamed") -> float:
    """Bytes per token."""
    found = curves[name, delivery].slope
    assert found is not None
    return found


@pytest.mark.slow
def test_every_way_is_measured_at_every_length(curves: dict[tuple[str, str], MemoryCurve]) -> None:
    """Each has a streamed curve, one has a blocking one too, and each curve has all lengths."""
    assert set(curves) == {(name, "streamed") for name in CONSUMERS} | {("(discard)", "blocking")}
    for curve in curves.values():
        assert [tokens for tokens, _ in curve.points] == list(LENGTHS)


@pytest.mark.slow
def test_what_is_kept_is_seen(curves: dict[tuple[str, str], MemoryCurve]) -> None:
    """Nothing grows where nothing is kept or repeated; a join costs more than dropping, and events more than that."""
    assert abs(slope(curves, "(nothing)")) < 3
    assert abs(slope(curves, "(chat)")) < 5
    assert slope(curves, "(discard)") < slope(curves, "(join)") < slope(curves, "(keep)") / 2
    assert slope(curves, "(helper)") > slope(curves, "(chat)") + 10


@pytest.mark.slow
def test_a_stream_that_repeats_the_answer_grows_more_than_blocking(curves: dict[tuple[str, str], MemoryCurve]) -> None:
    """Blocking grows by the text and its copies; the last events of a Responses stream repeat it more often."""
    assert 5 < slope(curves, "(discard)", "blocking") < slope(curves, "(discard)") < 100


@pytest.mark.slow
def test_the_claim_is_judged_by_them(curves: dict[tuple[str, str], MemoryCurve]) -> None:
    """Keeping every event refutes the claim, and blocking does grow."""
    claim = consuming.claim_from_curves(curves)
    verdicts = {part.subject: part.verdict for part in claim.parts}
    assert claim.verdict == "REFUTED"
    assert verdicts["streamed, keep"] == "REFUTED"
    assert verdicts["blocking"] == "HOLDS"
    assert verdicts["streamed, chat"] != "REFUTED"
