"""Building a Summary from run folders with known truths: whole, partial, failing and damaged."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from bench import records
from bench.analysis.build import build
from bench.errors import BenchError
from bench.records import Journal, columns_of
from bench.summary import COLUMNS, Row, Summary
from tests.synthetic import BYTES_PER_TOKEN, Truth, make_run


def number(summary: Summary, delivery: str, metric: str, statistic: str, unit: str = "") -> Row:
    """A row of the first cell, which must be there."""
    row = summary.row(summary.cells[0], delivery, metric, statistic, unit)
    assert row is not None
    return row


def holds(row: Row, truth: float) -> bool:
    """Is the truth in the row's interval?"""
    return row.low is not None and row.high is not None and row.low <= truth <= row.high


def test_columns_of_the_public_format() -> None:
    """The columns of summary.csv are these, in this order."""
    names = (
        "scenario params api target model client load delivery metric unit statistic n failed estimate low high note"
    )
    assert names.split() == list(COLUMNS)


def test_known_truths_are_recovered(tmp_path: Path) -> None:
    """TTFU, gain, overhead, read lag and memory come out as the run was made, with the truth in each interval."""
    summary = build(make_run(tmp_path / "r", [Truth(slower_by=0.3, noise=0.01)], pairs=60))
    assert holds(number(summary, "streamed", "ttfu", "p50"), 120)
    assert holds(number(summary, "paired", "gain", "hl", "ms"), 300)
    assert holds(number(summary, "paired", "gain", "hl", "ratio"), 1 - 120 / 420)
    assert holds(number(summary, "paired", "overhead", "hl", "ratio"), 0.3)
    assert holds(number(summary, "paired", "overhead", "hl", "ms"), 126)
    assert number(summary, "streamed", "read_lag", "p50").estimate == pytest.approx(0.3)
    assert number(summary, "streamed", "mark.searched", "p50").estimate == pytest.approx(40, rel=0.02)
    for delivery, slope in BYTES_PER_TOKEN.items():
        row = summary.memory_row(summary.cells[0], delivery, "memory_slope")
        assert row is not None
        assert row.estimate == pytest.approx(slope, rel=1e-3)
    assert "the whole answer is slower (+" in summary.answer


def test_an_equal_total_is_not_called_slower(tmp_path: Path) -> None:
    """When both deliveries take as long, the verdict says so, and that the first useful output is sooner."""
    summary = build(make_run(tmp_path / "r", [Truth(noise=0.01)], pairs=100))
    assert "sooner; the whole answer takes the same time within 2 %" in summary.answer


def test_noise_leaves_the_verdict_open(tmp_path: Path) -> None:
    """When the interval includes 0 and more than 2 %, the verdict is that it cannot be told."""
    summary = build(make_run(tmp_path / "r", [Truth(noise=0.2)], pairs=12))
    assert "whether the whole answer is slower cannot be told" in summary.answer


def test_failures_are_offered_and_infinite(tmp_path: Path) -> None:
    """Four failures of 36 are in n, counted by class, and push the p90 to infinity while the median stays."""
    fail = {("blocking", pair): "http_429" for pair in range(4)}
    summary = build(make_run(tmp_path / "r", [Truth(fail=fail)]))
    p90 = number(summary, "blocking", "total", "p90")
    assert (p90.n, p90.failed, p90.estimate) == (36, 4, float("inf"))
    assert holds(number(summary, "blocking", "total", "p50"), 420)
    assert number(summary, "blocking", "failures.http_429", "sum").estimate == 4
    assert number(summary, "blocking", "attempts", "sum").estimate == 32 + 4 * 3
    assert number(summary, "blocking", "backoff", "sum").estimate == pytest.approx(4 * 900)
    assert "72 offered = 68 ok + 4 http_429" in summary.trust[0]
    assert summary.failures[0].client_id == f"{summary.failures[0].trial_id:08x}"


@pytest.mark.parametrize(("failures", "printed"), [(1, True), (2, False)])
def test_more_than_a_twentieth_excluded_is_not_enough(tmp_path: Path, failures: int, printed: bool) -> None:
    """One of 36 pairs may be missing, two may not: then no paired number is printed and the note says why."""
    fail = {("streamed", pair): "timeout" for pair in range(failures)}
    gain = number(build(make_run(tmp_path / "r", [Truth(fail=fail)])), "paired", "gain", "hl", "ms")
    assert (gain.estimate is not None) == printed
    assert printed or gain.note == "NOT ENOUGH DATA: 2 of 36 pairs excluded"


def test_unlike_work_is_shown_apart(tmp_path: Path) -> None:
    """Pairs with other answers are in neither gain nor overhead, and the cell says how many they are."""
    summary = build(make_run(tmp_path / "r", [Truth(unlike=frozenset(range(5)))]))
    assert number(summary, "paired", "overhead", "hl", "ms").n == 31
    assert summary.cells[0].notes[0].startswith("5 of 36 pairs did not do the same work")


def test_a_real_endpoint_may_vary_its_words(tmp_path: Path) -> None:
    """Off the simulator equal token counts are the same work; twice the tokens are not."""
    truth = Truth(target="t", host="h", simulated=False, unlike=frozenset({0}))
    assert number(build(make_run(tmp_path / "r", [truth])), "paired", "gain", "hl", "ms").n == 35


def test_warm_up_is_in_no_figure(tmp_path: Path) -> None:
    """Warm-up trials are counted apart and nowhere else."""
    summary = build(make_run(tmp_path / "r", warmup=3, pairs=10))
    assert number(summary, "streamed", "total", "p50").n == 10
    assert summary.trust[0] == "20 offered = 20 ok; warm-up trials, in no figure: 6"


