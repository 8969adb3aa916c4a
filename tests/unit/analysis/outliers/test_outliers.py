"""Trials far from the others: found by Tukey's fences, with what was seen at the same time."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.build import build
from bench.analysis.outliers import outliers as fences
from bench.analysis.outliers.outliers import MILD, SEVERE, above_fence, outliers
from bench.analysis.tables import load
from bench.core.results.summary import Outlier
from tests.support.synthetic import Truth, make_run

EVEN = Truth(stamped=True)


def listed(tmp_path: Path, truth: Truth, pairs: int = 40) -> list[Outlier]:
    """Of a run of one cell; those that nobody planted are mild ones of its noise."""
    frames = load(make_run(tmp_path / "run", [truth], pairs=pairs, memory=False))
    return list(outliers(frames, {0: "text"})[0])


def severe(tmp_path: Path, truth: Truth) -> Outlier:
    """The only one beyond the outer fence."""
    (found,) = [one for one in listed(tmp_path, truth) if one.severe]
    return found


def planted(pair: int) -> int:
    """Trial id of the streamed trial of this pair: one pair of warm-up, two trials each."""
    return 2 * (pair + 1)


def test_a_planted_outlier_is_found_and_nothing_is_made_up(tmp_path: Path) -> None:
    """It is named with its cell, its ids, its time and the median; where nothing was seen, no cause is said."""
    found = severe(tmp_path, replace(EVEN, slow={7: 1.0}))
    assert (found.trial_id, found.cell, found.delivery) == (planted(7), "text", "streamed")
    assert found.ms == pytest.approx(2 * found.median, rel=0.1)
    assert found.cause == ""
    assert found.server_id == f"req_{found.client_id}" == f"req_{planted(7):08x}"


@pytest.mark.parametrize(
    ("truth", "cause"),
    [
        (replace(EVEN, stalled={7: 300.0}), "stalled for 300 ms"),
        (replace(EVEN, backoff={7: 1234.0}), "1 retry after 1234 ms of back-off"),
        (replace(EVEN, longer=frozenset({7})), "a longer answer (120 tokens, median 60)"),
        (replace(EVEN, new_connection=frozenset({7}), slow={7: 0.3}), "a new connection (41 ms)"),
        (replace(EVEN, loop_lag_ms=0.2, pauses={7: 90.0}, slow={7: 0.5}), "the event loop was 90 ms late"),
        (replace(EVEN, collected={7: 80.0}, slow={7: 0.5}), "garbage collection took 80 ms"),
        (replace(EVEN, begun_late={7: 60.0}, slow={7: 0.5}), "begun 60 ms late"),
    ],
)
def test_the_cause_is_what_was_seen_at_the_same_time(tmp_path: Path, truth: Truth, cause: str) -> None:
    """Each thing that a run records and that delays a trial is told where it happened, with its size."""
    found = severe(tmp_path, truth)
    assert (found.trial_id, found.cause) == (planted(7), cause)


def test_several_causes_are_all_told(tmp_path: Path) -> None:
    """Joined by commas."""
    found = severe(tmp_path, replace(EVEN, backoff={7: 100.0}, stalled={7: 900.0}))
    assert found.cause == "1 retry after 100 ms of back-off, stalled for 900 ms"


def test_the_first_trial_of_a_cell_is_called_so(tmp_path: Path) -> None:
    """Caches and connections are cold then."""
    assert severe(tmp_path, replace(EVEN, slow={0: 1.0})).cause == "the first trial of its cell"


def test_what_all_trials_met_is_no_cause(tmp_path: Path) -> None:
    """Where every trial opens a connection, that makes none slower than the others."""
    truth = replace(EVEN, new_connection=frozenset(range(40)), slow={7: 0.5})
    assert severe(tmp_path, truth).cause == ""


def test_what_took_next_to_nothing_is_no_cause(tmp_path: Path) -> None:
    """A pause of 8 ms does not explain 400 ms."""
    assert severe(tmp_path, replace(EVEN, collected={7: 8.0}, slow={7: 1.0})).cause == ""


def test_what_came_after_the_first_token_did_not_delay_it(tmp_path: Path) -> None:
    """A trial late from the start is listed for its TTFT; its stall came later."""
    truth = replace(EVEN, tokens=8, token_ms=40, noise=0.05, slow={7: 1.0})
    found = severe(tmp_path, replace(truth, stalled={7: 60.0}))
    assert found.metric == "total"
    first = severe(tmp_path / "other", replace(truth, backoff={7: 800.0}, slow={}))
    assert first.metric == "ttft"


def test_a_trial_is_listed_once_and_the_farthest_first(tmp_path: Path) -> None:
    """A slow trial is late in TTFT and total, and has one line."""
    found = listed(tmp_path, replace(EVEN, slow={7: 1.0, 9: 3.0}))
    ids = [one.trial_id for one in found]
    assert ids[:2] == [planted(9), planted(7)]
    assert len(ids) == len(set(ids))


def test_failed_trials_are_no_outliers(tmp_path: Path) -> None:
    """They have a list of their own."""
    found = listed(tmp_path, replace(EVEN, slow={7: 1.0}, fail={("streamed", 7): "timeout"}))
    assert planted(7) not in {one.trial_id for one in found}


def test_few_trials_have_no_outliers(tmp_path: Path) -> None:
    """Of 19 nothing is said, of 20 it is."""
    truth = replace(EVEN, slow={7: 1.0})
    assert listed(tmp_path / "few", truth, pairs=19) == []
    assert planted(7) in {one.trial_id for one in listed(tmp_path / "enough", truth, pairs=20)}


def test_normal_samples_have_few() -> None:
    """Of a normal law 0.35 % lie beyond the inner fence and 1 in 850,000 beyond the outer one; only late ones count."""
    values = pd.Series(np.random.default_rng(3).normal(100, 10, 1000))
    found = above_fence(values, 0, "streamed", "total")
    assert 0 < len(found) <= 12
    assert (found["ms"] > found["median"]).all()
    assert found["distance"].between(MILD, SEVERE).all()


def test_without_a_scale_there_are_no_outliers() -> None:
    """Where most trials took equally long, nothing says how far is far."""
    assert above_fence(pd.Series([5.0] * 30 + [6.0]), 0, "streamed", "total").empty


def test_a_long_list_is_cut_and_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The farthest stay; how many more there are is counted."""
    run = make_run(tmp_path / "run", [replace(EVEN, slow={7: 1.0, 9: 3.0, 11: 2.0})], pairs=40, memory=False)
    whole, none = outliers(load(run), {0: "text"})
    monkeypatch.setattr(fences, "MOST_OUTLIERS", 2)
    some, unlisted = outliers(load(run), {0: "text"})
    assert none == 0
    assert some == whole[:2]
    assert unlisted == len(whole) - 2


def test_the_summary_has_them(tmp_path: Path) -> None:
    """Under the label of their cell."""
    cells = [EVEN, replace(EVEN, scenario="other", slow={7: 1.0})]
    summary = build(make_run(tmp_path / "run", cells, pairs=40))
    assert summary.outliers[0].cell == "other"
    assert summary.outliers_unlisted == 0
