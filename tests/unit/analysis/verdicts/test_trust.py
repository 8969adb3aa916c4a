"""Whether a run can be believed: each verdict with its reason, from run folders with known truths."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.build import LATE_NOTE, build
from bench.analysis.checks.aa import AaCheck
from bench.analysis.checks.drift import Drift
from bench.analysis.tables import RunFrames, load
from bench.analysis.verdicts.answer import NOT_TRUSTED
from bench.analysis.verdicts.trust import floor_lines, invalid, trust
from bench.core.results.row import Row
from bench.core.results.summary import CALIBRATION, Cell, Summary, Trust
from bench.reports.tables.times import footnotes, time_entries
from tests.support.synthetic import Truth, make_run

SOUND = Truth(loop_lag_ms=0.1)
LATE = Truth(scenario="late", loop_lag_ms=60)
GOOD = AaCheck(checked=True, sentence="A/A: 0.0 %")


def made(folder: Path, *cells: Truth, **options: Any) -> Summary:
    """The Summary of a run of 12 pairs in which each cell has 12 A/A pairs."""
    return build(make_run(folder / "r", cells or (SOUND,), **{"pairs": 12, "aa": 12, "memory": False, **options}))


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> RunFrames:
    """A healthy run as the analysis reads it."""
    run = make_run(tmp_path_factory.mktemp("run") / "r", (SOUND,), pairs=12, aa=12, memory=False)
    return load(run)


@pytest.fixture(scope="module")
def cell(tmp_path_factory: pytest.TempPathFactory) -> Cell:
    """Its cell."""
    run = make_run(tmp_path_factory.mktemp("run") / "r", (SOUND,), pairs=12, memory=False)
    return build(run).cells[0]


def judged(frames: RunFrames, *cells: Cell, aa: AaCheck = GOOD, drift: Drift = Drift(), machine: str = "") -> Trust:  # noqa: B008
    """The verdict on these findings."""
    return trust(frames, cells, aa, drift, evidence=["counted"], machine=[machine] if machine else [])


def test_a_sound_run_is_valid(tmp_path: Path) -> None:
    """A run without anything amiss, with its A/A pairs, is VALID, and says the numbers that this rests on."""
    summary = made(tmp_path)
    assert summary.trust.verdict == "VALID"
    assert summary.trust.sentence.startswith("the client kept up, and the same call measured against itself shows no")
    assert any(line.startswith("A/A: ") and "[" in line for line in summary.trust.lines)


def test_a_client_that_was_not_watched_is_not_praised(sound: RunFrames, cell: Cell) -> None:
    """Without heartbeats nothing is said about the client."""
    unwatched = replace(sound, tables={**sound.tables, "probes": sound.tables["probes"].iloc[:0]})
    found = judged(unwatched, cell)
    assert (found.verdict, "client" in found.sentence) == ("VALID", False)


def test_a_bias_makes_the_run_invalid(tmp_path: Path) -> None:
    """When a delivery differs from itself the run is INVALID: no verdict, no answer, no number in the table."""
    summary = made(tmp_path, Truth(loop_lag_ms=0.1, aa_bias=0.1), aa=24)
    assert summary.trust.verdict == "INVALID"
    assert "against itself" in summary.trust.sentence
    assert summary.answer == NOT_TRUSTED
    assert summary.cells[0].verdict.startswith("INVALID: ")
    assert [entry.main for entry in time_entries(summary, summary.cells[0])] == ["INVALID", *"–––––"]
    assert not list(footnotes(summary, summary.cells[0])), "the trust line says it already"


def test_orphans_make_the_run_invalid(sound: RunFrames, cell: Cell) -> None:
    """One cell with requests of no trial is enough, and is named."""
    found = judged(sound, cell, replace(cell, label="other", invalid="2 requests belonged to no trial"))
    assert (found.verdict, found.sentence) == ("INVALID", "other: 2 requests belonged to no trial.")


def test_a_client_that_was_late_everywhere_is_invalid(tmp_path: Path) -> None:
    """With every cell SATURATED no number can be trusted; the sentence is plain, the note below it says how late."""
    summary = made(tmp_path, LATE)
    assert summary.trust.verdict == "INVALID"
    assert summary.trust.sentence.startswith("no number can be trusted: the client itself was late in every cell")
    assert any("event loop" in note for note in footnotes(summary, summary.cells[0]))


def test_a_late_cell_is_out_of_table_and_answer(tmp_path: Path) -> None:
    """One SATURATED cell of two: CAUTION; its numbers are in no table and no answer, but in the rows, with the word."""
    summary = made(tmp_path, LATE, SOUND)
    late, good = summary.cells
    assert summary.trust.verdict == "CAUTION"
    assert summary.trust.sentence.startswith("the client was late in 1 of 2 cells (late), so their numbers are not")
    assert [entry.main for entry in time_entries(summary, late)] == ["SATURATED", *"–––––"]
    assert time_entries(summary, good)[0].main.endswith(" ms")
    assert late.verdict.startswith("SATURATED, so no verdict: ")
    assert next(footnotes(summary, late)).startswith("SATURATED: ")
    assert "sooner (" in summary.answer, "of the other cell alone"
    assert summary.answer.endswith("Left out: 1 cell in which the client was late.")
    notes = [row.note.startswith(LATE_NOTE) for row in summary.rows if row.key == late.key]
    assert notes
    assert all(notes)
    assert not [row for row in summary.rows if row.key == good.key and row.note.startswith(LATE_NOTE)]


def test_saturation_beside_what_was_not_measured(sound: RunFrames, cell: Cell) -> None:
    """An unsupported cell saves no run in which all that was measured was late."""
    late, absent = replace(cell, saturated="late"), replace(cell, unsupported="no such API")
    assert judged(sound, late, absent).verdict == "INVALID"
    assert invalid(sound, [absent], GOOD) == ""


def test_a_short_run_that_was_late_is_a_caution(sound: RunFrames, cell: Cell) -> None:
    """Of a pair or two the first call's own set-up may be all: it has no verdict, and needs no condemning."""
    short = replace(sound, plan={**sound.plan, "pairs": 1})
    assert judged(short, replace(cell, saturated="late")).verdict == "CAUTION"


