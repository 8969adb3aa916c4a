"""Long runs: written and read in bounded memory, exact where it matters, and honest about samples of events."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from scipy import special

from bench.analysis.build import MOST_FAILURES, build
from bench.analysis.checks.lateness import every_beat, lateness
from bench.analysis.columns import MOST_EVENTS, choose_event_trials, read_trials, read_truth
from bench.analysis.tables import IN_FLIGHT, load
from bench.core.errors import BenchError
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from bench.records import journal as records
from bench.reports.markdown import render_markdown
from bench.reports.terminal.report import render_terminal
from bench.stats import intervals
from tests.support.large import Large, make_journal, make_large
from tests.support.synthetic import make_run

SMALL = Large(trials=2800, cells=2, rounds=7, tokens=12, beats=False)
OF_SINGLE_EVENTS = ("gap", "itl", "piece_gap", "mark.searched")


def test_many_rows_become_several_row_groups(tmp_path: Path) -> None:
    """A table is written group by group while the journal is read, in order and without a loss."""
    journal, rows = records.Journal(tmp_path), 10_000
    for line in range(50):
        seq = list(range(line * rows, (line + 1) * rows))
        journal.write({"pieces": {"trial_id": [line] * rows, "seq": seq}})
    journal.close()
    records.finish(tmp_path)
    with pq.ParquetFile(tmp_path / "pieces.parquet") as file:
        assert file.num_row_groups > 1
        assert file.read(columns=["seq"])["seq"].to_pylist() == list(range(50 * rows))


def test_a_journal_that_cannot_be_finished_leaves_no_files(tmp_path: Path) -> None:
    """Damage in the last line is found when all others were written: no half of a table stays, and the journal does."""
    make_journal(tmp_path / "run", Large(trials=56, cells=1, rounds=7, beats=False))
    with (tmp_path / "run" / records.JOURNAL).open("ab") as journal:
        journal.write(b'{"trials": {"trial_id": ["x"]}}\n')
    with pytest.raises(BenchError, match="damaged at or before line"):
        records.finish(tmp_path / "run")
    assert {path.name for path in (tmp_path / "run").iterdir()} == {"manifest.json", "plan.json", "journal.jsonl"}


def test_a_journal_and_its_parquet_give_the_same_summary(tmp_path: Path) -> None:
    """A killed run is read as the files that its journal would have become."""
    run = make_journal(tmp_path / "run", SMALL)
    killed = build(run)
    records.finish(run)
    assert build(run).rows == killed.rows


def test_trials_in_flight_are_known_from_their_starts(tmp_path: Path) -> None:
    """A plan of segments lists no trials; what was started and left no row is cancelled, in its own cell and phase."""
    large = Large(trials=2800, cells=2, rounds=7, in_flight=3, beats=False)
    frames = load(make_large(tmp_path / "run", large))
    lost = frames.trials[frames.trials["status"] == "cancelled"]
    assert lost.groupby(["cell", "delivery"]).size().unique().tolist() == [3 * 6]  # the seventh round is A/A
    assert set(lost["error"]) == {IN_FLIGHT}
    assert len(frames.aa[frames.aa["status"] == "cancelled"]) == 2 * 2 * 3
    assert len(frames.trials) + len(frames.aa) == large.trials


def test_a_start_without_a_cell_is_looked_up_in_the_plan(tmp_path: Path) -> None:
    """Runs of schema 1.2 say there what a trial in flight was; one that is in neither is refused."""
    run = make_run(tmp_path / "run", pairs=4, in_flight=2, finish=False)
    assert load(run).trials["status"].value_counts()["cancelled"] == 2
    with (run / records.JOURNAL).open("ab") as journal:
        journal.write(b'{"starts": {"trial_id": [4711], "t_start": [1]}}\n')
    with pytest.raises(BenchError, match="trial 4711 was started but is not in the plan"):
        load(run)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A run with the events of all its trials."""
    return build(make_large(tmp_path_factory.mktemp("whole") / "run", Large(**{**vars(SMALL), "stored": 1.0})))


