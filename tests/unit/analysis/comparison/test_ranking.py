"""Targets and models of one run beside each other: which is fastest, and what differs from the baseline."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.build import build
from bench.core.errors import BenchError
from bench.core.results.comparison import Change, Comparison
from bench.core.results.row import CellKey
from bench.core.results.summary import Summary
from bench.plan.baseline import check_named
from bench.reports.markdown import render_markdown
from bench.reports.tables import changes as words
from bench.reports.terminal.report import render_terminal
from tests.support.synthetic import Truth, make_run

REAL: dict[str, Any] = {"host": "h", "simulated": False}


def run(folder: Path, cells: Sequence[Truth], baseline: dict[str, str | None] | None = None, **more: Any) -> Summary:
    """The summary of a run of these cells."""
    return build(make_run(folder / "r", cells, memory=False, manifest={"baseline": baseline}, **more))


def models(*useful: float, **more: Any) -> list[Truth]:
    """Models m0, m1, … of one target with these times to the first useful output."""
    return [Truth(model=f"m{i}", useful_ms=ms, **{**REAL, "target": "t", **more}) for i, ms in enumerate(useful)]


def one(comparison: Comparison, metric: str, statistic: str = "p50", delivery: str = "streamed") -> Change:
    """The change of a number."""
    (found,) = (c for c in comparison.changes if (c.metric, c.statistic, c.delivery) == (metric, statistic, delivery))
    return found


def test_the_fastest_by_median(tmp_path: Path) -> None:
    """Entries stand in the order of their medians; the others are behind the first, pair by pair."""
    (ranking,) = run(tmp_path, models(200, 100, 150)).rankings
    assert [entry.name for entry in ranking.entries] == ["m1", "m2", "m0"]
    assert [len(entry.behind) for entry in ranking.entries] == [0, 2, 2]
    first = ranking.entries[1].behind[0]
    assert (first.metric, first.method, first.n) == ("ttfu", "paired", 36)
    assert first.ratio == pytest.approx(0.5, abs=0.03)
    assert ranking.sentence.startswith("Fastest streamed is m1, first useful output after ")
    assert "; m2, the next, takes " in ranking.sentence


def test_a_tie_is_no_victory(tmp_path: Path) -> None:
    """Models that chance may have put in this order cannot be told apart; the slower one is not among them."""
    (ranking,) = run(tmp_path, models(100, 100, 150)).rankings
    assert ranking.sentence.startswith("Cannot tell apart which is fastest streamed by the first useful output (m")
    assert "m2" not in ranking.sentence


def test_no_median_no_ranking(tmp_path: Path) -> None:
    """With too few pairs nobody is fastest."""
    (ranking,) = run(tmp_path, models(100, 200), pairs=4).rankings
    assert ranking.sentence == "Which is fastest streamed cannot be said (a median is missing)"


def test_one_target_is_not_ranked(tmp_path: Path) -> None:
    """Scenarios are no rivals of each other."""
    assert run(tmp_path, [Truth(), Truth(scenario="other")]).rankings == ()


def test_targets_with_models_of_their_own(tmp_path: Path) -> None:
    """What tells the rivals apart is in their names."""
    cells = [Truth(target=name, model=f"m-{name}", useful_ms=ms, **REAL) for name, ms in (("a", 100), ("b", 200))]
    (ranking,) = run(tmp_path, cells).rankings
    assert [entry.name for entry in ranking.entries] == ["a/m-a", "b/m-b"]


def test_pairs_take_out_what_hits_both(tmp_path: Path) -> None:
    """A drift of 50 % over the run widens the unpaired interval, not that of pairs that met the same minute."""
    (found,) = run(tmp_path, models(100, 110, noise=0.01, drift=0.5), {"target": None, "model": "m0"}).comparisons
    paired, unpaired = one(found, "ttft"), one(found, "ttft", "p90")
    assert (paired.method, unpaired.method) == ("paired", "unpaired")
    assert paired.ratio == pytest.approx(0.1, abs=0.01)
    assert 0.08 < (paired.low or 0) < (paired.high or 0) < 0.12


def test_in_run_comparison(tmp_path: Path) -> None:
    """Every other target is beside the baseline; labels are without the names of the sides."""
    cells = [Truth(target=name, useful_ms=ms, **REAL) for name, ms in (("stable", 100), ("new", 120), ("old", 150))]
    summary = run(tmp_path, cells, {"target": "stable", "model": None})
    assert [(c.kind, c.baseline.name, c.current.name) for c in summary.comparisons] == [
        ("within", "stable", "new"),
        ("within", "stable", "old"),
    ]
    changes = [one(found, "ttft") for found in summary.comparisons]
    assert [change.label for change in changes] == ["text", "text"]
    assert [change.ratio for change in changes] == [pytest.approx(0.2, abs=0.03), pytest.approx(0.5, abs=0.03)]
    assert one(summary.comparisons[0], "total", delivery="blocking").method == "paired"
    report = render_markdown(summary)
    assert "## new against stable, within this run" in report
    assert words.change_text(changes[0]) in report


def test_another_baseline_for_a_report(tmp_path: Path) -> None:
    """`bench report` may choose another one than the run did; a wrong name is an error with the nearest."""
    folder = make_run(
        tmp_path / "r", models(100, 200), memory=False, manifest={"baseline": {"model": "m0", "target": None}}
    )
    (found,) = build(folder, {"model": "m1", "target": None}).comparisons
    assert (found.baseline.name, found.current.name) == ("m1", "m0")
    with pytest.raises(BenchError, match=r"--baseline-model: unknown model 'm3': known: m0, m1"):
        build(folder, {"model": "m3", "target": None})
    with pytest.raises(BenchError, match="--baseline-target t: there is no other target to compare with it"):
        build(folder, {"model": None, "target": "t"})


def test_an_open_model_may_be_any() -> None:
    """Before an endpoint has said its model, a name may be right; afterwards it is not."""
    keys = [CellKey("text", "", "responses", "t", "(none given)", "sdk", "c=1")]
    check_named({"target": None, "model": "m"}, keys, open_model="(none given)")
    with pytest.raises(BenchError, match="--baseline-model: unknown model 'm'"):
        check_named({"target": None, "model": "m"}, keys)


def test_failed_pairs_are_left_out_and_counted(tmp_path: Path) -> None:
    """One failed trial leaves a pair less; more than one in twenty leave no number."""
    few = models(100, 120)
    few[1] = Truth(**{**few[1].__dict__, "fail": {("streamed", 3): "timeout"}})
    (found,) = run(tmp_path, few, {"target": None, "model": "m0"}).comparisons
    assert one(found, "ttft").n == 35
    many = Truth(**{**few[1].__dict__, "fail": {("streamed", pair): "timeout" for pair in range(4)}})
    (found,) = run(tmp_path / "more", [few[0], many], {"target": None, "model": "m0"}).comparisons
    assert one(found, "ttft").ratio is None
    assert one(found, "ttft").note == "n/a (NOT ENOUGH DATA: 4 of 36 pairs excluded)"


def test_answers_of_other_lengths_are_said(tmp_path: Path) -> None:
    """A model that writes more takes longer for the whole: beside its total stands why."""
    cells = [Truth(model="short", tokens=60, **REAL, target="t"), Truth(model="long", tokens=90, **REAL, target="t")]
    (found,) = run(tmp_path, cells, {"target": None, "model": "short"}).comparisons
    assert one(found, "total").note == "answers of other lengths: 60, then 90 output tokens (mean)"
    assert one(found, "ttft").note == ""


def test_under_load_it_is_unpaired(tmp_path: Path) -> None:
    """There the cells run in segments one after the other: no pairs, and the comparison says so."""
    summary = run(tmp_path, models(100, 120, load="c=8"), {"target": None, "model": "m0"})
    (found,) = summary.comparisons
    assert "m1 compared with m0 (unpaired)" in render_terminal(summary)
    assert one(found, "ttft").method == "unpaired"
    assert any(mark.startswith("under load the cells run one after the other") for mark in found.watermarks)