def test_a_busy_machine_is_a_caution(sound: RunFrames, cell: Cell) -> None:
    """The sentence says it in plain words, the evidence how busy it was."""
    found = judged(sound, cell, machine="processes waited for a CPU 70 % of the time")
    assert found.verdict == "CAUTION"
    assert found.sentence.startswith("this machine was busy while it measured")
    assert "processes waited for a CPU 70 % of the time" in found.lines


def test_drift_is_a_caution_in_plain_words(sound: RunFrames, cell: Cell) -> None:
    """The sentence says what it means for a reader, the evidence how much it was."""
    found = judged(sound, cell, drift=Drift(sentence="times grew by +10 % [8, 12]"))
    assert found.verdict == "CAUTION"
    assert "the comparison stands" in found.sentence
    assert "times grew by +10 % [8, 12]" in found.lines


def test_missing_pairs_are_a_caution(tmp_path: Path) -> None:
    """A cell of which more than a twentieth of the pairs is missing is named."""
    fail = {("streamed", pair): "timeout" for pair in range(4)}
    found = made(tmp_path, replace(SOUND, fail=fail)).trust
    assert (found.verdict, found.sentence) == ("CAUTION", "too many pairs are missing from 1 of 1 cells (text).")


@pytest.mark.parametrize(("ended", "said"), [(None, "it was killed"), ("interrupted", "interrupted")])
def test_a_partial_run_is_a_caution(tmp_path: Path, ended: str | None, said: str) -> None:
    """A run that did not end as planned says so first."""
    found = made(tmp_path, manifest={"ended": ended}).trust
    assert (found.verdict, found.sentence) == ("CAUTION", f"the run is partial ({said}).")


def test_too_few_aa_pairs_are_a_caution(tmp_path: Path) -> None:
    """A check that was planned and could not be decided is no clean bill."""
    found = made(tmp_path, aa=2).trust
    assert found.verdict == "CAUTION"
    assert found.sentence.startswith("too few calls could be measured against themselves")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"pairs": 6}, "this run was too short to check itself (it does from 10 pairs on)."),
        ({"pairs": 12}, "this run did not check itself."),
    ],
)
def test_a_run_without_checks_is_unchecked(tmp_path: Path, options: dict[str, int], said: str) -> None:
    """Too short, or told not to: UNCHECKED, never VALID."""
    found = made(tmp_path, aa=0, **options).trust
    assert (found.verdict, found.sentence) == ("UNCHECKED", said)


def test_a_doubt_is_louder_than_a_missing_check(tmp_path: Path) -> None:
    """A short run that was also interrupted says both, and CAUTION."""
    found = made(tmp_path, aa=0, pairs=6, manifest={"ended": "interrupted"}).trust
    assert found.verdict == "CAUTION"
    assert found.sentence.startswith("the run is partial (interrupted); this run was too short")


def floor(metric: str, delivery: str, estimate: float | None, load: str = "c=1") -> Row:
    """A row of the calibration."""
    key = (CALIBRATION, "", "responses", CALIBRATION, "m", "sdk", load, delivery)
    return Row(*key, metric, "ms", "p50", 36, 0, estimate, estimate, estimate, "")


def test_the_floor_is_a_line_for_each_load() -> None:
    """What the instrument adds is told by load, with how many streams it rests on; nothing without a number."""
    rows = [floor("floor_ttft", "streamed", 0.2), floor("floor_total", "streamed", 0.35)]
    rows += [floor("floor_total", "blocking", 9.0), floor("floor_ttft", "streamed", 2.0, "c=8")]
    rows += [floor("floor_ttft", "streamed", None, "c=16")]
    assert list(floor_lines(rows)) == [
        "this instrument adds at c=1: first token 0.20 ms, whole 0.35 ms (medians of 36 streams; never subtracted)",
        "this instrument adds at c=8: first token 2.00 ms (medians of 36 streams; never subtracted)",
    ]


def test_answers_that_are_not_alike_are_a_caution(tmp_path: Path) -> None:
    """Where more than half of the pairs gave other answers, those left are few and no random choice."""
    found = made(
        tmp_path, replace(SOUND, unlike=frozenset(range(5))), Truth(scenario="most", unlike=frozenset(range(8)))
    )
    assert found.trust.verdict == "CAUTION"
    assert found.trust.sentence.startswith("most answers were not alike in 1 of 2 cells (most)")
    none = made(tmp_path / "none", replace(SOUND, unlike=frozenset(range(12))))
    assert none.trust.sentence.startswith("most answers were not alike in 1 of 1 cells")