def test_a_killed_run_builds(tmp_path: Path) -> None:
    """From the journal alone; the trials in flight are cancelled, and the report says that it is partial."""
    run = make_run(tmp_path / "r", pairs=30, in_flight=3, finish=False, manifest={"ended": None})
    with (run / records.JOURNAL).open("ab") as journal:
        journal.write(b'{"trials": {"trial_id": [')
    summary = build(run)
    assert summary.trust[0].startswith("60 offered = 57 ok + 3 cancelled")
    assert summary.trust[1].startswith("PARTIAL RUN: it was killed")
    assert {failure.error for failure in summary.failures} == {"run ended while it was in flight"}


def test_a_run_of_one_delivery_has_no_pairs(tmp_path: Path) -> None:
    """With --delivery streamed there is no paired row, and the answer is the medians."""
    summary = build(make_run(tmp_path / "r", deliveries=["streamed"]))
    assert {row.delivery for row in summary.rows} == {"streamed"}
    assert summary.answer.startswith("No pairs, so no comparison: first useful output after 1")


def test_a_cell_without_any_success_builds(tmp_path: Path) -> None:
    """Every latency is infinite, every paired number n/a, and nothing is made up."""
    fail = {(delivery, pair): "connect" for delivery in ("streamed", "blocking") for pair in range(36)}
    summary = build(make_run(tmp_path / "r", [Truth(fail=fail)], memory=False))
    assert number(summary, "streamed", "ttfu", "p50").estimate == float("inf")
    assert number(summary, "paired", "gain", "hl", "ms").estimate is None
    assert number(summary, "streamed", "tpot", "p50").estimate is None
    assert summary.answer == "No comparison: NOT ENOUGH DATA: 36 of 36 pairs excluded."


@pytest.mark.parametrize(
    ("useful", "sentence"),
    [((100, 200), "t/a is the fastest streamed"), ((100, 100), "cannot tell apart which is fastest")],
)
def test_models_are_ranked_only_when_apart(tmp_path: Path, useful: Sequence[float], sentence: str) -> None:
    """The fastest model is named only when the intervals of the medians do not overlap."""
    place = {"target": "t", "host": "h", "simulated": False}
    cells = [Truth(model=model, useful_ms=ms, **place) for model, ms in zip("ab", useful, strict=True)]  # type: ignore[arg-type]
    assert sentence in build(make_run(tmp_path / "r", cells)).answer


def test_orphans_make_a_cell_invalid(tmp_path: Path) -> None:
    """A request that belongs to no trial takes the verdict away."""
    run = make_run(tmp_path / "r", finish=False)
    journal = Journal(run)
    journal.write({"cells": columns_of("cells", [{"cell": 0, "cpu_ns": 0, "wall_ns": 0, "events": 0, "orphans": 2}])})
    journal.close()
    summary = build(run)
    assert summary.cells[0].verdict == "INVALID: 2 requests belonged to no trial; no verdict."
    assert summary.answer == "No verdict: no cell of this run is valid."


def test_control_characters_of_a_server_stay_out(tmp_path: Path) -> None:
    """An escape sequence in an error message reaches no report."""
    summary = build(make_run(tmp_path / "r", [Truth(fail={("streamed", 0): "malformed"}, error="\x1b[2Jbad\n")]))
    assert summary.failures[0].error == " [2Jbad "


def _journal(run: Path, rows: records.Rows) -> None:
    journal = Journal(run)
    journal.write(rows)
    journal.close()


def test_a_result_without_a_start_is_refused(tmp_path: Path) -> None:
    """When the figures would not add up, there is no report."""
    run = make_run(tmp_path / "r", pairs=2, finish=False)
    _journal(run, {"trials": columns_of("trials", [{"trial_id": 999, "status": "ok"}])})
    with pytest.raises(BenchError, match=r"trial 999 has a result but no journalled start.*no report is built"):
        build(run)


def test_a_second_result_is_refused(tmp_path: Path) -> None:
    """A trial that ended twice is not counted twice: the report refuses."""
    run = make_run(tmp_path / "r", pairs=2, finish=False)
    _journal(run, {"trials": columns_of("trials", [{"trial_id": 3, "status": "ok"}])})
    with pytest.raises(BenchError, match="trial 3 has two results"):
        build(run)


def test_an_unknown_status_is_refused(tmp_path: Path) -> None:
    """A status of no known class cannot be added up."""
    run = make_run(tmp_path / "r", [Truth(fail={("streamed", 0): "odd"})], pairs=2)
    with pytest.raises(BenchError, match="has no status that this version knows"):
        build(run)


@pytest.mark.parametrize(
    ("file", "content", "message"),
    [
        ("manifest.json", json.dumps({"schema_version": "9.0"}), "schema version 9.0"),
        ("manifest.json", "{", "manifest.json: cannot be read"),
        ("plan.json", json.dumps({"seed": 1, "cells": []}), r"plan.json: damaged \(trials missing\)"),
        (
            "plan.json",
            json.dumps({"seed": 1, "cells": [{"cell": 0}], "trials": {}}),
            "plan.json: damaged .api, client, host",
        ),
        ("plan.json", json.dumps({"seed": 1, "cells": [], "trials": {}}), r"plan.json: damaged \(trials: "),
        ("trials.parquet", "PAR1", "trials.parquet: damaged"),
    ],
)
def test_damaged_folders_give_one_line(tmp_path: Path, file: str, content: str, message: str) -> None:
    """A file that is cut, foreign or of another schema is named in one line."""
    run = make_run(tmp_path / "r", pairs=2)
    (run / file).write_text(content)
    with pytest.raises(BenchError, match=message) as caught:
        build(run)
    assert "\n" not in str(caught.value)
