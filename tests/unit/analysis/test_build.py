"""Building a Summary from run folders with known truths: whole, partial, failing and damaged."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from bench.analysis.build import build
from bench.analysis.pairs import did_same_work
from bench.analysis.verdicts.answer import NOT_TRUSTED
from bench.analysis.wording import with_interval
from bench.core.errors import BenchError
from bench.core.results.row import COLUMNS, Row
from bench.core.results.summary import Summary
from bench.records import journal as records
from bench.records.journal import Journal, columns_of
from bench.reports.tables.times import footnotes
from tests.support.synthetic import BYTES_PER_TOKEN, Truth, make_run


def number(summary: Summary, delivery: str, metric: str, statistic: str, unit: str = "") -> Row:
    """A row of the first cell, which must be there."""
    row = summary.row(summary.cells[0], delivery, metric, statistic, unit)
    assert row is not None
    return row


def holds(row: Row, truth: float) -> bool:
    """Whether the row's interval holds the truth."""
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
    assert "the whole answer is slower (+" in summary.cells[0].verdict


def test_an_equal_total_is_not_called_slower(tmp_path: Path) -> None:
    """When both deliveries take as long, the verdict says so, and that the first useful output is sooner."""
    summary = build(make_run(tmp_path / "r", [Truth(noise=0.01)], pairs=100))
    assert "sooner; the whole answer takes the same time within 2 %" in summary.cells[0].verdict


def test_noise_leaves_the_verdict_open(tmp_path: Path) -> None:
    """When the interval includes 0 and more than 2 %, the verdict is that it cannot be told."""
    summary = build(make_run(tmp_path / "r", [Truth(noise=0.2)], pairs=12))
    assert "whether the whole answer is slower cannot be told" in summary.cells[0].verdict


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
    assert "72 offered = 68 ok + 4 http_429" in summary.trust.lines[0]
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


def test_no_tokens_are_no_likeness() -> None:
    """Other answers are not the same work because the server counted 0 tokens of both, or of one."""
    columns = {"result_sha256_s": ["a"] * 4, "result_sha256_b": ["a", "b", "b", "b"]}
    counts = {"output_tokens_s": [0, 0, 0, 50], "output_tokens_b": [0, 0, 50, 50]}
    pairs = pd.DataFrame({**columns, **{name: pd.array(values, dtype="Int64") for name, values in counts.items()}})
    assert did_same_work(pairs, simulated=False).tolist() == [True, False, False, True]


NEVER = "6 of 12 ok answers never gave anything useful"


def test_nothing_useful_is_infinite(tmp_path: Path) -> None:
    """Six of twelve ok answers without a useful piece are ∞ in TTFU, and the notes say so and never call it failure."""
    summary = build(make_run(tmp_path / "r", [Truth(useless=frozenset(range(6)))], pairs=12))
    useful = number(summary, "streamed", "ttfu", "p50")
    assert (useful.n, useful.failed, useful.high) == (12, 0, float("inf"))
    assert useful.note.startswith(NEVER)
    assert summary.cells[0].first_useful.offered == 12
    notes = list(footnotes(summary, summary.cells[0]))
    assert [note for note in notes if note.startswith(NEVER)]
    assert "a trial failed" not in "".join(notes)


def test_nothing_useful_at_all(tmp_path: Path) -> None:
    """When no answer ever gave anything useful the median is ∞, not missing, and no failure is made up for it."""
    summary = build(make_run(tmp_path / "r", [Truth(useless=frozenset(range(12)))], pairs=12))
    assert with_interval(number(summary, "streamed", "ttfu", "p50")) == "∞ [∞, ∞]"
    assert number(summary, "streamed", "total", "p50").estimate == pytest.approx(420, rel=0.05)


def test_excluded_pairs_say_why(tmp_path: Path) -> None:
    """A pair without a useful piece and one with a failed trial are excluded for their own reasons."""
    truth = Truth(useless=frozenset({0}), fail={("blocking", 1): "timeout"})
    assert build(make_run(tmp_path / "r", [truth], pairs=60)).cells[0].notes[:2] == (
        "1 of 60 pairs excluded (a trial failed)",
        "1 of 60 pairs excluded (nothing useful came)",
    )


def test_trials_without_a_mark_are_left_out_and_said(tmp_path: Path) -> None:
    """Reasoning-only answers are in no TTFT visible, and the report says how many they were."""
    summary = build(make_run(tmp_path / "r", [Truth(invisible=frozenset({3, 4}))]))
    assert number(summary, "streamed", "ttft_visible", "p50").n == 34
    assert "ttft_visible: 2 of 36 ok trials had none: left out" in list(footnotes(summary, summary.cells[0]))


def test_an_answer_in_one_read_has_no_tpot(tmp_path: Path) -> None:
    """TPOT of answers that came all at once is n/a with the reason, not 0.0."""
    tpot = number(build(make_run(tmp_path / "r", [Truth(token_ms=0)], pairs=12)), "streamed", "tpot", "p50")
    assert (tpot.estimate, tpot.note) == (None, "n/a (first and last token came in one read)")


