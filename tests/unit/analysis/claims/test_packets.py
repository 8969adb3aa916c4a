"""The claim on packets, on calibration streams of known truth."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.claims import packets
from bench.core.results.summary import CALIBRATION
from tests.support.claims import Run, broken, only, part_of, run_of, with_tables
from tests.support.synthetic import Truth


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Calibration streams of 12 tokens in events of 1, 4 and 12, each read 0.3 ms late."""
    sizes = (1, 4, 12)
    cells = [
        Truth(scenario=CALIBRATION, tokens=12, noise=0, tokens_per_delta=size, useful_ms=60 + (size - 1) * 5)
        for size in sizes
    ]
    frames, summary = run_of(tmp_path_factory.mktemp("calibrated"), *cells, pairs=12, memory=False)
    known = [
        {**cell, "role": "calibration", "params": json.dumps({"tokens_per_event": size})}
        for cell, size in zip(frames.plan["cells"], sizes, strict=True)
    ]
    return replace(frames, plan={**frames.plan, "cells": known}, calibration=frames.trials), summary


def read_later(run: Run, ms: Sequence[float]) -> Run:
    """The same streams, those of each size sent so much earlier than before, and so read later."""
    frames, summary = run
    cells = {f"{number:08x}": int(cell) for number, cell in frames.trials["cell"].items()}
    later = frames.tables["truth"]["client_id"].map(cells).map(dict(enumerate(ms))).fillna(0)
    truth = frames.tables["truth"].assign(t_sent=frames.tables["truth"]["t_sent"] - (later * 1e6).astype("Int64"))
    return with_tables(frames, truth=truth), summary


def test_packets_hold(calibrated: Run) -> None:
    """A token waits for the others of its event: 0, 7.5 and 27.5 ms, and the lag."""
    part = only(packets.claim(*calibrated))
    assert part.verdict == "HOLDS"
    assert "0.3 ms at 1, 7.8 ms at 4, 27.8 ms at 12 tokens an event" in part.reason
    assert "proxy" in part.reason
    assert "1.00 events" in part.reason


@pytest.mark.parametrize("ms", [(27.5, 20, 0), (55, 40, 0)])
def test_packets_without_a_gain_refute(calibrated: Run, ms: Sequence[float]) -> None:
    """Where small events are read as late as large ones, or later, the claim is refuted."""
    assert packets.claim(*read_later(calibrated, ms)).verdict == "REFUTED"


def test_packets_of_few_trials_are_open(calibrated: Run) -> None:
    """Five trials of a size are too few."""
    few = calibrated[0].calibration.groupby(["cell", "delivery"]).head(5)
    claim = packets.claim(replace(calibrated[0], calibration=few), calibrated[1])
    assert claim.verdict == "NOT ENOUGH DATA"


def test_packets_of_a_late_client_are_not_testable(calibrated: Run) -> None:
    """At a load at which the client was late the streams show the client."""
    assert packets.claim(*broken(calibrated, saturated="late")).verdict == "NOT TESTABLE HERE"


def test_packets_without_calibration(plain: Run) -> None:
    """A run without the streams says what to run."""
    part = only(packets.claim(*plain))
    assert part.verdict == "NOT TESTABLE HERE"
    assert "10 pairs" in part.reason


def test_packets_of_the_scenario_buffered(tmp_path: Path) -> None:
    """Two sizes of `buffered` in a run are a part, by the delay that the scenario recorded."""
    frames, summary = run_of(tmp_path, Truth(scenario="buffered"), Truth(scenario="buffered"), pairs=12)
    cells = tuple(
        replace(cell, key=cell.key._replace(params=json.dumps({"chars": chars})))
        for cell, chars in zip(summary.cells, (50, 400), strict=True)
    )
    metrics = frames.tables["metrics"].assign(name="buffer_delay")
    second = set(frames.trials.index[frames.trials["cell"] == 1])
    metrics["value"] += metrics["trial_id"].isin(second) * 80.0
    part = part_of(packets.claim(with_tables(frames, metrics=metrics), replace(summary, cells=cells)), "chunks")
    assert part.verdict == "HOLDS"
    assert "characters a chunk" in part.reason
