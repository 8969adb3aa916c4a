"""The charts of the pages: what they draw, what they say, and that neither depends on anything but the data."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

import altair as alt
import pytest
from altair.utils.schemapi import validate_jsonschema

from bench.analysis.build import build
from bench.analysis.wording import with_interval
from bench.core.results.comparison import Change, Comparison, Ranking, RankingEntry, Side
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Claim, ClaimPart, Summary
from bench.reports.charts import built_in as charts
from bench.reports.charts import style
from bench.reports.charts.chart import Chart
from bench.reports.charts.ecdf import band
from bench.reports.charts.forest import forest_chart, verdict
from bench.reports.charts.gain_by_length import claim_charts
from bench.reports.charts.gaps import Bin, GapHistogram
from bench.reports.charts.ranking import ranking_chart
from bench.reports.charts.run_order import RunOrder, RunPoint
from bench.reports.charts.sweep import sweep_charts
from bench.reports.charts.waterfall.lanes import Lane, Tick, TrialPair
from bench.reports.charts.waterfall.reader import PACE, cut_at, read_along
from bench.reports.charts.waterfall.spans import Span
from bench.reports.charts.waterfall.waterfall import Waterfalls
from tests.support.loaded import Loaded, make_loaded
from tests.support.synthetic import Truth, make_run

EVIL = "<script>alert(1)</script>"
MOST_BYTES = 40_000
TICKS = tuple(Tick(700 + 12 * i + (900 if i > 100 else 0), 5, "content") for i in range(300))
END = TICKS[-1].ms
STREAMED = Lane(
    12,
    "streamed",
    "ok",
    "c12",
    END + 3,
    700,
    700,
    (
        Span(0, "connect", 0, 41),
        Span(0, "tls", 41, 110),
        Span(0, "send", 110, 113),
        Span(0, "wait", 113, 250),
        Span(1, "backoff", 250, 600),
        Span(1, "send", 600, 604),
        Span(1, "wait", 604, 700),
        Span(1, "stream", 700, END),
        Span(1, "stall", 1900, 2812),
    ),
    TICKS,
    1500,
)
BLOCKING = replace(
    STREAMED,
    trial_id=13,
    delivery="blocking",
    total=5600,
    first_token=None,
    first_useful=5600,
    spans=(Span(0, "send", 0, 2), Span(0, "wait", 2, 5500), Span(0, "body", 5500, 5600)),
    ticks=(),
    chars=0,
)
GAPS = GapHistogram(tuple(Bin(10 ** (k / 10), 10 ** ((k + 1) / 10), 100 - k) for k in range(25)), 812, 14, 3000)
ORDER = tuple(RunPoint(1.3 * i, ("streamed", "blocking")[i % 2], None if i == 21 else 300.0 + i, i) for i in range(144))
CHART_DATA = {
    Waterfalls: Waterfalls((TrialPair("median", STREAMED, BLOCKING), TrialPair("worst", STREAMED, None))),
    GapHistogram: GAPS,
    RunOrder: RunOrder(ORDER, 900),
}


def with_pair(summary: Summary, pair: TrialPair) -> Summary:
    """Its first cell has this waterfall alone."""
    return replace(summary, chart_data={0: {Waterfalls: Waterfalls((pair,))}})


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """One cell with two failures, its chart data made by hand; the model has an evil name."""
    truth = Truth(model=EVIL, fail={("streamed", 3): "timeout", ("blocking", 9): "http_5xx"})
    built = build(make_run(tmp_path_factory.mktemp("runs") / "run", [truth, Truth(useful_ms=240)]))
    return replace(built, chart_data={cell.number: CHART_DATA for cell in built.cells})


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Closed loop and open loop; in one load the client was late."""
    cells = [Loaded(load=load, cap=20) for load in ("c=1", "c=8", "c=32", "rate=5", "rate=10", "rate=30")]
    late = Loaded(load="rate=20", loop_lag_ms=30)
    run = tmp_path_factory.mktemp("runs") / "run"
    return build(make_loaded(run, [*cells, late], slos=["ttft=400ms"], requests=120))


