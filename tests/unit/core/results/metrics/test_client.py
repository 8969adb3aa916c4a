"""CPU per event with its interval; and no mean without its median, anywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pandas as pd
import pytest

from bench.analysis.build import build
from bench.analysis.measured_cell import MeasuredCell
from bench.analysis.tables import RunFrames, load
from bench.core.results.metrics.client import CPU_PER_EVENT
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from tests.support.synthetic import Truth, make_run

STATISTICS = {"p50", "p90", "p95", "p99", "mean", "sum", "share", "slope", "hl", "rate", "level"}
ALONE = "streamed trials alone"


@pytest.fixture(scope="module")
def frames(tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    """A run of one cell with 36 pairs."""
    return load(make_run(tmp_path_factory.mktemp("runs") / "run"))


def cpu_rows(frames: RunFrames, **counts: Sequence[int | None]) -> tuple[Row, Row]:
    """Mean and median of the streamed trials, with these counts."""
    streamed = frames.trials[frames.trials["delivery"] == "streamed"]
    columns = {name: pd.array(list(values), dtype="Int64") for name, values in counts.items()}
    changed = replace(frames, trials=streamed.assign(**columns))
    cell = MeasuredCell(changed, frames.cells[0], pd.Series(dtype=float))
    mean, median = cell.cell_rows([CPU_PER_EVENT])
    return mean, median


def test_trials_measured_alone_give_an_interval(frames: RunFrames) -> None:
    """Long trials count for more in the mean, not in the median; both have an interval around them."""
    mean, median = cpu_rows(frames, cpu_ns=[20 * 2_000_000] * 35 + [2000 * 1_000_000], events=[20] * 35 + [2000])
    assert mean.estimate == pytest.approx(3400 / 2700)
    assert (mean.n, mean.note) == (36, ALONE)
    assert mean.low is not None
    assert mean.high is not None
    assert 1 <= mean.low < 3400 / 2700 < mean.high <= 2
    assert (median.estimate, median.low, median.high) == (2, 2, 2)


def test_few_trials_give_the_ratio_without_an_interval(frames: RunFrames) -> None:
    """Of twelve trials the ratio of the sums is still true, and the note says why it has no interval."""
    streamed = frames.trials[frames.trials["delivery"] == "streamed"]
    mean, median = cpu_rows(replace(frames, trials=streamed.iloc[:12]))
    assert type(mean.estimate) is float  # NumPy's does not go into JSON
    assert (mean.low, mean.high) == (None, None)
    assert mean.note == f"{ALONE}; interval n/a (n=12 < 20)"
    assert median.low is not None


def test_a_process_has_no_median(frames: RunFrames) -> None:
    """Where trials overlapped, the CPU is that of the process: a ratio, no interval, and no median with the reason."""
    mean, median = cpu_rows(frames, cpu_ns=[None] * 36, events=[60] * 36)
    assert mean.estimate == pytest.approx(720 / 2160)
    assert mean.low is None
    assert (median.estimate, median.note) == (None, "n/a (known of the whole process only)")


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Three cells: plain, one of which all streamed trials failed, and one at concurrency 8."""
    failed = Truth(scenario="refusal", fail={("streamed", number): "http_5xx" for number in range(36)})
    return build(make_run(tmp_path_factory.mktemp("runs") / "run", [Truth(), failed, Truth(target="b", load="c=8")]))


def test_no_mean_without_its_median(summary: Summary) -> None:
    """Every row with a mean has a p50 of the same metric, cell and delivery, be it the reason why it has none."""
    medians = {(row.key, row.delivery, row.metric) for row in summary.rows if row.statistic == "p50"}
    means = [row for row in summary.rows if row.statistic == "mean"]
    assert len(means) >= 3
    assert not [row.metric for row in means if (row.key, row.delivery, row.metric) not in medians]


def test_no_best_of_n(summary: Summary) -> None:
    """No row is a minimum, a maximum or a trimmed mean: the statistics are those that the columns name."""
    assert {row.statistic for row in summary.rows} <= STATISTICS


def test_every_estimate_lies_in_its_interval(summary: Summary) -> None:
    """Whatever the statistic: low ≤ estimate ≤ high, both ends or none, and no number goes without n."""
    for row in summary.rows:
        assert (row.low is None) == (row.high is None)
        if row.estimate is None:
            assert row.note
        elif row.low is not None and row.high is not None:
            assert row.n
            assert row.low <= row.estimate <= row.high, row
