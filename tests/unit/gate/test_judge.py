"""PASS, FAIL or UNDECIDED: decided on the bound, on run folders with known truths."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.build import build
from bench.analysis.comparison.runs import compare
from bench.core.errors import BenchError
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from bench.gate.condition import Decision, parse_condition
from bench.gate.judge import decide, judge
from bench.gate.sample_size import ROOM, for_share, for_width
from tests.support.synthetic import Truth, make_run

FAILS = {("streamed", number): "timeout" for number in (3, 9)}
MOST_FAIL = {("streamed", number): "http_5xx" for number in range(36) if number % 4}
ENDS = st.tuples(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Two cells: `text`, of which two trials failed, and the slower `function_call`, of which none did."""
    cells = [Truth(fail=FAILS), Truth(scenario="function_call", useful_ms=200)]
    return build(make_run(tmp_path_factory.mktemp("gate") / "run", cells))


@pytest.fixture(scope="module")
def slower(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The same, 10 % slower and without a failure in `text`."""
    cells = [Truth(useful_ms=132, token_ms=5.5), Truth(scenario="function_call", useful_ms=220, token_ms=5.5)]
    return build(make_run(tmp_path_factory.mktemp("gate") / "slower", cells, seed=8))


def one(summary: Summary, text: str, baseline: Summary | None = None) -> Decision:
    """The only verdict on a condition."""
    (judged,) = judge(parse_condition(text), summary, [compare(baseline, summary)] if baseline else [])
    return judged


def refused(summary: Summary, text: str, baseline: Summary | None = None) -> str:
    """The line for a condition that cannot be decided at all."""
    with pytest.raises(BenchError) as caught:
        list(judge(parse_condition(text), summary, [compare(baseline, summary)] if baseline else []))
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(ENDS)
def test_the_bound_decides(values: tuple[float, float, float]) -> None:
    """FAIL where the whole interval is beyond the limit, PASS where none of it is, in both directions."""
    low, high = sorted(values[:2])
    limit = values[2]
    verdict = decide(low, high, limit, upwards=True)
    assert (verdict == "FAIL") == (low > limit)
    assert (verdict == "PASS") == (high <= limit)
    assert decide(-high, -low, -limit, upwards=False) == verdict


@pytest.mark.parametrize(
    ("condition", "verdict", "sentence"),
    [
        ("text.ttft > 500ms", "PASS", "none of it is above 500ms"),
        ("text.ttft.p90 > 0.1s", "FAIL", "all of it is above 0.1s"),
        ("text.ttft < 200ms", "FAIL", "all of it is below 200ms"),
        ("text.ttft > 119.5ms", "UNDECIDED", "the interval holds 119.5ms; use --pairs"),
        ("text.ttft.p99 > 1s", "UNDECIDED", "n/a: n=36 < 368; use --pairs 368"),
        ("text.total/blocking > 5s", "PASS", "none of it is above 5s"),
        ("function_call.gain < 20%", "PASS", "none of it is below 20%"),
        ("function_call.gain < 20ms", "PASS", "none of it is below 20ms"),
        ("function_call.overhead > 5%", "PASS", "none of it is above 5%"),
        ("text.failures > 30%", "PASS", "none of it is above 30%"),
        ("text.failures > 0.1%", "FAIL", "all of it is above 0.1%"),
        ("text.failures > 1%", "UNDECIDED", "the interval holds 1%; use --pairs"),
        ("text.failures.sum > 1", "FAIL", "2, counted: all of it is above 1"),
        ("text.failures.timeout > 30%", "PASS", "5.6 % ["),
        ("text.failures.connect.sum > 0", "PASS", "0, counted: none of it is above 0"),
        ("function_call.failures > 0%", "UNDECIDED", "say function_call.failures.sum > 0"),
        ("text.memory_slope.rss > 40B", "PASS", "none of it is above 40B"),
        ("text.memory_peak > 10MB", "UNDECIDED", "it has no interval"),
        ("text.mark.searched > 30ms", "FAIL", "all of it is above 30ms"),
        ("text.tokens_per_s < 10tok/s", "PASS", "none of it is below 10tok/s"),
        ("text.attempts > 72", "PASS", "counted: none of it is above 72"),
    ],
)
def test_absolute(summary: Summary, condition: str, verdict: str, sentence: str) -> None:
    """Each kind of metric against a limit in its unit: the verdict, with the interval and the limit in the sentence."""
    judged = one(summary, condition)
    assert judged.verdict == verdict
    assert sentence in judged.sentence
    assert judged.scenario == condition.partition(".")[0]


def test_without_a_scenario_all_are_meant(summary: Summary) -> None:
    """A condition that names no scenario is decided for each, by default on the streamed median."""
    judged = list(judge(parse_condition("ttft > 150ms"), summary, []))
    assert [(one.subject, one.verdict) for one in judged] == [
        ("text ttft p50 streamed", "PASS"),
        ("function_call ttft p50 streamed", "FAIL"),
    ]


@pytest.mark.parametrize(
    ("condition", "said"),
    [
        ("txet.ttft > 1s", "unknown scenario 'txet': did you mean 'text'?"),
        ("tftt > 1s", "unknown metric 'tftt': did you mean 'ttft'?"),
        ("mark.serched > 1s", "unknown metric 'mark.serched': did you mean 'mark.searched'?"),
        ("text.ttft.p9 > 1s", "unknown statistic 'p9': did you mean 'p99'?"),
        ("failures.timeouts.sum > 1", "unknown failure class 'timeouts': did you mean 'timeout'?"),
        ("ttft@gateway > 1s", "unknown target 'gateway': known: sim"),
        ("ttft/blocking > 1s", "ttft is here only of /streamed"),
        ("text.knee < 3", "nothing of scenario text has such a number"),
        ("text.memory_slope.rss.p90 > 4B", "nothing of scenario text has such a number"),
        ("ttft > 3%", "column 8: unit '%' does not fit ttft; its limits have us, ms or s"),
        ("ttft > 3", "column 8: the unit is missing of ttft"),
        ("ttft:+3%", "against which baseline?"),
    ],
)
def test_matching_nothing(summary: Summary, condition: str, said: str) -> None:
    """A condition about nothing that was measured is an error with the nearest name, never a pass."""
    assert said in refused(summary, condition)


def test_most_failed(tmp_path: Path) -> None:
    """Where more than half failed the median is ∞, which is above every limit, and above every baseline."""
    broken = build(make_run(tmp_path / "broken", [Truth(fail=MOST_FAIL)]))
    whole = build(make_run(tmp_path / "whole", [Truth()]))
    assert one(broken, "ttfu > 10s").verdict == "FAIL"
    assert one(broken, "ttfu:+10%", whole).verdict == "FAIL"
    assert one(whole, "ttfu:+10%", broken).verdict == "UNDECIDED"


def test_slower_than_the_baseline(summary: Summary, slower: Summary) -> None:
    """10 % slower fails at +3 % and passes at +30 %; the other way round it fails as faster at -3 %."""
    judged = one(slower, "text.ttft:+3%", summary)
    assert judged.verdict == "FAIL"
    assert re.search(r"\+\d+\.\d % \[\+\d+\.\d, \+\d+\.\d\], n=36: all of it is above \+3%", judged.sentence)
    assert judged.subject == "text ttft p50 streamed against run"
    assert one(slower, "text.ttft:+30%", summary).verdict == "PASS"
    assert one(summary, "text.ttft:-3%", slower).verdict == "FAIL"
    assert one(slower, "text.ttft:-3%", summary).verdict == "PASS"


def test_what_cannot_be_seen(summary: Summary) -> None:
    """A limit below what the intervals resolve is undecided, and says how many pairs would see it."""
    judged = one(summary, "text.ttft:+0.1%", summary)
    assert judged.verdict == "UNDECIDED"
    said = re.fullmatch(
        r".*: cannot see less than (\S+) %, you ask for 0.1 %; (?:use --pairs (\d+) in both runs|no affordable .*)",
        judged.sentence,
    )
    assert said
    assert float(said[1]) > 0.1
    assert not said[2] or int(said[2]) > 36


def test_points(summary: Summary, slower: Summary) -> None:
    """Shares are compared in points, also where the baseline's is zero and has no ratio."""
    assert one(summary, "text.failures:+30pp", slower).verdict == "PASS"
    judged = one(summary, "text.failures:+10%", slower)
    assert judged.verdict == "UNDECIDED"
    assert "use points, such as +1pp" in judged.sentence
    assert "ttft is no share" in refused(summary, "ttft:+1pp", slower)


def test_pairs_for_a_change_of_shares(summary: Summary) -> None:
    """Where nothing failed the interval narrows with the number of trials, not with its root."""
    judged = one(summary, "function_call.failures:+2pp", summary)
    assert judged.sentence.endswith(
        "cannot see less than 9.7 points, you ask for 2 points; use --pairs 190 in both runs"
    )


def test_a_cell_that_the_baseline_lacks(tmp_path: Path, summary: Summary) -> None:
    """It is undecided beside those that are compared, never passed over; of it alone nothing is said at all."""
    alone = build(make_run(tmp_path / "alone", [Truth()], seed=3))
    verdicts = {one.scenario: one for one in judge(parse_condition("ttft:+30%"), summary, [compare(alone, summary)])}
    assert {name: one.verdict for name, one in verdicts.items()} == {"text": "PASS", "function_call": "UNDECIDED"}
    assert verdicts["function_call"].sentence == "the baseline alone has no such number"
    assert "only in the current run: function_call" in refused(summary, "function_call.ttft:+30%", alone)
    assert one(alone, "ttft:+30%", summary).verdict == "PASS"


def test_an_invalid_baseline_decides_nothing(summary: Summary, slower: Summary) -> None:
    """Nothing is held against the numbers of a run that is INVALID."""
    invalid = replace(summary, trust=replace(summary.trust, verdict="INVALID", sentence="A/A pairs differ."))
    judged = one(slower, "text.ttft:+3%", invalid)
    assert (judged.verdict, judged.sentence) == ("UNDECIDED", "n/a: INVALID: baseline")


def test_cells_that_prove_nothing(summary: Summary) -> None:
    """SATURATED, INVALID and unsupported cells are undecided with their reason, whatever their numbers."""
    text = summary.cells[0]
    for change, why in (
        ({"saturated": "the loop was late"}, "SATURATED"),
        ({"invalid": "2 requests belonged to no trial"}, "2 requests"),
    ):
        changed = replace(summary, cells=(replace(text, **change), *summary.cells[1:]))  # type: ignore[arg-type]
        judged = one(changed, "text.ttft > 1ms")
        assert judged.verdict == "UNDECIDED"
        assert why in judged.sentence
    rows = tuple(row for row in summary.rows if row.scenario != "text")
    refusing = replace(text, unsupported="this model does not stream")
    judged = one(replace(summary, cells=(refusing, *summary.cells[1:]), rows=rows), "text.ttft > 1ms")
    assert (judged.verdict, judged.sentence) == ("UNDECIDED", "this model does not stream")


def test_an_invalid_run_decides_nothing(summary: Summary) -> None:
    """All conditions of a run that is INVALID are undecided, and say so."""
    invalid = replace(summary, trust=replace(summary.trust, verdict="INVALID", sentence="A/A pairs differ."))
    judged = list(judge(parse_condition("ttft > 1ms"), invalid, []))
    assert {one.verdict for one in judged} == {"UNDECIDED"}
    assert "the run is INVALID: A/A pairs differ." in judged[0].sentence


@given(st.integers(6, 400), st.floats(0.001, 10), st.floats(0.001, 10))
def test_pairs_for_a_width(trials: int, half: float, wanted: float) -> None:
    """So many trials, rounded up to two digits, bring the limit out of the interval, with room for chance."""
    need = for_width(trials, half, wanted)
    if need is not None:
        exact = trials * (ROOM * half / wanted) ** 2
        assert exact * (1 - 1e-9) <= need <= exact * 1.11 + 1
        assert len(str(need).rstrip("0")) <= 2


def test_trials_for_a_share() -> None:
    """No failure in 36 cannot exclude 1 %; in 370 it can, by the exact interval."""
    row = Row(
        "text",
        "",
        "responses",
        "sim",
        "m",
        "sdk",
        "c=1",
        "streamed",
        "failures",
        "share",
        "share",
        36,
        0,
        0.0,
        0.0,
        0.097,
        "",
    )
    assert for_share(row, 0.01) == 370
    assert for_share(row, 0.2) == 36
    assert for_share(row, 0.0) is None


def test_beside_a_target_of_the_same_run(tmp_path: Path) -> None:
    """Targets of one run are held against the one that is their baseline, which is no subject itself."""
    fails = {("streamed", number): "timeout" for number in (3, 20)}
    truths = [Truth(target="stable"), Truth(target="canary", useful_ms=132, token_ms=5.5, fail=fails)]
    baseline = {"baseline": {"target": "stable", "model": None}}
    summary = build(make_run(tmp_path / "run", truths, pairs=48, memory=False, manifest=baseline))

    def verdicts(condition: str) -> list[str]:
        found = judge(parse_condition(condition), summary, summary.comparisons)
        return [f"{one.verdict} {one.subject}" for one in found]

    assert verdicts("ttft:+3%") == ["FAIL text ttft p50 streamed against stable"]
    assert verdicts("ttft@canary:+30%") == ["PASS text ttft p50 streamed against stable"]
    assert verdicts("failures:+30pp") == ["PASS text failures share streamed against stable"]
    with pytest.raises(BenchError, match="target stable is the baseline itself"):
        verdicts("ttft@stable:+3%")
