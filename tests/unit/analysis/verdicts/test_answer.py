"""The answer and the verdicts: one sentence for every outcome, from hand-made numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import pytest

from bench.analysis.checks.floor import Resolution
from bench.analysis.verdicts.answer import NOT_TRUSTED, answer, fastest
from bench.analysis.verdicts.cell import cell_verdict, judge_effect
from bench.core.results.comparison import Change, Ranking, RankingEntry
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell, Ecdf, Summary, Trust

Three = tuple[float, float, float]
VALID = Trust("VALID", "all is well.", ())
SOON: Three = (250, 240, 260)
SAME: Three = (0.001, -0.004, 0.006)
SLOW: Three = (0.035, 0.02, 0.05)
FAST: Three = (-0.1, -0.12, -0.08)
OPEN: Three = (0.01, -0.05, 0.07)


def row(key: CellKey, delivery: str, metric: str, unit: str, numbers: Sequence[float] | None, **other: Any) -> Row:
    """A row; with None for the numbers it says that it could not be had."""
    estimate, low, high = numbers or (None, None, None)
    values: dict[str, Any] = {"statistic": "hl", "n": 36, "failed": 0, "note": "" if numbers else "NOT ENOUGH DATA"}
    values |= {"estimate": estimate, "low": low, "high": high} | other
    return Row(*key, delivery, metric, unit, **values)


def run(
    *effects: tuple[Three | None, Three | None],
    memory: tuple[float, float] | None = None,
    failed: tuple[int, int] = (0, 0),
    resolution: Resolution | None = None,
    trust: Trust = VALID,
    **of_first: str,
) -> tuple[str, Sequence[str]]:
    """The answer and the verdicts of a run with these (gain in ms, overhead as a ratio), a cell each."""
    cells, rows = [], []
    for number, (gain, overhead) in enumerate(effects):
        key = CellKey(f"mode{number}", "", "responses", "sim", "m", "sdk", "c=1")
        more = of_first if number == 0 else {}
        fields: dict[str, Any] = {"invalid": "", "verdict": ""} | more
        nothing = Ecdf(0, ())
        cells.append(Cell(number, key, key.scenario, "h", True, "", "", 36, nothing, nothing, notes=(), **fields))
        in_ms = tuple(x * 400 for x in overhead) if overhead else None
        rows += [row(key, "paired", "gain", "ms", gain), row(key, "paired", "overhead", "ratio", overhead)]
        rows += [row(key, "paired", "overhead", "ms", in_ms)]
        for delivery, count in zip(("streamed", "blocking"), failed, strict=True):
            rows.append(row(key, delivery, "failures", "", (count, 0, 0), statistic="sum"))
        for delivery, peak in zip(("streamed", "blocking"), memory or (), strict=False):
            of_memory = key._replace(load="tokens=8000")
            rows.append(row(of_memory, delivery, "memory_peak.rss", "bytes", (peak, peak, peak), statistic="p50"))
    summary = Summary({}, "", "", trust, (), tuple(cells), tuple(rows), (), (), {})
    resolved = resolution or Resolution()
    said = [cell_verdict(summary.row, cell, resolved) for cell in cells]
    return answer(summary, {("sdk", "c=1"): resolved}), said


@pytest.mark.parametrize(
    ("effects", "sentence"),
    [
        ([(SOON, SAME)], "Streaming shows something useful 250 ms sooner (240 to 260 ms) and costs no time on the "),
        ([(SOON, SLOW)], "250 ms sooner (240 to 260 ms) but takes 3.5 % longer for the whole answer."),
        ([(SOON, FAST)], "250 ms sooner (240 to 260 ms) and takes 10.0 % less time for the whole answer."),
        ([(SOON, OPEN)], "250 ms sooner (240 to 260 ms); whether the whole answer takes longer cannot be told."),
        ([(SOON, (11.0, 10.5, 12.0))], "but takes ×12 as long for the whole answer."),
        ([((-30, -40, -20), SAME)], "Streaming does not help: something useful comes 30.0 ms later than the blocking "),
        ([((5, -10, 20), SAME)], "Streaming shows nothing useful sooner, as far as this run can tell and costs no "),
        ([(None, None)], "Whether streaming helps cannot be said: NOT ENOUGH DATA."),
        (
            [(SOON, SAME), ((83.2, 82, 84), SAME), ((296, 295, 297), SAME)],
            "Streaming shows something useful 83.2 to 296 ms sooner in all 3 modes and costs no time on the whole ",
        ),
        ([((900, 890, 910), SAME), ((1300, 1290, 1310), SAME)], "useful 900 ms to 1.30 s sooner in both modes"),
        (
            [(SOON, SAME), (None, None)],
            (
                "250 ms sooner (240 to 260 ms) in 1 of 2 modes (in 1 that cannot be told); for the whole answer it "
                "takes no longer in 1, and in 1 that cannot be told."
            ),
        ),
        (
            [(SOON, SLOW), ((-30, -40, -20), FAST), ((5, -10, 20), OPEN)],
            (
                "250 ms sooner (240 to 260 ms) in 1 of 3 modes, 30.0 ms later than the blocking answer (20.0 to 40.0 "
                "ms) in 1, and in 1 that cannot be told; for the whole answer it takes 3.5 % longer in 1, 10.0 % less "
                "time in 1, and in 1 that cannot be told."
            ),
        ),
    ],
)
def test_the_answer_is_one_sentence(effects: list[tuple[Three | None, Three | None]], sentence: str) -> None:
    """What streaming buys and what it costs in time, for each outcome and each mixture of them."""
    said, _ = run(*effects)
    assert sentence in said
    assert said.rstrip(".").count(". ") == 0


@pytest.mark.parametrize(
    ("peaks", "said"),
    [
        ((410, 100), "; it takes more client memory (4.1 times as much at 8,000 tokens)."),
        ((25, 100), "; it takes less client memory (0.25 times as much at 8,000 tokens)."),
        ((105, 100), "; it takes as much client memory (at 8,000 tokens)."),
    ],
)
def test_memory_is_a_ratio_where_it_was_measured(peaks: tuple[float, float], said: str) -> None:
    """More, less, or as much, and which memory."""
    assert run((SOON, SAME), memory=peaks)[0].endswith(said)
    assert "memory" not in run((SOON, SAME))[0]


def test_failures_are_told_where_they_differ() -> None:
    """How many of how many, for each delivery; nothing where both failed as often."""
    assert run((SOON, SAME), failed=(2, 1))[0].endswith("; 2 of 36 streamed and 1 of 36 blocking calls failed.")
    assert "failed" not in run((SOON, SAME), failed=(2, 2))[0]


def test_an_effect_below_the_instrument_is_none() -> None:
    """What is smaller than three floors is neither sooner nor slower, however narrow its interval."""
    tiny, short = (0.9, 0.8, 1.0), (0.03, 0.025, 0.035)  # the totals differ by 12 ms
    said, (verdict,) = run((tiny, short), resolution=Resolution(gain_ms=1.2, total_ms=13))
    assert said.startswith("Streaming shows nothing useful sooner: the difference is too small for this instrument to")
    assert (
        "how much sooner the first useful output arrives (0.90 ms [0.80, 1.00]) is below what this" in verdict.lower()
    )
    assert "resolves (1.2 ms); the difference in time to the whole answer (+3.0 % [+2.5, +3.5]) is below" in verdict
    assert "resolves (13.0 ms)" in verdict
    assert "costs no time that this instrument could see on the whole answer" in said
    _, (seen,) = run((tiny, short), resolution=Resolution(gain_ms=0.5, total_ms=11))
    assert "arrives 0.90 ms [0.80, 1.00] sooner; the whole answer is slower" in seen


def test_a_loss_below_the_instrument_is_none() -> None:
    """The same holds for what looks worse."""
    _, (verdict,) = run(((-0.9, -1.0, -0.8), SAME), resolution=Resolution(gain_ms=1.2, total_ms=1))
    assert "later" not in verdict
    assert "takes the same time within 2 %" in verdict, "an interval within the margin stays what it is"


def test_an_uncalibrated_run_judges_by_its_interval() -> None:
    """Without a floor nothing is held against it."""
    key = CellKey("s", "", "responses", "sim", "m", "sdk", "c=1")
    tiny = row(key, "paired", "gain", "ms", (0.01, 0.005, 0.02))
    assert judge_effect(tiny, tiny, None) == "more"
    assert judge_effect(tiny, tiny, 0.1) == "unresolved"
    assert judge_effect(None, None, 0.1) == "missing"


def test_no_answer_from_numbers_that_may_not_be_believed() -> None:
    """An INVALID run has none; a saturated, invalid or unsupported cell is not in it."""
    assert run((SOON, SAME), trust=Trust("INVALID", "biased.", ()))[0] == NOT_TRUSTED
    assert run((SOON, SAME), saturated="late")[0] == NOT_TRUSTED
    assert run((SOON, SAME), unsupported="no")[0] == "Nothing was measured: the target supports none of it."
    said, _ = run((SOON, SLOW), ((83.2, 82, 84), SAME), saturated="late")
    assert "250" not in said
    assert "3.5 %" not in said
    assert said.endswith("Left out: 1 cell in which the client was late.")


@pytest.mark.parametrize(
    ("note", "said"),
    [
        ("n/a (n=2 < 6)", "2 pairs with both answers are too few, it takes 6."),
        (
            "n/a (NOT ENOUGH DATA: 1 of 12 pairs excluded)",
            "in 1 of 12 pairs a trial failed or gave nothing useful, which is more than 5 %.",
        ),
    ],
)
def test_why_nothing_can_be_said_is_told_in_words(note: str, said: str) -> None:
    """The answer is read by those who do not know the tables' short forms."""
    key = CellKey("mode", "", "responses", "sim", "m", "sdk", "c=1")
    cell = Cell(0, key, "mode", "h", True, "", "", 36, Ecdf(0, ()), Ecdf(0, ()), notes=(), invalid="", verdict="")
    missing = (row(key, "paired", name, "ms", None, note=note) for name in ("gain", "overhead"))
    summary = Summary({}, "", "", VALID, (), (cell,), tuple(missing), (), (), {})
    assert answer(summary, {}).endswith(f"cannot be said: {said}")