def change(ratio: float | None, low: float | None, high: float | None, better: Any = "lower", note: str = "") -> Change:
    """A change of a metric from 100 ms."""
    key = ("text", "", "responses", "sim", "m", "sdk", "c=1")
    old, new = (Row(*key, "streamed", "ttft", "ms", "p50", 36, 0, x, x - 1, x + 1, "") for x in (100, 110.0))
    what = (old.key, EVIL, "streamed", "ttft", "ms", "p50", better)
    return Change(*what, "unpaired", old, new, ratio, low, high, 10.0, 5.0, 15.0, 36, note)


def comparison(*changes: Change) -> Comparison:
    """Of a run with its baseline."""
    return Comparison("runs", Side("before", ""), Side("after", ""), changes)


CHANGES = comparison(change(0.5, 0.4, math.inf), change(0.01, -0.02, 0.04), change(None, None, None, note="baseline 0"))


@pytest.fixture(scope="module")
def shown(summary: Summary, loaded: Summary) -> list[Chart]:
    """A chart of each sort."""
    return list(every(summary, loaded))


def every(summary: Summary, loaded: Summary) -> Iterator[Chart]:
    """A chart of each sort."""
    yield from charts.cell_charts(summary, summary.cells[0])
    yield from (chart for _, chart in sweep_charts(loaded))
    yield from claim_charts(Claim("other", "s", "HOLDS", "t", (ClaimPart(EVIL, "HOLDS", "", 9, "r", CURVE),)))
    yield forest_chart(CHANGES)
    ranking = ranking_chart(ranking_of(summary), summary)
    assert ranking
    yield ranking


CURVE = ((5.0, 0.1, 0.05, 0.15), (20.0, 0.5, 0.4, 0.6), (60.0, 0.7, 0.65, math.inf), (90.0, 0.8, 0.7, 0.9))


def ranking_of(summary: Summary) -> Ranking:
    """The cells of a summary, as they stand."""
    return Ranking("text", tuple(RankingEntry(cell.key, cell.key.model, ()) for cell in summary.cells), "It is clear.")


def drawn(chart: Chart) -> list[dict[str, Any]]:
    """All rows of data of a specification."""
    found = chart.spec.get("datasets", {}).values()
    return [row for rows in found for row in rows]


def check(chart: Chart) -> None:
    """Fails where the specification is no Vega-Lite."""
    assert validate_jsonschema(dict(chart.spec), alt.load_schema(), raise_error=False) is None


def titled(summary: Summary, title: str, cell: int = 0) -> Chart:
    """The chart of a cell whose title begins so."""
    return next(chart for chart in charts.cell_charts(summary, summary.cells[cell]) if chart.title.startswith(title))


def test_every_chart_is_valid_small_and_told_in_words(shown: list[Chart]) -> None:
    """Each follows the schema of Vega-Lite, is as wide as the page, has words with numbers and a table that is full."""
    for chart in shown:
        check(chart)
        assert len(json.dumps(chart.spec)) < MOST_BYTES, chart.title
        assert chart.spec["width"] == "container"
        assert re.search(r"\d", chart.alternative), chart.title
        assert 0 < len(chart.rows) <= style.MOST_ROWS
        assert {len(row) for row in chart.rows} == {len(chart.heads)}, chart.title
        assert not re.search(
            r"\b(nan|inf|None)\b", " ".join([chart.alternative, chart.caption, *chain.from_iterable(chart.rows)])
        )


def test_charts_are_the_same_twice(summary: Summary, loaded: Summary, shown: list[Chart]) -> None:
    """Nothing in them is drawn by lot or counted on."""
    assert list(every(summary, loaded)) == shown


