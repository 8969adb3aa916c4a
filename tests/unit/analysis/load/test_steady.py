"""Throughput, goodput, queues and the knee, from simulated queues of which the truth is known."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.build import build
from bench.analysis.load import steady
from bench.analysis.load.knee import Outcome, Step, is_overloaded, knee, lower_bound, trials_to_decide
from bench.core.load import Load
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Summary
from bench.reports.data_files import render_csv, render_json
from bench.stats.intervals import Estimate
from bench.stats.serial_correlation import widen_by_parts
from tests.support.loaded import TOKENS, Loaded, _segment, make_loaded
from tests.support.synthetic import Truth, make_run

CAPACITY = 20
"""Answers a second of the servers of `Loaded`."""
LOADS = ("c=1", "rate=5", "rate=10", "rate=30")
SLOS = ("ttft=300ms", "total=1s")


def number(
    summary: Summary, load: str, metric: str, statistic: str, delivery: str = "streamed", client: str = "wire"
) -> Row:
    """A row of the cell with this load, which must be there."""
    (cell,) = (one for one in summary.cells if (one.key.load, one.key.client) == (load, client))
    row = summary.row(cell, delivery, metric, statistic)
    assert row is not None
    return row


def holds(row: Row, truth: float) -> bool:
    """Whether the row's interval holds the truth."""
    return row.low is not None and row.high is not None and row.low <= truth <= row.high


