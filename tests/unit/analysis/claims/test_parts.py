"""The verdict of a claim from those of its parts, and nothing from cells that may not be believed."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.build import build
from bench.analysis.claims import requests, sooner, usage
from bench.analysis.claims.parts import Draft, correct_parts, make_claim, overall
from bench.core.results.summary import ClaimPart
from tests.support.claims import Run, broken
from tests.support.synthetic import make_run


def draft(verdict: Any, p: float | None = None) -> Draft:
    """A part with this verdict."""
    return Draft(ClaimPart("x", verdict, "", 1, "because"), p)


@pytest.mark.parametrize(
    ("verdicts", "expected"),
    [
        (["HOLDS", "HOLDS"], "HOLDS"),
        (["HOLDS", "REFUTED", "NOT ENOUGH DATA"], "REFUTED"),
        (["HOLDS", "NOT ENOUGH DATA"], "NOT ENOUGH DATA"),
        (["HOLDS", "NOT TESTABLE HERE"], "NOT ENOUGH DATA"),
        (["NOT TESTABLE HERE"], "NOT TESTABLE HERE"),
    ],
)
def test_the_verdict_of_a_claim_is_that_of_all_parts(verdicts: Sequence[str], expected: str) -> None:
    """One refuted part refutes it; it holds only where all hold; with nothing testable it is not testable."""
    assert overall([draft(verdict).part for verdict in verdicts]) == expected


def test_holm_takes_back_what_is_not_beyond_doubt() -> None:
    """A p of 3 % decides alone, but not as one of three; a p of 0.1 % does; a count without p is never touched."""
    assert correct_parts([draft("HOLDS", 0.03)])[0].verdict == "HOLDS"
    parts = correct_parts([draft("HOLDS", 0.03), draft("REFUTED", 0.001), draft("HOLDS", 0.9), draft("HOLDS")])
    assert [part.verdict for part in parts] == ["NOT ENOUGH DATA", "REFUTED", "NOT ENOUGH DATA", "HOLDS"]
    assert "it would be HOLDS" in parts[0].reason


@pytest.mark.parametrize("field", ["invalid", "saturated", "unsupported"])
def test_nothing_is_concluded_from_broken_cells(plain: Run, field: str) -> None:
    """No claim on cells says anything where they are invalid, saturated or unsupported, and the reason says why."""
    run = broken(plain, **{field: "a good reason"})
    for claim in (sooner.claim(*run), usage.claim(*run), requests.claim(*run)):
        assert claim.verdict == "NOT TESTABLE HERE"
        assert all("a good reason" in part.reason for part in claim.parts)


def test_a_run_has_its_claims(tmp_path: Path) -> None:
    """Every summary has the five claims, in their order, each with parts and a test."""
    summary = build(make_run(tmp_path / "run"))
    assert [claim.name for claim in summary.claims] == ["sooner", "memory", "usage", "requests", "packets"]
    assert all(claim.parts and claim.test for claim in summary.claims)
    assert make_claim("x", "y", "z", [draft("HOLDS")]).verdict == "HOLDS"