def test_names_stay_data(shown: list[Chart]) -> None:
    """A name with markup stands in values only, where neither an expression nor a title is made of it."""
    for chart in shown:
        rest = {name: value for name, value in chart.spec.items() if name != "datasets"}
        assert "script" not in json.dumps(rest)


def test_cells_have_their_charts_in_the_order_of_reading(summary: Summary) -> None:
    """The curve of arrival first, the run's order last; without chart data only what the summary itself tells."""
    titles = [chart.title for chart in charts.cell_charts(summary, summary.cells[0])]
    assert titles == [
        "When it arrives",
        "A typical request (median)",
        "The worst",
        "How evenly it flows",
        "Sooner by length of the answer",
        "Client memory: tracemalloc",
        "Client memory: rss",
        "In the order of the run",
    ]
    bare = replace(summary, chart_data={}, claims=(), memory=())
    assert [chart.title for chart in charts.cell_charts(bare, summary.cells[0])] == titles[:1]


@pytest.mark.parametrize(("field", "word"), [("saturated", "SATURATED: "), ("invalid", "INVALID: ")])
def test_times_that_may_not_be_believed_are_named_so(summary: Summary, field: str, word: str) -> None:
    """Charts of times say it in the caption; memory was measured apart."""
    late: dict[str, Any] = {field: "late"}
    cell: Cell = replace(summary.cells[0], **late)
    for chart in charts.cell_charts(summary, cell):
        assert (word in chart.caption) == ("memory" not in chart.title)


def test_the_curve_of_arrival_has_a_band_and_ends_below_one(summary: Summary) -> None:
    """35 of 36 arrived: the curve ends there; the band of 36 is 0.2263 to each side, and stays within 0 and 1."""
    chart = titled(summary, "When")
    ends = [row["share"] for row in drawn(chart) if row["t"] == max(row["t"] for row in drawn(chart))]
    assert ends == [pytest.approx(35 / 36)] * 2
    assert band(36) == pytest.approx(0.2263, abs=1e-4)
    assert json.dumps(chart.spec).count(f"{band(36):.6f}") == 4
    assert "35 of 36 arrived" in chart.alternative
    assert chart.rows[-1][3] == "72 to 100 %"


def test_the_words_of_a_waterfall_are_its_numbers(summary: Summary) -> None:
    """When it began, ended and stopped, and what it took to get there, of both deliveries."""
    words = titled(summary, "A typical").alternative
    assert "trial 12: connecting took 110 ms, first token after 700 ms, whole after 5191 ms" in words
    assert "300 deltas of 1500 characters, 1 stall, 2 attempts, 350 ms of back-off in 1." in words
    assert "Blocking trial 13: whole after 5600 ms." in words


def test_a_waterfall_draws_spans_deltas_and_the_whole(summary: Summary) -> None:
    """Every span is a bar in its lane below zero, the line ends at all characters, and a stall is hatched."""
    chart = titled(summary, "A typical")
    bars = [row for row in drawn(chart) if "full" in row]
    assert len(bars) == len(STREAMED.spans) + len(BLOCKING.spans)
    assert all(row["y"] < 0 for row in bars)
    first, second, third = sorted({row["y"] for row in bars if row["kind"] == "wait"}, reverse=True)
    assert first - second == pytest.approx(second - third, rel=1e-3)
    assert max(row["y"] for row in drawn(chart) if "y" in row) == 1500
    assert "streamed" in (label := chart.spec["layer"][0]["encoding"]["y"]["axis"]["labelExpr"])
    assert "attempt 2" in label


def test_a_failed_stream_without_deltas_is_drawn_as_lanes(summary: Summary) -> None:
    """Without a character there is no upper part, and nothing is said of a reader."""
    failed = replace(STREAMED, status="timeout", ticks=(), first_useful=None, first_token=None, chars=0)
    pair = TrialPair("worst", failed, replace(BLOCKING, status="http_5xx"))
    chart = titled(with_pair(summary, pair), "The worst")
    check(chart)
    assert "ended as timeout after" in chart.alternative
    assert "ended as http_5xx after" in chart.alternative
    assert "Reading" not in chart.alternative


