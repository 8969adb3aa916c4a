"""Per-trial metrics by their formulas, and the glossary that is made of the registry."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.build import build
from bench.analysis.cell.arm import delta_gaps, per_trial
from bench.core.results.metrics.registry import METRICS, glossary_markdown, places
from tests.support.synthetic import Truth, make_run

TIMES = ("t_origin", "t_first_token", "t_first_visible", "t_first_useful", "t_first_event", "t_last_token", "t_end")
COUNTS = ("output_tokens", "stall_ns", "backoff_ns", "stalls", "attempts", "input_tokens", "cached_tokens")


def trial(**values: int) -> pd.DataFrame:
    """One trial; what is not given is missing."""
    return pd.DataFrame({name: pd.array([values.get(name)], dtype="Int64") for name in (*TIMES, *COUNTS)})


def test_durations_count_from_the_origin() -> None:
    """Each latency is its mark minus the origin, in ms; a mark that is missing stays missing."""
    row = per_trial(trial(t_origin=10_000_000, t_first_token=130_000_000, t_end=430_000_000)).iloc[0]
    assert (row["ttft"], row["total"]) == (120.0, 420.0)
    assert pd.isna(row["ttfu"])


def test_tpot_divides_by_the_tokens_after_the_first() -> None:
    """61 tokens over 300 ms are 5 ms a token; a single token has no TPOT."""
    marks = {"t_origin": 0, "t_first_token": 100_000_000, "t_last_token": 400_000_000, "t_end": 400_000_000}
    assert per_trial(trial(**marks, output_tokens=61))["tpot"].iloc[0] == pytest.approx(5)
    assert pd.isna(per_trial(trial(**marks, output_tokens=1))["tpot"].iloc[0])


def test_one_read_has_no_pace() -> None:
    """When first and last token came in one read there is no TPOT and no share of stalls, rather than 0."""
    at_once = {"t_origin": 0, "t_first_token": 100_000_000, "t_last_token": 100_000_000, "t_end": 110_000_000}
    row = per_trial(trial(**at_once, output_tokens=61, stall_ns=0)).iloc[0]
    assert pd.isna(row["tpot"])
    assert pd.isna(row["stall_share"])
    assert row["tokens_per_s"] > 0


def test_tokens_per_s_and_stall_share() -> None:
    """60 tokens in half a second are 120 a second; 30 ms of stalls in 300 ms of stream are a tenth."""
    marks = {"t_origin": 0, "t_first_token": 100_000_000, "t_last_token": 400_000_000, "t_end": 500_000_000}
    row = per_trial(trial(**marks, output_tokens=60, stall_ns=30_000_000)).iloc[0]
    assert row["tokens_per_s"] == pytest.approx(120)
    assert row["stall_share"] == pytest.approx(0.1)


def test_gaps_stay_within_an_attempt_and_leave_out_repeats() -> None:
    """No gap spans two trials or attempts, and the event that repeats the whole text makes none."""
    delta, done = "response.output_text.delta", "response.output_text.done"
    rows = [
        (1, 0, 0, 0, 0, "content", delta, 3),
        (1, 0, 0, 1, 5_000_000, "content", delta, 0),
        (1, 0, 0, 2, 7_000_000, "content", delta, 3),
        (1, 0, 0, 3, 9_000_000, "content", done, 6),
        (1, 0, 1, 0, 50_000_000, "reasoning", delta, 3),
        (1, 0, 1, 1, 51_000_000, "content", delta, 3),
        (2, 0, 0, 0, 60_000_000, "tool_args", delta, 3),
        (2, 0, 0, 1, 60_500_000, "lifecycle", "response.in_progress", 0),
    ]
    names = ["trial_id", "request", "attempt", "seq", "t_read", "kind", "type", "chars"]
    gaps = delta_gaps(pd.DataFrame(rows[::-1], columns=names))
    assert gaps.owner.tolist() == [1, 1]
    assert np.allclose(gaps.ms, [7, 1])


def test_itl_only_where_a_delta_is_a_token(tmp_path: Path) -> None:
    """With three tokens in an event there is no ITL, and the row says so; with one it equals the gap."""
    summary = build(make_run(tmp_path / "r", [Truth(), Truth(scenario="bundled", tokens_per_delta=3)]))
    one, three = summary.cells
    itl, gap = (summary.row(one, "streamed", name, "p50") for name in ("itl", "gap"))
    assert itl is not None
    assert gap is not None
    assert itl.estimate == gap.estimate == pytest.approx(5, rel=0.02)
    bundled = summary.row(three, "streamed", "itl", "p50")
    assert bundled is not None
    assert (bundled.estimate, bundled.note) == (None, "n/a (3 tokens per event)")


def test_glossary_names_every_metric_once() -> None:
    """The generated page has one row for each metric of the registry."""
    lines = [line for line in glossary_markdown().splitlines() if line.startswith("| `")]
    assert [line.split("`")[1] for line in lines] == [metric.name for metric in METRICS]
    assert all(line.count("|") == 5 for line in lines)


def test_definitions_need_no_pandas() -> None:
    """The measuring process reads the definitions for the manifest: that loads none of the packages of the analysis."""
    heavy = "{'numpy', 'scipy', 'pandas', 'bench.stats'}"
    code = f"import sys, bench.core.results.metrics.registry; print({heavy} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


@pytest.mark.parametrize(
    "table", ["times", "costs", "costs in short", "loads", "clients", "checks", "floors", "calibration"]
)
def test_no_two_metrics_want_the_same_place(table: str) -> None:
    """Each table of the reports has its metrics in an order that the definitions say without a tie."""
    orders = [place.order for _, place in places(table)]
    assert orders
    assert orders == sorted(set(orders))