@pytest.fixture(scope="module")
def swept(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Up to a load above the capacity, and the two lower rates by the SDK, which is 6 ms late."""
    late = [Loaded(load=load, client="sdk", client_late_ms=6, cpu_ns_per_event=120_000) for load in LOADS[1:3]]
    cells = [*(Loaded(load=load) for load in LOADS), *late]
    return build(make_loaded(tmp_path_factory.mktemp("runs") / "run", cells, slos=SLOS))


def test_throughput_is_what_the_servers_do(swept: Summary) -> None:
    """Below the capacity as many end as begin, above it as many as the servers can, and their tokens with them."""
    for load, truth in (("rate=5", 5), ("rate=10", 10), ("rate=30", CAPACITY)):
        for metric, factor in (("requests_per_s", 1), ("output_tokens_per_s", TOKENS)):
            assert holds(number(swept, load, metric, "rate"), truth * factor)


def test_one_at_a_time_pauses_do_not_count(swept: Summary) -> None:
    """At c=1 an answer takes 200 ms, so five a second, however long the pauses between the trials are."""
    row = number(swept, "c=1", "requests_per_s", "rate")
    assert row.estimate == pytest.approx(5, rel=0.03)
    assert "pauses" in row.note


def test_in_flight_obeys_littles_law(swept: Summary) -> None:
    """What is in flight is the rate times the time an answer takes; it grows only above the capacity."""
    for load in ("rate=5", "rate=10"):
        flight, rate = number(swept, load, "in_flight", "rate"), number(swept, load, "requests_per_s", "rate")
        assert flight.estimate == pytest.approx((rate.estimate or 0) * 0.21, rel=0.15)
    slope = number(swept, "rate=30", "in_flight", "slope")
    assert holds(slope, 30 - CAPACITY)
    assert slope.low is not None
    assert slope.low > 0


def test_an_overloaded_cell_is_named_and_left_out(swept: Summary) -> None:
    """Where the queue grew a note says so, and the answer leaves the cell out."""
    assert [cell.key.load for cell in swept.cells if is_overloaded(cell)] == ["rate=30"]
    assert "1 cell in which ever more were in flight" in swept.answer
    assert "times changed while the run went on" not in swept.trust.sentence


def test_the_schedule_was_kept(swept: Summary) -> None:
    """A client that is in time begins what the schedule asks for."""
    asked, begun = (number(swept, "rate=10", name, "rate").estimate for name in ("offered_rate", "start_rate"))
    assert asked == pytest.approx(10, rel=0.2)
    assert begun == pytest.approx(asked)
    assert number(swept, "rate=10", "start_lag", "p50").estimate == pytest.approx(0.1)


def test_goodput_is_of_all_offered(tmp_path: Path) -> None:
    """Failed and shed trials are not good; each limit has a share of its own, and what a delivery lacks is said."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(fail=0.3)], slos=["ttft=300ms", "total=1ms"]))
    failures = number(summary, "rate=10", "failures", "share").estimate or 0
    assert failures == pytest.approx(0.3, abs=0.1)
    assert number(summary, "rate=10", "slo.ttft", "share").estimate == pytest.approx(1 - failures)
    assert number(summary, "rate=10", "slo.total", "share").estimate == 0
    assert number(summary, "rate=10", "goodput", "share").estimate == 0
    assert number(summary, "rate=10", "good_per_s", "rate").estimate == 0
    note = number(summary, "rate=10", "goodput", "share", "blocking").note
    assert note == "total=1ms; ttft=300ms is not of blocking answers"


def test_a_limit_that_a_delivery_lacks_gives_no_goodput(tmp_path: Path) -> None:
    """A limit on the first token says nothing of blocking answers: no share, and why."""
    summary = build(make_loaded(tmp_path / "r", [Loaded()], slos=["ttft=300ms"], requests=60))
    row = number(summary, "rate=10", "goodput", "share", "blocking")
    assert (row.estimate, row.note) == (None, "n/a (ttft=300ms: not of blocking answers)")


def test_a_limit_on_itl_takes_the_mean_gap_of_a_trial(tmp_path: Path) -> None:
    """150 ms in 19 gaps are 7.9 ms a gap: a limit of 7 ms none keeps to, one of 12 ms nearly all."""
    for limit, least, most in (("7ms", 0, 0.2), ("12ms", 0.95, 1)):
        summary = build(make_loaded(tmp_path / limit, [Loaded(load="rate=5")], slos=[f"itl={limit}"], requests=60))
        assert least <= (number(summary, "rate=5", "slo.itl", "share").estimate or 0) <= most


def test_the_knee_is_the_last_load_that_passes(swept: Summary) -> None:
    """Below the capacity loads pass, above it they fail; a sweep that never fails has a knee of at least its end."""
    found = {(one.key.client, one.delivery, one.key.load): one for one in swept.knees}
    wire = found["wire", "streamed", "rate"]
    assert (wire.load, wire.size) == ("rate=10", 10)
    assert wire.said.startswith("rate=10; rate=30 fails: ")
    assert found["sdk", "streamed", "rate"].said == "at least rate=10: the highest load that was run passes"
    rows = {row.client: row.estimate for row in swept.rows if (row.metric, row.delivery) == ("knee", "streamed")}
    assert rows == {"wire": 10, "sdk": 10}


def test_without_limits_there_is_no_knee(tmp_path: Path) -> None:
    """No --slo: throughput is there, goodput and knee are not."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(), Loaded(load="rate=5")], requests=60))
    assert {one.said for one in summary.knees} == {"n/a (no --slo)"}
    assert not [row for row in summary.rows if row.metric == "goodput"]


def test_shed_trials_fail_the_load(tmp_path: Path) -> None:
    """Above the capacity a cap sheds a third: offered, infinite in the p99, and the load fails for it."""
    run = make_loaded(tmp_path / "r", [Loaded(load="rate=30", cap=8)], slos=["total=5s"], requests=400)
    summary = build(run)
    shed = number(summary, "rate=30", "failures.shed", "sum")
    assert (shed.estimate or 0) / shed.n == pytest.approx(1 / 3, abs=0.1)
    assert number(summary, "rate=30", "total", "p99").estimate == float("inf")
    assert number(summary, "rate=30", "requests_per_s", "rate").estimate == pytest.approx(CAPACITY, rel=0.15)
    assert {one.load for one in summary.knees} == {""}
    assert all("were shed (--max-in-flight)" in one.said for one in summary.knees)


def test_a_client_that_falls_behind_says_nothing_of_the_server(tmp_path: Path) -> None:
    """When the starts take 1.3 times as long as the schedule wanted, the load is neither passed nor failed."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="rate=5", behind=0.3)], slos=["total=100s"]))
    begun, asked = (number(summary, "rate=5", name, "rate").estimate or 0 for name in ("start_rate", "offered_rate"))
    assert begun / asked == pytest.approx(1 / 1.3, rel=0.05)
    assert all("the client fell behind" in one.said for one in summary.knees)


def test_few_trials_say_how_many_it_takes(tmp_path: Path) -> None:
    """30 good of 30 are too few for 90 % at 99 %: 44 are needed, so the knee is open."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="rate=5")], slos=["total=9s"], requests=30))
    assert {one.load for one in summary.knees} == {""}
    assert all("NOT ENOUGH DATA" in one.said and "trials would decide" in one.said for one in summary.knees)


@pytest.mark.parametrize(("misses", "least"), [(0, 44), (1, 64), (2, 81)])
def test_early_stopping_rule(misses: int, least: int) -> None:
    """90 % at 99 % confidence: so many trials are needed after 0, 1 and 2 misses, and not one fewer."""
    assert lower_bound(least - misses, least) >= 0.9
    assert lower_bound(least - 1 - misses, least - 1) < 0.9


def test_needed_decides_either_way() -> None:
    """95 % good of 40 takes a few hundred trials to pass; 90 % of 40 no number of them."""
    more = trials_to_decide(38, 40)
    assert more is not None
    assert 100 < more < 1000
    assert trials_to_decide(36, 40) is None


def test_a_lower_load_that_fails_ends_the_search() -> None:
    """However well a higher load did, the knee lies below the first one that does not pass."""
    outcomes: Sequence[tuple[float, Outcome]] = ((5, "passed"), (10, "failed"), (20, "passed"))
    steps = [Step(Load(rate=rate), outcome, "why", 50) for rate, outcome in outcomes]
    found = knee(CellKey("text", "", "responses", "sim", "m", "wire", "rate"), "streamed", steps)
    assert (found.load, found.said) == ("rate=5", "rate=5; rate=10 fails: why")


@pytest.fixture
def closed(tmp_path: Path) -> Summary:
    """Eight at a time on four servers."""
    return build(make_loaded(tmp_path / "r", [Loaded(load="c=8")], slos=["total=1s"], ramp=8))


def test_closed_loop_is_bounded(closed: Summary) -> None:
    """Eight are in flight, the servers are all at work, and the trials of the ramp are in no figure."""
    assert number(closed, "c=8", "in_flight", "rate").estimate == pytest.approx(8, abs=0.2)
    assert number(closed, "c=8", "requests_per_s", "rate").estimate == pytest.approx(CAPACITY, rel=0.05)
    assert number(closed, "c=8", "failures", "sum").n == 200
    assert closed.row(closed.cells[0], "streamed", "in_flight", "slope") is None


def test_deliveries_side_by_side_have_no_rate(tmp_path: Path) -> None:
    """In runs of older versions both deliveries share a segment: no rate belongs to one of them."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="c=8")], together=True))
    row = number(summary, "c=8", "requests_per_s", "rate")
    assert (row.estimate, row.note) == (None, steady.TOGETHER)


def test_a_segment_without_a_steady_part_has_no_rate(tmp_path: Path) -> None:
    """Eight trials at eight at a time begin all at once: there is no window, and the reason is said."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="c=8")], requests=16))
    row = number(summary, "c=8", "requests_per_s", "rate")
    assert (row.estimate, row.note) == (None, steady.NOT_STEADY)


def test_a_default_run_has_no_load_rows(tmp_path: Path) -> None:
    """One at a time without limits, summary.csv has what it had before: no rates, no knee."""
    summary = build(make_run(tmp_path / "r", [Truth()]))
    assert not summary.knees
    assert not {row.metric for row in summary.rows} & {"requests_per_s", "goodput", "knee", "in_flight"}


def test_the_sdk_adds_what_it_was_given(swept: Summary) -> None:
    """6 ms later in every mark, and 117 µs of CPU an event, against the client that only reads."""
    for metric, delivery in (("sdk_ttft", "streamed"), ("sdk_total", "streamed"), ("sdk_total", "blocking")):
        assert holds(number(swept, "rate=10", metric, "hl", delivery, "sdk"), 6)
    assert number(swept, "rate=10", "sdk_cpu_per_event", "rate", client="sdk").estimate == pytest.approx(0.117)
    assert swept.row(swept.cells[1], "streamed", "sdk_ttft", "hl") is None


def test_a_late_client_has_no_difference(tmp_path: Path) -> None:
    """A cell in which the client was late says nothing of what the SDK adds, and is told what helps."""
    late = Loaded(load="rate=5", client="sdk", loop_lag_ms=30)
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="rate=5"), late], slos=SLOS, requests=60))
    assert number(summary, "rate=5", "sdk_ttft", "hl", client="sdk").estimate is None
    assert "--client wire" in summary.cells[1].saturated
    assert {one.load for one in summary.knees if one.key.client == "sdk"} == {""}


def test_a_late_lean_client_wants_more_processes(tmp_path: Path) -> None:
    """Where the client that only reads is late, more of it helps."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="c=8", loop_lag_ms=30)], requests=60))
    assert "--workers" in summary.cells[0].saturated


def test_files_carry_client_load_and_knee(swept: Summary) -> None:
    """summary.csv has a line for each number with client and load, summary.json the knees beside them."""
    lines = render_csv(swept).splitlines()
    assert any(",wire,rate=10,streamed,goodput,share,share,200,0,1.0," in line for line in lines)
    found = [one for one in json.loads(render_json(swept))["knees"] if one["key"]["client"] == "wire"]
    assert [(one["delivery"], one["load"]) for one in found] == [("streamed", "rate=10"), ("blocking", "rate=10")]


def test_rates_are_never_of_single_answers() -> None:
    """Two segments of different length: the rate is all that ended by all the time, not a mean of two rates."""
    trials = pd.DataFrame(_trials(0, 100, 0.1) + _trials(1, 30, 1.0))
    frame = trials.astype({"t_call": "Int64", "t_origin": "Int64", "t_end": "Int64"})
    parts = steady.segments(frame, frame[:0], Load(concurrency=2))
    rate, n = steady.ended_per_second(parts, frame["t_end"].to_numpy(float) / 1e9, np.ones(len(frame)))
    assert rate.value == pytest.approx(n / sum(part.seconds for part in parts))


def _trials(block: int, number: int, every_s: float) -> list[dict[str, object]]:
    starts = [int((1000 * block + place * every_s) * 1e9) for place in range(number)]
    return [
        {"block": block, "status": "ok", "t_call": t, "t_origin": t, "t_end": t + int(2 * every_s * 1e9)}
        for t in starts
    ]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("rate", "truth", "least", "alarms"), [(5, 5, 0.88, 0.1), (10, 10, 0.88, 0.1), (25, 17.6, 0.88, 1)]
)
def test_intervals_hold_the_truth_in_simulated_queues(rate: float, truth: float, least: float, alarms: float) -> None:
    """In 100 runs the interval of the rate covers as docs/statistics.md says, and a stable queue seldom grows."""
    rng, covered, grew = np.random.default_rng(3), 0, 0
    for _ in range(100):
        rows, clock = [], 1.0
        for block in range(2):
            made = list(_segment(Loaded(load=f"rate={rate}", noise=0.5), 200, clock, rng.exponential(1, 200), rng))
            rows += [row | {"block": block} for row in made]
            clock = max(row["t_end"] for row in made) / 1e9 + 2
        frame = pd.DataFrame(rows).astype({"t_call": "Int64", "t_origin": "Int64", "t_end": "Int64"})
        parts = steady.segments(frame, frame[:0], Load(rate=rate))
        found, _ = steady.ended_per_second(parts, frame["t_end"].to_numpy(float) / 1e9, np.ones(len(frame)))
        slope = steady.in_flight(parts)[1]
        covered += found.low is not None and found.high is not None and found.low <= truth <= found.high
        grew += slope.low is not None and slope.low > 0
    assert covered >= 100 * least
    assert grew <= 100 * alarms
    assert grew >= (50 if alarms == 1 else 0)