def test_a_blocking_answer_of_unknown_length_is_not_drawn(summary: Summary) -> None:
    """The streamed one of the pair broke off, so that nothing tells how long the whole is; the caption has no line."""
    for status, seen in (("ok", True), ("timeout", False)):
        pair = TrialPair("worst", replace(STREAMED, status=status), BLOCKING)
        chart = titled(with_pair(summary, pair), "The worst")
        assert ("the dashed line" in chart.caption) is seen
        assert ("[6, 4]" in json.dumps(chart.spec)) is seen


def test_where_a_trial_failed_is_marked(summary: Summary) -> None:
    """Its class stands below the end of its bars, and its line ends there; of an ok one nothing does."""
    failed = replace(STREAMED, status="cut_mid_stream", total=2000.0, ticks=TICKS[:50])
    pair = TrialPair("worst", failed, BLOCKING)
    chart = titled(with_pair(summary, pair), "The worst")
    check(chart)
    marks = [row for row in drawn(chart) if str(row.get("text", "")).startswith("✕")]
    assert marks == [{"x": 2000.0, "text": "✕ cut_mid_stream"}]
    assert max(row["x"] for row in drawn(chart) if row.keys() == {"x", "y"} and row["y"] == 250) == 2000
    assert "✕" not in json.dumps(titled(summary, "A typical").spec, ensure_ascii=False)


@pytest.mark.parametrize(
    ("low", "high", "values"),
    [
        (1, 20, [1, 2, 5, 10, 20]),
        (1, 1e5, [10**k for k in range(6)]),
        (2.5, 8, [3, 4, 5, 6, 7, 8]),
        (2.1, 2.9, [2.1, 2.9]),
    ],
)
def test_a_log_axis_has_round_numbers(low: float, high: float, values: list[float]) -> None:
    """As many as tell the scale: also within one decade."""
    assert style.log_values(low, high) == pytest.approx(values)


def test_every_lane_has_its_name(summary: Summary) -> None:
    """Also the first one, which is near the zero above it: no label gives way to another."""
    axis = titled(summary, "A typical").spec["layer"][0]["encoding"]["y"]["axis"]
    assert axis["labelOverlap"] is False
    assert len([value for value in axis["values"] if value < 0]) == 3
    assert axis["tickCount"] >= len(axis["values"])


@pytest.mark.parametrize(("chars", "seen"), [(5, True), (500, False)])
def test_a_reader_who_could_not_be_seen_is_not_drawn(summary: Summary, chars: int, seen: bool) -> None:
    """Of very much text in a short time a reader gets nowhere: the words say it, the caption has no line."""
    ticks = tuple(tick._replace(chars=chars) for tick in TICKS)
    pair = TrialPair("median", replace(STREAMED, ticks=ticks), BLOCKING)
    chart = titled(with_pair(summary, pair), "A typical")
    assert ("dotted line" in chart.caption) is seen
    assert any(row.get("name") == "reader" for row in drawn(chart)) is seen
    assert "Reading 238 words a minute" in chart.alternative


def test_long_requests_are_drawn_in_seconds(summary: Summary) -> None:
    """Above 10 s the axis says s, and the data are in s."""
    pair = TrialPair("worst", replace(STREAMED, total=60_000.0), None)
    chart = titled(with_pair(summary, pair), "The worst")
    assert '"s since the call"' in json.dumps(chart.spec)
    assert max(row["x"] for row in drawn(chart) if "x" in row) == pytest.approx(61.2)