def ranked(label: str, *low: float | None) -> Ranking:
    """A ranking of a, b, …; each behind a by at least so much, or without an interval."""
    key, row = CellKey(label, "", "", "", "", "", ""), cast("Row", None)
    changes = [
        Change(key, "", "", "ttfu", "ms", "p50", "lower", "paired", row, row, x, x, x, None, None, None, 9) for x in low
    ]
    behind = [RankingEntry(key, name, (change,)) for name, change in zip("bcd", changes, strict=False)]
    return Ranking(label, (RankingEntry(key, "a", ()), *behind), "said")


def test_of_several_rankings_the_answer_counts() -> None:
    """The sentence of one ranking; of several who is fastest in how many, and in how many nobody can tell."""
    assert list(fastest([])) == []
    assert list(fastest([ranked("text", 0.1)])) == ["text: said."]
    assert list(fastest([ranked("x", 0.1), ranked("y", 0.2, 0.3)])) == ["Fastest streamed: a in both scenarios."]
    mixed = [ranked("x", 0.1), ranked("y", 0.2, -0.1), ranked("z", None)]
    assert list(fastest(mixed)) == ["Fastest streamed: a in 1 of 3 scenarios; in 2 that cannot be told."]
    assert list(fastest(mixed[1:])) == ["Which is fastest streamed cannot be told in any scenario."]
