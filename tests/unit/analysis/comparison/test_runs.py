"""Two runs number by number: what is aligned, refused, watermarked and said."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.build import build
from bench.analysis.comparison.effects import outcome, pairs_for, worst_first
from bench.analysis.comparison.runs import compare
from bench.cli.present import compare_with_stored
from bench.core.errors import BenchError
from bench.core.results.comparison import Change, Comparison
from bench.core.results.metrics.registry import METRICS, definitions
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell, Ecdf, Summary, Trust
from bench.records.find import find_run
from bench.reports.comparison.terminal import render_terminal
from bench.reports.files import write_comparison
from bench.reports.tables import changes as words
from tests.support.shelf import Shelf

KEY = CellKey("text", "", "responses", "sim", "sim-1", "sdk", "c=1")
MANIFEST: dict[str, Any] = {
    "schema_version": "1.3",
    "run_id": "r1",
    "name": None,
    "created": "2026-01-02T03:04:05Z",
    "ended": "finished",
    "versions": {"python": "3.11.7", "streambench": "0.1.0", "openai": "3.54.0"},
    "environment": {"platform": "Linux-6.1 x86_64", "cpus": 2, "cpu_model": "Test CPU"},
    "simulator": {"profile": "quick"},
    "settings": {"max_retries": 2, "deadline_s": 120.0, "sent": {"sim": {"output_tokens": None, "temperature": 0.0}}},
    "definitions": definitions(),
}


def cell(key: CellKey = KEY, **other: Any) -> Cell:
    """A cell of the simulator."""
    nothing = Ecdf(0, ())
    values: dict[str, Any] = {"useful": "the first text", "invalid": "", "verdict": "", "simulated": True} | other
    return Cell(
        0,
        key,
        key.scenario,
        "host",
        description="",
        pairs=36,
        first_useful=nothing,
        blocking_total=nothing,
        notes=(),
        **values,
    )


def row(metric: str, numbers: Sequence[float | None], key: CellKey = KEY, **other: Any) -> Row:
    """A number of streamed trials with its interval."""
    values: dict[str, Any] = {
        "delivery": "streamed",
        "unit": "ms",
        "statistic": "p50",
        "n": 36,
        "failed": 0,
        "note": "",
    }
    values |= {"metric": metric, **dict(zip(("estimate", "low", "high"), numbers, strict=True))} | other
    return Row(*key, **values)


def summary(*rows: Row, cells: Sequence[Cell] = (cell(),), trust: str = "VALID", **manifest: Any) -> Summary:
    """A run with these numbers."""
    found = Trust(trust, "all is well.", ())  # type: ignore[arg-type]
    return Summary({**MANIFEST, **manifest}, "SIMULATED", "", found, (), tuple(cells), rows, (), (), {})


def only(comparison: Comparison) -> Change:
    """Its one change."""
    (found,) = comparison.changes
    return found


TTFT = row("ttft", (100, 98, 102))
SLOWER = row("ttft", (110, 108, 112))


def test_a_slower_number() -> None:
    """The ratio has the interval of both, n is that of the smaller side, and longer times are worse."""
    found = only(compare(summary(TTFT), summary(replace(SLOWER, n=30))))
    assert found.ratio == pytest.approx(0.1)
    assert 0.06 < (found.low or 0) < 0.08
    assert 0.12 < (found.high or 0) < 0.14
    assert (found.difference, found.n, found.method) == (10, 30, "unpaired")
    assert (outcome(found), words.verdict(found)) == ("worse", "slower")


@pytest.mark.parametrize(
    ("metric", "unit", "numbers", "said"),
    [
        ("ttft", "ms", (90, 88, 92), "faster"),
        ("ttft", "ms", (101, 99, 103), "no difference seen (±2.8 %)"),
        ("ttft", "ms", (101, 80, 130), "undecided (±25 %)"),
        ("tokens_per_s", "tokens/s", (90, 88, 92), "slower"),
        ("gain", "ms", (90, 88, 92), "less (worse)"),
        ("memory_peak", "bytes", (90, 88, 92), "less (better)"),
        ("cached_tokens", "tokens", (90, 88, 92), "less"),
    ],
)
def test_words(metric: str, unit: str, numbers: Sequence[float], said: str) -> None:
    """Times and rates are slower or faster, all else is more or less; a wide interval is no equality."""
    sides = [summary(row(metric, x, unit=unit)) for x in ((100, 98, 102), numbers)]
    assert words.verdict(only(compare(*sides))) == said


@pytest.mark.parametrize(
    ("side", "note"),
    [
        ({"estimate": None, "low": None, "high": None, "note": "n/a (n=5 < 6)"}, "n/a (current: n=5 < 6)"),
        ({"estimate": math.inf, "high": math.inf, "failed": 20}, "n/a (current is ∞: 20 of 36 failed)"),
        ({"low": None, "high": None}, "n/a (current has no interval)"),
    ],
)
def test_no_change_without_numbers(side: Mapping[str, Any], note: str) -> None:
    """Where one side has no estimate, an infinite one or no interval, there is no change and the note says why."""
    found = only(compare(summary(TTFT), summary(replace(TTFT, **side))))
    assert (found.ratio, found.difference, found.note, outcome(found)) == (None, None, note, "unknown")


def test_shares_have_a_difference() -> None:
    """From no failure at all there is no ratio; points tell the change, and the interval whether it is one."""
    sides = [row("failures", x, unit="share", statistic="share") for x in ((0, 0, 0.1), (0.5, 0.33, 0.67))]
    found = only(compare(*map(summary, sides)))
    assert (found.ratio, found.difference, found.note) == (None, 0.5, "no ratio: the baseline is 0")
    assert words.change_text(found) == "+50.0 points [+30.3, +67.0]"
    assert words.verdict(found) == "more (worse)"


@pytest.mark.parametrize("fault", [{"invalid": "2 requests belonged to no trial"}, {"saturated": "late"}])
def test_no_change_of_a_cell_that_may_not_be_believed(fault: dict[str, Any]) -> None:
    """INVALID and SATURATED cells have numbers, but none that is held against others."""
    found = only(compare(summary(TTFT, cells=[cell(**fault)]), summary(SLOWER)))
    assert found.ratio is None
    assert found.note.startswith("n/a (baseline ")


def test_no_change_of_a_run_that_may_not_be_believed() -> None:
    """Of an INVALID run no number is held against another, on whichever side it is."""
    sides = summary(TTFT, trust="INVALID"), summary(SLOWER)
    assert only(compare(*sides)).note == "n/a (INVALID: baseline)"
    assert only(compare(*sides[::-1])).note == "n/a (INVALID: current run)"


def test_failures_stand_in_the_answer() -> None:
    """Where most failed, the answer is not that no difference was seen."""
    total = row("total", (400, 398, 402))
    share: dict[str, Any] = {"statistic": "share", "unit": "share"}
    before = summary(TTFT, total, row("failures", (0, 0, 0.1), **share))
    broken = replace(TTFT, failed=22, estimate=math.inf, low=99, high=math.inf)
    said = words.sentence(compare(before, summary(broken, total, row("failures", (0.6, 0.4, 0.8), failed=22, **share))))
    assert "not compared: text ttft p50 streamed, current is ∞: 22 of 36 failed" in said
    assert "text failures share streamed: +60.0 points" in said
    assert said.startswith("No difference seen in the medians that can be compared; one below 0.7 % would not be seen")


@pytest.mark.parametrize("times", [0.1, 1, 10])
def test_what_it_could_see_does_not_hang_on_what_it_saw(times: float) -> None:
    """The same scatter sees the same change, whether the current run was as fast, slower or faster."""
    current = replace(TTFT, estimate=100 * times, low=98 * times, high=102 * times)
    assert "from ±2.8 % on" in words.resolution_text(compare(summary(TTFT), summary(current)))


def test_another_idea_of_useful() -> None:
    """A scenario that counts something else as useful has no comparable first useful output, but a first token."""
    sides = [summary(TTFT, row("ttfu", (100, 98, 102)), cells=[cell(useful=text)]) for text in ("a word", "a field")]
    notes = {found.metric: found.note for found in compare(*sides).changes}
    assert notes == {"ttft": "", "ttfu": "n/a (the scenario counts something else as useful)"}


def test_the_only_target_of_each_is_taken_for_the_other() -> None:
    """Runs of one target (model) under two names are aligned, and it is said; memory is always of the simulator."""
    new = KEY._replace(target="canary", model="m2")
    memory = row("memory_peak", (1, 1, 1), KEY._replace(model="", load="tokens=8000"), unit="bytes")
    found = compare(
        summary(TTFT, memory), summary(replace(SLOWER, target="canary", model="m2"), memory, cells=[cell(new)])
    )
    assert {change.metric for change in found.changes} == {"ttft", "memory_peak"}
    assert found.unmatched == ()
    assert {"target: sim is compared with canary", "model: sim-1 is compared with m2"} <= set(found.watermarks)


def test_cells_of_one_side_are_named() -> None:
    """Several targets are never taken for each other: what has no counterpart is listed."""
    other = KEY._replace(load="c=8")
    found = compare(summary(TTFT), summary(TTFT, cells=[cell(), cell(other)]))
    assert found.unmatched == ("only in the current run: text (sim/sim-1, sdk, c=8)",)


def test_refused() -> None:
    """Another schema, or another formula of one metric, makes two runs no two of a kind: both are named."""
    with pytest.raises(BenchError, match=r"before has records of schema 1\.3, r1 of 2\.0"):
        compare(summary(TTFT, name="before"), summary(TTFT, schema_version="2.0"))
    redefined = summary(TTFT, name="after", definitions={**definitions(), "ttft": "other"})
    with pytest.raises(BenchError, match="r1 and after were measured by other definitions of ttft;"):
        compare(summary(TTFT), redefined)
    assert only(compare(summary(TTFT), redefined, force=True)).ratio == 0


def test_a_new_metric_is_no_other_definition() -> None:
    """Definitions are by metric, so that a version with one more can be compared with those before it."""
    assert definitions().keys() == {metric.name for metric in METRICS}
    before = {name: text for name, text in definitions().items() if name != "ttft"}
    assert compare(summary(TTFT, definitions=before), summary(TTFT)).watermarks == ()


@pytest.mark.parametrize(
    ("manifest", "mark"),
    [
        ({"environment": {"cpus": 8, "cpu_model": "Test CPU"}}, "another machine: cpus 2, then 8"),
        ({"versions": {"openai": "4.0.0"}}, "other versions: openai 3.54.0, then 4.0.0"),
        ({"settings": {**MANIFEST["settings"], "max_retries": 0}}, "other settings: max_retries 2, then 0"),
        (
            {"settings": {**MANIFEST["settings"], "sent": {"canary": {"output_tokens": 20, "temperature": 0.0}}}},
            "other settings: output tokens asked for not set, then 20",
        ),
        ({"simulator": {"profile": "slow"}}, "another profile of the simulator: quick, then slow"),
        ({"created": "2026-01-05T03:04:05Z"}, "3 days apart: what differs between days is in no interval"),
        ({"ended": None}, "the current run is partial: it was killed"),
        ({"definitions": None}, "an older run does not say by which definitions it was measured"),
        ({"trust": "INVALID"}, "INVALID current run: all is well"),
        ({"cells": [cell(simulated=False)]}, "simulated against real: SIMULATED, then SIMULATED"),
    ],
)
def test_watermarks(manifest: Mapping[str, Any], mark: str) -> None:
    """Each thing that may explain a difference is said, and nothing else."""
    assert compare(summary(TTFT), summary(TTFT, **manifest)).watermarks == (mark,)


def test_worst_first() -> None:
    """Worse by its near bound, then what is open, then better, then what has no number."""
    sizes = {
        "a": (105, 104, 106),
        "b": (100, 80, 125),
        "c": (150, 60, 400),
        "d": (80, 79, 81),
        "e": (None, None, None),
    }
    rows = [row("ttft", x, KEY._replace(scenario=name)) for name, x in sizes.items()]
    old = [row("ttft", (100, 99, 101), KEY._replace(scenario=name)) for name in sizes]
    found = compare(summary(*old, cells=[]), summary(*rows[::-1], cells=[])).changes
    assert [change.key.scenario for change in found] == ["a", "c", "b", "d", "e"]
    assert worst_first(found[::-1]) == found


def test_pairs_needed() -> None:
    """Half as wide an interval takes four times the pairs; nothing more is said where that is no question of pairs."""
    found = only(compare(summary(TTFT), summary(SLOWER)))
    half = ((found.high or 0) - (found.low or 0)) / 2
    assert pairs_for(found, half / 2) == 4 * 36
    assert pairs_for(found, 100) == 6
    assert pairs_for(replace(found, metric="memory_peak"), 0.01) is None
    assert pairs_for(replace(found, high=math.inf), 0.01) is None
    assert pairs_for(replace(found, ratio=None, low=None, high=None, difference=None), 0.01) is None


def test_checks_and_floors_are_not_compared() -> None:
    """How a run checked itself tells nothing about what was measured."""
    rows = [row("aa", (1, 1, 1)), row("floor_ttft", (1, 1, 1)), replace(TTFT, scenario="(calibration)")]
    assert compare(summary(*rows), summary(*rows)).changes == ()


def sampled(factor: float, load: str = "c=1", failed: int = 0) -> Summary:
    """A run of which the samples are kept: 36 times around 100 ms, some of the trials failed."""
    times = tuple(factor * (80 + i) for i in range(36 - failed))
    key = KEY._replace(load=load)
    row_of = row("ttft", (factor * 98, factor * 90, factor * 105), key, failed=failed)
    return summary(row_of, cells=[replace(cell(key), curves={"ttft": Ecdf(36, times)})])


def test_medians_by_their_samples() -> None:
    """Where both runs keep the samples, the shift between them is known better than by two medians."""
    found = only(compare(sampled(1), sampled(1.2)))
    assert found.ratio == pytest.approx(0.2, abs=0.01)
    assert found.difference == pytest.approx(20, abs=2)
    by_rows = only(compare(sampled(1, "c=8"), sampled(1.2, "c=8")))
    assert (found.high or 0) - (found.low or 0) < 0.8 * ((by_rows.high or 0) - (by_rows.low or 0))


def test_many_failures_leave_the_samples_out() -> None:
    """The trials that arrived speak for the cell only where nearly all did; else the median over all offered does."""
    few, many = (only(compare(sampled(1), sampled(1.2, failed=number))) for number in (1, 4))
    assert few.low is not None
    assert (few.n, few.note) == (35, "without 1 failed trial")
    assert many.low == pytest.approx(only(compare(sampled(1, "c=8"), sampled(1.2, "c=8"))).low)


@pytest.fixture(scope="module")
def runs(shelf: Shelf, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two stored runs, the second 10 % slower."""
    folder = tmp_path_factory.mktemp("reports")
    for name in ("before", "after"):
        shelf.copy(name, folder)
    return folder