def test_a_reader_never_reads_what_has_not_come() -> None:
    """Reads at 238 words a minute, stops where all is read, and the time without anything to read is waiting."""
    read = read_along([(100, 10), (2100, 20)], start=100)
    assert read.points[1] == pytest.approx((100 + 10 / PACE, 10))
    assert read.waited == pytest.approx(2000 - 10 / PACE)
    assert read.points[-1] == pytest.approx((2100 + 10 / PACE, 20))
    assert read_along([(100, 1000), (2100, 2000)], start=100).waited == 0
    assert cut_at(read.points, 200)[-1] == pytest.approx((200, 100 * PACE))


def test_tool_arguments_have_no_reader(summary: Summary) -> None:
    """Characters that no person reads are drawn, without a reader's line."""
    ticks = tuple(tick._replace(kind="tool_args") for tick in TICKS)
    pair = TrialPair("worst", replace(STREAMED, ticks=ticks), None)
    chart = titled(with_pair(summary, pair), "The worst")
    assert "1500 characters" in chart.alternative
    assert "Reading" not in chart.alternative
    assert not [row for row in drawn(chart) if row.get("name") == "reader"]


def test_gaps_name_the_same_read_and_the_stalls(summary: Summary) -> None:
    """The bar of the same read stands left of all bins, and the zone of stalls begins at 200 ms."""
    chart = titled(summary, "How evenly")
    same = next(row for row in drawn(chart) if row.get("text") == "same read")
    assert same["number"] == 812
    assert 0 < same["high"] < GAPS.bins[0].low
    assert {row["low"] for row in drawn(chart) if row.get("text") == "stall"} == {50, 200}
    assert "812 (27.1 %) within the same read, 14 were stalls" in chart.alternative
    assert chart.rows[0] == ("same read", "", "812")


def test_gaps_of_one_size_have_an_axis(summary: Summary) -> None:
    """A histogram of one bin, of no zone and with nothing in the same read is drawn as well."""
    gaps = GapHistogram((Bin(7.0, 8.8, 40),), 0, 0, 40)
    chart = titled(replace(summary, chart_data={0: {GapHistogram: gaps}}), "How evenly")
    check(chart)
    assert [row for row in drawn(chart) if row.get("text")] == []


def test_the_gain_stands_with_its_cell_and_other_curves_with_their_claim(summary: Summary) -> None:
    """The part of `sooner` about this cell, above the claimed band; points without a finite interval are left out."""
    part = ClaimPart(summary.cells[0].label, "REFUTED", "70 %", 36, "r", CURVE)
    claim = Claim("sooner", "It is sooner", "REFUTED", "t", (replace(part, subject="another"), part))
    chart = titled(replace(summary, claims=(claim,)), "Sooner")
    assert chart.alternative.startswith("10.0 % [5.0, 15.0] at 5 output tokens; 50.0 % [40.0, 60.0] at 20")
    assert "1 lengths without a finite interval are left out" in chart.caption
    assert "claimed: 20 to 40 %" in json.dumps(chart.spec)
    assert not list(claim_charts(claim))
    many = replace(claim, name="other", parts=(part,) * 30)
    assert [chart.title for chart in claim_charts(many)] == [part.subject] * 6


def test_the_order_of_the_run_marks_failures_and_says_what_was_left_out(summary: Summary) -> None:
    """A failed trial stands at the upper edge; the table has every 3rd row and says so."""
    chart = titled(summary, "In the order")
    top = [row for row in drawn(chart) if row["t"] > 443]
    assert [(row["s"], row["delivery"]) for row in top] == [(27.3, "blocking")]
    assert "Drawn: 144 of 900 trials. Table: every 3rd of 144 rows." in chart.caption
    assert "blocking: 72 trials in 186 s of the run, 301 ms to 443 ms, 1 failed" in chart.alternative


