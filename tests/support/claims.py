"""Runs of known truth as the claims get them, and parts of a claim."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.build import build
from bench.analysis.tables import RunFrames, load
from bench.core.results.summary import Claim, ClaimPart, Summary
from tests.support.synthetic import Truth, make_run

Run = tuple[RunFrames, Summary]


def run_of(folder: Path, *cells: Truth, **options: Any) -> Run:
    """A run of known truth as the claims get it."""
    run = make_run(folder / "run", cells or (Truth(),), **options)
    return load(run), replace(build(run), claims=())


def broken(run: Run, **fields: str) -> Run:
    """The same run, its cells with this said of them."""
    frames, summary = run
    return frames, replace(summary, cells=tuple(replace(cell, **fields) for cell in summary.cells))  # type: ignore[arg-type]


def with_tables(frames: RunFrames, **tables: pd.DataFrame) -> RunFrames:
    """The frames, some tables replaced."""
    return replace(frames, tables={**frames.tables, **tables})


def only(claim: Claim) -> ClaimPart:
    """Its only part."""
    (part,) = claim.parts
    return part


def part_of(claim: Claim, subject: str) -> ClaimPart:
    """The part whose subject begins so."""
    (part,) = (part for part in claim.parts if part.subject.startswith(subject))
    return part