@pytest.fixture(scope="module")
def sampled(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The same run with the events of one in ten of them."""
    return build(make_large(tmp_path_factory.mktemp("sampled") / "run", Large(**{**vars(SMALL), "stored": 0.1})))


def test_a_sample_of_events_changes_no_number_of_trials(whole: Summary, sampled: Summary) -> None:
    """Latencies, totals, pairs, failures and rates are of all trials, whatever share of the events was kept."""
    exact = [[row for row in one.rows if row.metric not in OF_SINGLE_EVENTS] for one in (whole, sampled)]
    assert exact[0] == exact[1]
    assert {"ttft", "ttfu", "total", "gain", "overhead", "failures"} <= {row.metric for row in exact[0]}


def test_numbers_of_single_events_say_that_they_are_of_a_sample(whole: Summary, sampled: Summary) -> None:
    """Gaps between deltas and pieces rest on the trials that were stored, and the note tells how many those are."""
    for metric in ("gap", "itl", "piece_gap"):
        for one, part in zip(_medians(whole, metric), _medians(sampled, metric), strict=True):
            assert part.n < one.n / 4
            assert f"from the events of {part.n} of {one.n:,} trials" in part.note
            assert "from the events" not in one.note
            assert part.estimate is not None
            assert one.estimate is not None
            assert abs(part.estimate / one.estimate - 1) < 0.2


def _medians(summary: Summary, metric: str) -> list[Row]:
    return [row for row in summary.rows if (row.metric, row.statistic) == (metric, "p50")]


def test_the_curve_by_length_says_that_it_is_of_a_sample(sampled: Summary) -> None:
    """A claim that looks at single events says of how many trials they are."""
    claim = next(claim for claim in sampled.claims if claim.name == "sooner")
    assert all("from the events of" in part.reason for part in claim.parts)


def test_without_an_event_there_is_no_gap(tmp_path: Path) -> None:
    """Where no trial's events were kept the numbers are n/a with the reason, not zero."""
    summary = build(make_large(tmp_path / "run", Large(**{**vars(SMALL), "stored": 0.0})))
    gaps = [row for row in summary.rows if row.metric in {"gap", "piece_gap"}]
    assert gaps
    for row in gaps:
        assert row.estimate is None
        assert "from the events of 0 of" in row.note


def test_of_too_many_events_a_sample_of_trials_is_read() -> None:
    """Every cell gets as much of what may be read; the choice is the same each time, and only of stored trials."""
    n = 100_000
    trials = pd.DataFrame(
        {
            "cell": np.arange(n) % 2,
            "phase": "measure",
            "delivery": "streamed",
            "stored": pd.array(np.arange(n) % 4 < 2, dtype="boolean"),
            "events": pd.array([60] * n, dtype="Int64"),
            "pieces": pd.array([None] * n, dtype="Int64"),
        }
    )
    chosen = choose_event_trials(trials, n * 60, seed=3)
    assert 0.95 * MOST_EVENTS < chosen.sum() * 60 <= MOST_EVENTS
    assert trials[chosen].groupby("cell").size().nunique() == 1
    assert trials.loc[chosen, "stored"].all()
    assert chosen.equals(choose_event_trials(trials, n * 60, seed=3))
    assert choose_event_trials(trials, MOST_EVENTS, seed=3).sum() == n // 2


def test_of_a_long_log_other_answers_are_only_counted(tmp_path: Path) -> None:
    """Of trials that are not looked at, the simulator's log keeps one row without its time, and their events go."""
    run = make_run(tmp_path / "run", pairs=6, warmup=0)
    frames = load(run)
    looked = frames.trials.index[[0, 2]]
    client_ids = frames.tables["attempts"].set_index("trial_id")["client_id"].loc[looked]
    with records.open_tables(run) as stored:
        events = read_trials("events", stored, looked, most=0)
        truth = read_truth(stored, client_ids, most=0)
    mine = truth["client_id"].isin(client_ids)
    assert set(events["trial_id"]) == set(looked)
    assert len(events) == 2 * 61
    assert (mine.sum(), truth.loc[mine, "t_sent"].notna().sum()) == (2 * 60, 2 * 60)
    assert (len(truth[~mine]), truth.loc[~mine, "t_sent"].notna().sum()) == (4, 0)


def test_a_million_failures_are_not_listed(tmp_path: Path) -> None:
    """The reports name a few failed trials, and say how many there are."""
    large = Large(trials=5600, cells=1, rounds=7, failed=0.9, beats=False)
    summary = build(make_large(tmp_path / "run", large))
    failed = sum(int(row.estimate or 0) for row in summary.rows if (row.metric, row.statistic) == ("failures", "sum"))
    assert len(summary.failures) == MOST_FAILURES < failed
    assert len(summary.failures) + summary.unlisted == failed
    assert f"… and {failed - 20} more, in `trials.parquet`" in render_markdown(summary)
    assert f"… and {failed - 3} more failures" in render_terminal(summary)
    assert len(render_markdown(summary)) < 60_000


def _slow_lateness(
    due: NDArray[np.float64], answered: NDArray[np.float64], start: NDArray[np.float64], end: NDArray[np.float64]
) -> tuple[list[float], list[float]]:
    """By looking at every beat and every trial."""
    lags: dict[int, float] = {}
    pauses = [0.0] * start.size
    for trial, (begun, ended) in enumerate(zip(start, end, strict=True)):
        for beat, (wanted, came) in enumerate(zip(due, answered, strict=True)):
            if came > begun and wanted < ended:
                inside = min(came, ended) - max(wanted, begun)
                lags[beat] = max(lags.get(beat, 0.0), inside)
                pauses[trial] = max(pauses[trial], inside)
    return [lags[beat] for beat in sorted(lags)], pauses


@pytest.mark.parametrize("seed", range(20))
def test_lateness_of_many_trials_is_that_of_each(seed: int) -> None:
    """Looking things up instead of walking over all trials finds the same pauses, at edges too."""
    rng = np.random.default_rng(seed)
    lag = rng.choice([0.0, 0.4, 9.0, 35.0, 10.0], 40)
    late = np.cumsum(10 * (1 + np.floor(lag / 10)))
    due, answered = every_beat(np.concatenate([[0.0], late[:-1]]) + lag, lag, 10)
    start = rng.integers(-2, 60, 15) * 10.0 if seed % 2 else rng.uniform(-20, 600, 15)
    start = np.asarray(start, dtype=np.float64)
    end = start + (rng.integers(0, 12, 15) * 10.0 if seed % 2 else rng.exponential(60, 15))
    found = lateness(due, answered, start, end)
    assert (found.lags.tolist(), found.pauses.tolist()) == _slow_lateness(due, answered, start, end)


@pytest.mark.parametrize(("n", "q"), [(36, 0.9), (400, 0.5), (5000, 0.99), (100_000, 0.5), (100_000, 0.999)])
def test_ranks_of_an_interval_are_those_of_the_whole_distribution(n: int, q: float) -> None:
    """The ends of an order-statistic interval are the same whether or not far tails are counted out."""
    cdf = special.bdtr(np.arange(n, dtype=float), n, q)
    values = np.random.default_rng(1).permutation(n).astype(float)
    e = intervals.quantile_ci(values, q)
    low, high = np.searchsorted(cdf, 0.025, side="right"), np.searchsorted(cdf, 0.975, side="left") + 1
    assert [e.value, e.low, e.high] == [float(rank - 1) for rank in (math.ceil(q * n - 1e-9), low, high)]