def test_loads_have_times_and_goodput_of_each_loop(loaded: Summary) -> None:
    """Open and closed loop apart; concurrency on a log axis; limit and knee are lines; late loads are grey."""
    found = list(sweep_charts(loaded))
    titles = ["First token by concurrency", "Goodput by concurrency", "First token by rate", "Goodput by rate"]
    assert [chart.title for _, chart in found] == titles
    assert {label for label, _ in found} == {"text"}
    closed, opened = found[0][1], found[2][1]
    assert '"base": 2' in json.dumps(closed.spec)
    assert '"base": 2' not in json.dumps(opened.spec)
    assert {"SLO ttft=400ms", "knee"} <= {row.get("text") for row in drawn(closed)}
    assert "Hollow and grey" in opened.caption
    assert "Hollow" not in closed.caption
    row = loaded.row(loaded.cells[0], "streamed", "ttft", "p50")
    assert f"p50: {with_interval(row)} at c=1" in closed.alternative
    late = [row for row in opened.rows if row[0] == "rate=20"]
    assert {row[-1] for row in late} == {"SATURATED"}


def test_one_load_is_no_sweep(tmp_path: Path) -> None:
    """A line needs two ends."""
    assert not list(sweep_charts(build(make_loaded(tmp_path / "r", [Loaded()], requests=60))))


@pytest.mark.parametrize(
    ("low", "high", "better", "expected"),
    [
        (0.1, 0.2, "lower", "worse"),
        (0.1, 0.2, "higher", "better"),
        (-0.2, -0.1, "lower", "better"),
        (-0.2, -0.1, "higher", "worse"),
        (-0.2, -0.1, "neither", "changed"),
        (-0.1, 0.1, "lower", "not clear"),
        (0.0, 0.1, "lower", "not clear"),
    ],
)
def test_a_change_is_judged_by_its_interval(low: float, high: float, better: str, expected: str) -> None:
    """An interval that reaches zero says nothing, whatever the estimate is."""
    assert verdict(change((low + high) / 2, low, high, better)) == expected


def test_a_forest_draws_ratios_and_lists_the_rest() -> None:
    """Endless intervals are cut at the edge, as is said; a change without a ratio is in the table with its reason."""
    chart = forest_chart(CHANGES)
    strips = [row for row in drawn(chart) if "low" in row]
    assert [(row["i"], row["x"]) for row in strips] == [(0, 1.5), (1, 1.01)]
    assert strips[0]["high"] == max(chart.spec["layer"][1]["encoding"]["x"]["scale"]["domain"])
    assert "go on beyond it" in chart.caption
    assert "1 without a ratio is in the table only" in chart.caption
    assert chart.rows[2][3] == "n/a (baseline 0)"
    assert chart.alternative.startswith("Of 2 changes 1 worse, 1 not clear.")
    assert "+50.0 % [+40.0, ∞]" in chart.alternative


def test_a_forest_is_cut_at_forty() -> None:
    """The first forty are drawn, in their order, and the caption says of how many."""
    chart = forest_chart(comparison(*(change(0.5 - i / 100, 0.4, 0.6) for i in range(50))))
    assert len([row for row in drawn(chart) if "low" in row]) == 40
    assert "the first 40 of 50" in chart.caption
    assert len(chart.rows) == 50


def test_a_comparison_without_a_ratio_is_still_a_chart() -> None:
    """Nothing to draw is no error."""
    chart = forest_chart(comparison(change(None, None, None, note="baseline 0")))
    check(chart)
    assert chart.alternative == "No change has a ratio."


def test_a_ranking_has_the_medians_of_the_summary(summary: Summary) -> None:
    """Each with its interval; with fewer than two medians there is nothing to rank."""
    ranking = ranking_of(summary)
    chart = ranking_chart(ranking, summary)
    assert chart is not None
    row = summary.row(summary.cells[1], "streamed", "ttfu", "p50")
    assert with_interval(row) in chart.alternative
    assert chart.alternative.endswith("It is clear.")
    assert [row["name"] for row in drawn(chart)] == [EVIL, "sim-1"]
    assert ranking_chart(replace(ranking, entries=ranking.entries[:1]), summary) is None
