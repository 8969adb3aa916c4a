"""The acceptance test of the whole instrument: what is injected is found, and where nothing is, nothing is found.

Each run is `bench run` on the simulator with the scenarios of tests/support/truths.py; the figures are those of its
report.
The noise of the times comes from the seed, so an interval that holds the truth once holds it again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import pandas as pd
import pytest

from bench.core.errors import RunInvalid
from tests.support.cli import bench, only_run
from tests.support.paths import ROOT
from tests.support.truths import DRIFT, FAILURES, LEAK, OVERHEAD, STALL_MS

pytestmark = [pytest.mark.slow, pytest.mark.alone]

PLUGIN = ROOT / "tests" / "support" / "truths.py"
RESOLUTION_MS = 1.0
"""Of the simulator's timers."""
GREW = "from the start of the run to its end"
"""What a report says of times only where they changed."""
STILL = 0.02
"""A difference below this is none."""


@dataclass(frozen=True)
class Report:
    """What a run says."""

    run: Path
    summary: Mapping[str, Any]

    def row(self, scenario: str, delivery: str, metric: str, statistic: str, unit: str = "") -> dict[str, Any]:
        """The only row of that name."""
        wanted = (scenario, delivery, metric, statistic)
        rows = cast("list[dict[str, Any]]", self.summary["rows"])
        (found,) = [
            row
            for row in rows
            if (row["scenario"], row["delivery"], row["metric"], row["statistic"]) == wanted
            and unit in {"", row["unit"]}
        ]
        return found

    @property
    def said(self) -> str:
        """What stands before the numbers."""
        trust = cast("dict[str, Any]", self.summary["trust"])
        return " ".join([trust["sentence"], *trust["lines"]])

    def table(self, name: str) -> pd.DataFrame:
        """Records of the run, of measured trials where they belong to trials."""
        frame = pd.read_parquet(self.run / f"{name}.parquet")
        if "trial_id" not in frame:
            return frame
        trials = pd.read_parquet(self.run / "trials.parquet")
        return frame[frame["trial_id"].isin(trials["trial_id"][trials["phase"] == "measure"])]


def report(folder: Path, *arguments: str) -> Report:
    """Run the scenarios; what their report says. Once more where it says that other processes were in the way."""
    for turn in ("first", "second"):
        (folder / turn).mkdir()
        done = bench("run", "--plugin", PLUGIN, *arguments, "--seed", "1", cwd=folder / turn)
        if done.returncode != RunInvalid.exit_code or "busy" not in done.stderr:
            break
    assert done.returncode == 0, done.stderr
    run = only_run(folder / turn)
    return Report(run, json.loads((run / "summary.json").read_bytes()))


def holds(row: Mapping[str, Any], truth: float, margin: float = 0.0) -> bool:
    """Whether the truth is within the row's interval, widened by the margin."""
    return bool(row["low"] - margin <= truth <= row["high"] + margin)


@pytest.fixture(scope="module")
def paired(tmp_path_factory: pytest.TempPathFactory) -> Report:
    """A stall, an overhead, and neither."""
    names = ("plain", "stalled", "slower")
    return report(tmp_path_factory.mktemp("paired"), *names, "--pairs", "24", "--no-memory")


def test_a_stall(paired: Report) -> None:
    """A pause of 50 ms in each stream is found, as long as the simulator's own log says it was; none without it."""
    found = paired.row("stalled", "streamed", "stall_ms", "p50")
    assert holds(found, STALL_MS, RESOLUTION_MS)
    assert holds(found, true_stall(paired))
    assert found["high"] - found["low"] < STALL_MS / 5
    assert paired.row("stalled", "streamed", "stalls", "sum")["estimate"] >= 0.9 * found["n"]
    none = paired.row("plain", "streamed", "stall_ms", "p50")
    assert (none["estimate"], none["low"], none["high"]) == (0, 0, 0)


def true_stall(report: Report) -> float:
    """By the send log, the median over the streams of how much their longest gap exceeds their median one, in ms."""
    attempts, trials = report.table("attempts"), report.table("trials")
    mine = trials[(trials["scenario"] == "stalled") & (trials["delivery"] == "streamed")]
    ids = attempts["client_id"][attempts["trial_id"].isin(mine["trial_id"])]
    frames = report.table("truth").sort_values(["client_id", "frame"])
    deltas = frames[frames["client_id"].isin(ids) & (frames["type"] == "response.output_text.delta")]
    gaps = deltas.groupby("client_id")["t_sent"].diff().groupby(deltas["client_id"])
    return float(((gaps.max() - gaps.median()) / 1e6).median())


def test_an_overhead(paired: Report) -> None:
    """Streaming that takes 30 % longer is found to; without that the same time within 2 %."""
    assert holds(paired.row("slower", "paired", "overhead", "hl", "ratio"), OVERHEAD)
    assert not holds(paired.row("slower", "paired", "overhead", "hl", "ratio"), 0)
    none = paired.row("plain", "paired", "overhead", "hl", "ratio")
    assert abs(none["estimate"]) < STILL
    assert not holds(none, OVERHEAD)


def test_failures(tmp_path: Path, paired: Report) -> None:
    """Of 240 calls 2 % fail: just those that the simulator let fail, the share inside of the interval; else none."""
    found = report(tmp_path, "failing", "--pairs", "120", "--max-retries", "0", "--no-memory", "--no-self-check")
    injected = injected_failures(found)
    for delivery in ("streamed", "blocking"):
        assert found.row("failing", delivery, "failures", "sum")["estimate"] == injected.get(delivery, 0)
        assert found.row("failing", delivery, "failures.http_5xx", "sum")["estimate"] == injected.get(delivery, 0)
        share = found.row("failing", delivery, "failures", "share")
        assert holds(share, FAILURES)
        assert not holds(share, 0)
        assert paired.row("plain", delivery, "failures", "sum")["estimate"] == 0
        assert paired.row("plain", delivery, "failures", "share")["low"] == 0


def injected_failures(report: Report) -> pd.Series[int]:
    """By the send log: responses of measured trials that were let fail, by delivery."""
    faults = report.table("truth").drop_duplicates("client_id")[["client_id", "fault"]]
    sent = report.table("attempts")[["trial_id", "client_id"]].merge(faults, on="client_id")
    trials = report.table("trials")[["trial_id", "delivery"]]
    return sent[sent["fault"] == "500"].merge(trials, on="trial_id").groupby("delivery").size()


def test_a_leak(tmp_path: Path) -> None:
    """100 bytes a token that a stream keeps are found on top of what the SDK itself needs; none without them."""
    short = ["--pairs", "6", "--warmup", "1", "--profile", "flood", "--output-tokens", "20"]
    found = report(tmp_path, "leaking", "tight", *short)
    leaking, tight = (found.row(name, "streamed", "memory_slope", "slope") for name in ("leaking", "tight"))
    difference = {"low": leaking["low"] - tight["high"], "high": leaking["high"] - tight["low"]}
    assert holds(difference, LEAK)
    assert not holds(difference, 0)
    assert not holds(tight, LEAK)


def test_a_drift(tmp_path: Path, paired: Report) -> None:
    """Times that grow by 10 % from the first prompt to the last are found to, and the report says so; else not."""
    found = report(tmp_path, "drifting", "--pairs", "36", "--no-memory", "--no-self-check")
    row = found.row("drifting", "paired", "trend", "slope")
    assert holds(row, DRIFT)
    assert not holds(row, 0)
    assert GREW in found.said
    assert GREW not in paired.said
