"""The claim that streaming brings the first useful output sooner, on runs of known truth."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.claims import sooner
from bench.core.results.summary import CALIBRATION
from tests.support.claims import only, run_of
from tests.support.synthetic import Truth


@pytest.mark.parametrize(
    ("useful_ms", "noise", "verdict", "words"),
    [
        (120, 0.02, "REFUTED", "more than said at 60 tokens"),  # 1 - 120 / 420
        (690, 0.02, "HOLDS", "as said at 60 tokens"),  # 1 - 690 / 990
        (3000, 0.02, "REFUTED", "less than said at 60 tokens"),  # 1 - 3000 / 3300
        (455, 0.05, "NOT ENOUGH DATA", "reaches over an end"),  # 1 - 455 / 755
    ],
)
def test_sooner(tmp_path: Path, useful_ms: float, noise: float, verdict: str, words: str) -> None:
    """The share that is saved is put to the test against 20 and 40 %, and the reason says on which side it is."""
    part = only(sooner.claim(*run_of(tmp_path, Truth(useful_ms=useful_ms, noise=noise))))
    assert (part.verdict, part.n) == (verdict, 36)
    assert words in part.reason
    assert "%" in part.estimate


def test_deltas_of_several_tokens_are_no_tokens(tmp_path: Path) -> None:
    """With four tokens a delta, tokens one to four come with the first: nothing is sooner there."""
    part = only(sooner.claim(*run_of(tmp_path, Truth(noise=0, tokens_per_delta=4))))
    gains = {tokens: gain for tokens, gain, _, _ in part.curve}
    assert [gains[k] for k in (1, 4)] == [0, 0]
    assert gains[5] == pytest.approx(1 - 120 / 140, abs=1e-3)


def test_sooner_with_too_many_failures(tmp_path: Path) -> None:
    """Above 5 % of excluded pairs there is no number, and no verdict."""
    fail = {("streamed", pair): "http_5xx" for pair in range(4)}
    part = only(sooner.claim(*run_of(tmp_path, Truth(fail=fail))))
    assert (part.verdict, part.estimate) == ("NOT ENOUGH DATA", "")
    assert "4 of 36 pairs excluded" in part.reason


def test_sooner_without_blocking(tmp_path: Path) -> None:
    """One delivery alone compares with nothing."""
    assert sooner.claim(*run_of(tmp_path, deliveries=("streamed",))).verdict == "NOT TESTABLE HERE"


def test_sooner_below_what_the_instrument_resolves(tmp_path: Path) -> None:
    """A gain of 5 ms is no gain where three floors are 12 ms, and 4 ms of noise are enough for no verdict."""
    frames, summary = run_of(tmp_path, Truth(useful_ms=50, token_ms=1, tokens=5, noise=0))
    assert only(sooner.claim(frames, summary)).verdict == "REFUTED"
    of = replace(summary.rows[0], scenario=CALIBRATION, statistic="p50", estimate=4.0, load="c=1")
    floors = [
        replace(of, metric=metric, delivery=delivery)
        for metric, delivery in (("floor_ttfu", "streamed"), ("floor_total", "streamed"), ("floor_total", "blocking"))
    ]
    part = only(sooner.claim(frames, replace(summary, rows=(*summary.rows, *floors))))
    assert part.verdict == "NOT ENOUGH DATA"
    assert "below what this instrument resolves" in part.reason