def test_a_rate_is_never_negative() -> None:
    """Few batches that differ and follow a trend: an interval above zero, or none and why; never one below it."""
    trend = np.arange(1.0, 13)
    found = steady.ratio(trend, np.ones(12))
    assert found.low is None or found.low > 0
    assert steady.ratio(trend[:5], np.ones(5)).note == "no interval: 5 of 6 batches of trials"
    assert steady.ratio(np.array([0, 0, 0, 0, 0, 9.0]), np.ones(6)).note.startswith("no interval: ")
    assert steady.ratio(np.zeros(8), np.ones(8)).value == 0


def test_closed_loop_does_not_count_at_the_edges(tmp_path: Path) -> None:
    """Sixteen at a time end together, every 200 ms: 80 a second, wherever a window of few answers ends."""
    cell = Loaded(load="c=16", servers=16, noise=0.02)
    for requests in (64, 80, 112):
        summary = build(make_loaded(tmp_path / f"{requests}", [cell], requests=requests, deliveries=["streamed"]))
        assert number(summary, "c=16", "requests_per_s", "rate").estimate == pytest.approx(80, rel=0.02)


def test_a_queue_that_grows_is_seen_in_few_trials(tmp_path: Path) -> None:
    """60 trials a segment at 1.5 times the capacity: fewer end than begin, however uneven the arrivals are."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="rate=30")], requests=120, seed=3))
    assert is_overloaded(summary.cells[0])


def test_too_few_trials_one_at_a_time_do_not_end_the_search() -> None:
    """c=1 takes its own few pairs: left open, the search begins at the first load."""
    steps = [Step(Load(concurrency=1), "open", "few", 12), Step(Load(concurrency=8), "passed", "", 128)]
    found = knee(CellKey("text", "", "responses", "sim", "m", "wire", "c"), "streamed", steps)
    assert found.load == "c=8"


def test_segments_that_differ_widen_the_shift() -> None:
    """Two rounds of 0 ± 1 and 6 ± 1 say less than one of 3 ± 0.7; rounds that agree leave it as it is."""
    whole = Estimate(3, 2.3, 3.7)
    found = widen_by_parts(whole, [Estimate(0, -1, 1), Estimate(6, 5, 7)])
    assert found.low is not None
    assert found.low < 0
    assert (found.high or 0) > 6
    assert "segments differ" in found.note
    assert widen_by_parts(whole, [Estimate(2.9, 1.9, 3.9), Estimate(3.1, 2.1, 4.1)]) == whole