def test_a_run_against_a_stored_one(runs: Path) -> None:
    """The slowdown is found in what users wait for, and a run is not compared with itself."""
    found = compare_with_stored(runs / "after", build(runs / "after"), find_run(runs, "before"), "before")
    assert words.sentence(found).startswith("text: ")
    assert "slower" in words.sentence(found)
    with pytest.raises(BenchError, match="--baseline after is this run itself"):
        compare_with_stored(runs / "after", build(runs / "after"), find_run(runs, "after"), "after")


def test_files_and_terminal(runs: Path) -> None:
    """All forms tell the same change; the terminal keeps to 100 columns and 40 lines, infinity is text in JSON."""
    found = compare_with_stored(runs / "after", build(runs / "after"), find_run(runs, "before"), "before")
    assert [file.name for file in write_comparison(runs / "after", found)] == [
        "compare.html",
        "compare.md",
        "compare.json",
    ]
    lines = render_terminal(found).splitlines()
    assert len(lines) <= 40
    assert max(map(len, lines)) <= 100
    stored = json.loads((runs / "after/compare.json").read_text())
    first = next(
        c for c in stored["changes"] if (c["metric"], c["statistic"], c["delivery"]) == ("ttft", "p50", "streamed")
    )
    assert first["outcome"] == "worse"
    assert 0.05 < first["low"] < first["ratio"] < first["high"] < 0.2
    text = words.change_text(next(c for c in found.changes if (c.metric, c.statistic) == ("ttft", "p50")))
    for name in ("compare.html", "compare.md"):
        assert text in (runs / "after" / name).read_text().replace("&#43;", "+"), name


def test_what_a_server_said_stays_text(runs: Path) -> None:
    """A model's name is no markup, in no form."""
    found = compare_with_stored(runs / "after", build(runs / "after"), find_run(runs, "before"), "before")
    evil = replace(
        found, watermarks=("<script>alert(1)</script>",), baseline=replace(found.baseline, name="\x1b[2J<b>")
    )
    write_comparison(runs / "after", evil)
    for name in ("compare.html", "compare.md"):
        assert "<script>alert" not in (runs / "after" / name).read_text(), name
    assert "\x1b" not in render_terminal(evil)