def test_a_loss_has_its_interval_in_order(tmp_path: Path) -> None:
    """When the useful piece comes later than the blocking answer, by how much is positive and its interval ascends."""
    summary = build(make_run(tmp_path / "r", [Truth(useful_last=True, slower_by=0.1)]))
    found = re.search(
        r"later than the blocking answer \(by ([\d.]+) ms \[([\d.]+), ([\d.]+)\]\)", summary.cells[0].verdict
    )
    assert found, summary.cells[0].verdict
    estimate, low, high = map(float, found.groups())
    assert low < estimate < high


def test_warm_up_is_in_no_figure(tmp_path: Path) -> None:
    """Warm-up trials are counted apart and nowhere else."""
    summary = build(make_run(tmp_path / "r", warmup=3, pairs=10))
    assert number(summary, "streamed", "total", "p50").n == 10
    assert summary.trust.lines[0] == "20 offered = 20 ok; warm-up trials, in no figure: 6"


def test_a_killed_run_builds(tmp_path: Path) -> None:
    """From the journal alone; the trials in flight are cancelled, and the report says that it is partial."""
    run = make_run(tmp_path / "r", pairs=30, in_flight=3, finish=False, manifest={"ended": None})
    with (run / records.JOURNAL).open("ab") as journal:
        journal.write(b'{"trials": {"trial_id": [')
    summary = build(run)
    assert summary.trust.lines[0].startswith("60 offered = 57 ok + 3 cancelled")
    assert summary.trust.lines[1].startswith("PARTIAL RUN: it was killed")
    assert {failure.error for failure in summary.failures} == {"run ended while it was in flight"}


def test_a_run_of_one_delivery_has_no_pairs(tmp_path: Path) -> None:
    """With --delivery streamed there is no paired row, and the answer is the medians."""
    summary = build(make_run(tmp_path / "r", deliveries=["streamed"]))
    assert not {"gain", "overhead"} & {row.metric for row in summary.rows}
    assert "blocking" not in {row.delivery for row in summary.rows}
    assert summary.answer.startswith("No pairs, so no comparison: first useful output after 1")


def test_a_cell_without_any_success_builds(tmp_path: Path) -> None:
    """Every latency is infinite, every paired number n/a, and nothing is made up."""
    fail = {(delivery, pair): "connect" for delivery in ("streamed", "blocking") for pair in range(36)}
    summary = build(make_run(tmp_path / "r", [Truth(fail=fail)], memory=False))
    assert number(summary, "streamed", "ttfu", "p50").estimate == float("inf")
    assert number(summary, "paired", "gain", "hl", "ms").estimate is None
    assert number(summary, "streamed", "tpot", "p50").estimate is None
    assert summary.cells[0].verdict == "No comparison: NOT ENOUGH DATA: 36 of 36 pairs excluded."


@pytest.mark.parametrize(
    ("useful", "sentence"),
    [((100, 200), "text: Fastest streamed is a, "), ((100, 100), "Cannot tell apart which is fastest")],
)
def test_models_are_ranked_only_when_apart(tmp_path: Path, useful: Sequence[float], sentence: str) -> None:
    """The fastest model is named only when every other one takes longer beyond chance, pair by pair."""
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
    assert summary.answer == NOT_TRUSTED
    assert summary.trust.sentence == "text: 2 requests belonged to no trial."


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
        ("plan.json", json.dumps({"seed": 1, "cells": []}), r"plan.json: damaged \(trials missing"),
        (
            "plan.json",
            json.dumps({"seed": 1, "cells": [{"cell": 0}], "trials": {}}),
            "plan.json: damaged .cells: api, client, host",
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


@pytest.mark.parametrize(
    ("file", "member", "value"),
    [
        *(("manifest.json", name, 5) for name in ("notes", "versions", "environment", "simulator", "command")),
        *(("manifest.json", name, None) for name in ("versions", "command", "run_id", "created")),
        *(("plan.json", name, "x") for name in ("seed", "cells", "trials")),
        ("plan.json", "cells", [5]),
        ("plan.json", "cells", [{}]),
    ],
)
def test_a_member_of_another_type_is_named(tmp_path: Path, file: str, member: str, value: object) -> None:
    """A manifest or plan with a member missing or of another type is one line naming the file and the member."""
    run = make_run(tmp_path / "r", pairs=2)
    records.write_json(run / file, {**records.read_json(run / file), member: value})
    with pytest.raises(BenchError, match=rf"{file}: damaged \(.*{member}.*\)") as caught:
        build(run)
    assert "\n" not in str(caught.value)


def test_a_parquet_file_with_other_columns_is_named(tmp_path: Path) -> None:
    """A table with foreign columns is one line naming the file."""
    run = make_run(tmp_path / "r", pairs=2)
    pq.write_table(pa.table({"other": [1]}), run / "events.parquet")
    with pytest.raises(BenchError, match=r"events.parquet: damaged") as caught:
        build(run)
    assert "\n" not in str(caught.value)
