"""The gain by the length of an answer, on runs of known truth."""

from __future__ import annotations

from pathlib import Path

import pytest

from bench.analysis.claims import sooner
from bench.analysis.claims.lengths import true_range
from tests.support.claims import Run, only, run_of
from tests.support.synthetic import Truth


def test_sooner_by_length(plain: Run) -> None:
    """The curve is 1 - 118 / (118 + 5 (k - 1)), so the claim is true for 7 to 16 tokens, and the reason says that."""
    part = only(sooner.claim(*plain))
    for tokens, gain, low, high in part.curve:
        assert gain == pytest.approx(1 - 118 / (118 + 5 * (tokens - 1)), abs=1e-3)
        assert low <= gain <= high
    assert part.curve[-1][0] == 60
    assert "true for answers of 7 to 16 tokens" in part.reason
    assert "the whole streamed answer took" in part.reason


def test_sooner_for_no_length(tmp_path: Path) -> None:
    """Where even the whole answer saves less than 20 %, no length is named."""
    part = only(sooner.claim(*run_of(tmp_path, Truth(useful_ms=3000, noise=0))))
    assert "true for no length from 1 to 60 tokens" in part.reason
    assert true_range(part.curve, 0.2, 0.4) is None
