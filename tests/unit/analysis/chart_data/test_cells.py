"""What the pictures are drawn from: on runs of which every stamp is known."""

from __future__ import annotations

import math
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from bench.analysis.build import build
from bench.analysis.chart_data import gaps
from bench.analysis.chart_data import run_order as order
from bench.analysis.chart_data import waterfall as lanes
from bench.analysis.chart_data.cells import figures
from bench.analysis.chart_data.spans import Stamped, spans
from bench.analysis.tables import load
from bench.core.chart_data import CellFigures, Lane, Span, Waterfall
from tests.support.synthetic import TRIED_MS, Truth, make_run

EXACT = Truth(noise=0, stamped=True)
"""Each trial is like the other: first delta after 120 ms, then one each 5 ms."""
LAST_DELTA = 120 + 59 * 5


def drawn(tmp_path: Path, truth: Truth, pairs: int = 9) -> CellFigures:
    return figures(load(make_run(tmp_path / "run", [truth], pairs=pairs, memory=False)))[0]


def of(found: CellFigures) -> dict[str, Waterfall]:
    return {waterfall.which: waterfall for waterfall in found.waterfalls}


def stretches(lane: Lane, kind: str) -> list[tuple[float, float]]:
    return [(span.start, span.end) for span in lane.spans if span.kind == kind]


def total(longer: float) -> float:
    """Times, in ms, of a streamed trial that takes this fraction longer; its end comes 5 ms after its last delta."""
    return LAST_DELTA * (1 + longer) + 5


def test_a_waterfall_is_of_the_trial_with_the_median_total(tmp_path: Path) -> None:
    """Of nine trials the fifth by total, and the slowest; no p95 of so few. Beside it the blocking one of its pair."""
    slow = {pair: pair / 10 for pair in range(9)}
    frames = load(make_run(tmp_path / "run", [replace(EXACT, slow=slow)], pairs=9, warmup=0))
    found = of(figures(frames)[0])
    assert {which: one.streamed.trial_id for which, one in found.items()} == {"median": 2 * 4, "worst": 2 * 8}
    assert [one.blocking and one.blocking.trial_id for one in found.values()] == [2 * 4 + 1, 2 * 8 + 1]
    assert found["median"].streamed.total == pytest.approx(total(0.4))


def test_a_failed_trial_is_the_worst(tmp_path: Path) -> None:
    """However soon it failed, for its user nothing came."""
    truth = replace(EXACT, slow={3: 2.0}, fail={("streamed", 5): "timeout"})
    assert of(drawn(tmp_path, truth))["worst"].streamed.status == "timeout"


def test_what_never_ran_stands_for_nothing(tmp_path: Path) -> None:
    """Trials that were not sent, or cut off by us, are not chosen, nor drawn beside the one that was."""
    fail = {("streamed", 5): "shed", ("streamed", 6): "lost", **{("blocking", pair): "cancelled" for pair in range(9)}}
    found = of(drawn(tmp_path, replace(EXACT, fail=fail)))
    assert {one.streamed.status for one in found.values()} == {"ok"}
    assert {one.blocking for one in found.values()} == {None}


@pytest.mark.parametrize(("pairs", "known"), [(71, False), (72, True)])
def test_p95_only_where_there_is_one(tmp_path: Path, pairs: int, known: bool) -> None:
    """From 72 trials on, as in the tables; it is the trial of rank ceil(0.95 n)."""
    slow = {pair: pair / 100 for pair in range(pairs)}
    found = of(drawn(tmp_path, replace(EXACT, slow=slow), pairs=pairs))
    assert ("p95" in found) == known
    if known:
        rank = math.ceil(0.95 * pairs)
        assert found["p95"].streamed.total == pytest.approx(total((rank - 1) / 100))


def test_one_trial_is_drawn_once(tmp_path: Path) -> None:
    """Of a single pair the median is the worst too."""
    assert [one.which for one in drawn(tmp_path, EXACT, pairs=1).waterfalls] == ["median"]


def test_the_next_by_rank_stands_in_where_no_events_were_kept(tmp_path: Path) -> None:
    """The median's events were not stored: the next faster one's were. Without any there is no waterfall."""
    truth = replace(EXACT, slow={pair: pair / 10 for pair in range(9)})
    next_ = of(drawn(tmp_path / "some", replace(truth, unstored=frozenset({4, 5}))))["median"]
    assert next_.streamed.total == pytest.approx(total(0.3))
    assert drawn(tmp_path / "none", replace(truth, unstored=frozenset(range(9)))).waterfalls == ()


def test_spans_of_a_trial_follow_its_stamps(tmp_path: Path) -> None:
    """Opened, sent, waited for until the first token, streamed; the blocking one went over the open connection."""
    both = of(drawn(tmp_path, replace(EXACT, new_connection=frozenset({0}), connect_ms=41), pairs=1))["median"]
    assert both.streamed.spans == (
        Span(0, "connect", 0, 41),
        Span(0, "send", 41, 42),
        Span(0, "wait", 42, 120),
        Span(0, "stream", 120, LAST_DELTA),
    )
    assert both.blocking is not None
    assert [span.kind for span in both.blocking.spans] == ["send", "wait", "body"]
    assert both.streamed.first_token == both.streamed.first_useful == pytest.approx(120)
    assert both.streamed.client_id


def test_every_delta_is_a_tick(tmp_path: Path) -> None:
    """At its read, with its characters; the event that repeats them all is none. A blocking trial has none."""
    both = of(drawn(tmp_path, EXACT, pairs=1))["median"]
    assert [tick.ms for tick in both.streamed.ticks] == pytest.approx([120 + 5 * i for i in range(60)])
    assert {(tick.chars, tick.kind) for tick in both.streamed.ticks} == {(4, "content")}
    assert both.streamed.chars == 240
    assert both.blocking is not None
    assert both.blocking.ticks == ()


def test_many_deltas_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long answer has no more ticks than a picture can show, and all of its characters."""
    monkeypatch.setattr(lanes, "MOST_TICKS", 25)
    ticks = of(drawn(tmp_path, EXACT, pairs=1))["median"].streamed.ticks
    assert [tick.chars for tick in ticks] == [12] * 20
    assert ticks[-1].ms == pytest.approx(LAST_DELTA)


def test_a_stall_is_found_at_its_place(tmp_path: Path) -> None:
    """A pause of 300 ms after the 30th delta is a span from that delta to the next; even gaps have none."""
    found = of(drawn(tmp_path, replace(EXACT, stalled={2: 300.0})))
    before = 120 + 29 * 5
    assert stretches(found["worst"].streamed, "stall") == [pytest.approx((before, before + 305))]
    assert stretches(found["median"].streamed, "stall") == []


def test_a_retried_trial_has_two_attempts_and_its_backoff(tmp_path: Path) -> None:
    """The first was refused after 12 ms; then the client waited for half a second."""
    lane = of(drawn(tmp_path, replace(EXACT, backoff={2: 500.0})))["worst"].streamed
    assert stretches(lane, "backoff") == [pytest.approx((TRIED_MS, TRIED_MS + 500))]
    assert {span.attempt: span.kind for span in lane.spans} == {0: "body", 1: "stream"}
    assert {span.attempt for span in lane.spans if span.start > TRIED_MS + 499} == {1}


def test_what_broke_lasts_until_its_end() -> None:
    """A connection that was never made, and a request that was never answered; a missing stamp is no zero."""
    none = Stamped(*[None] * 8)
    refused = none._replace(t_start=0, t_connect=1, t_end=9)
    assert list(spans(0, refused, None, streamed=False)) == [Span(0, "connect", 1, 9)]
    silent = none._replace(t_start=0, t_sent=2, t_end=9)
    assert list(spans(3, silent, -4, streamed=False)) == [
        Span(3, "backoff", -4, 0),
        Span(3, "send", 0, 2),
        Span(3, "wait", 2, 9),
    ]
    assert list(spans(0, none, 5, streamed=True)) == []


def test_an_encrypted_connection_shows_its_handshake() -> None:
    """TCP, then TLS, then the request."""
    stamps = Stamped(0, 1, 4, 9, 10, 20, 30, 31)
    assert [(span.kind, span.start, span.end) for span in spans(0, stamps, None, streamed=True, token=25)] == [
        ("connect", 1, 4),
        ("tls", 4, 9),
        ("send", 9, 10),
        ("wait", 10, 25),
        ("stream", 25, 30),
    ]


def test_a_stream_without_a_token_was_waited_for_to_its_end() -> None:
    """Events came, and none of them held a token."""
    stamps = Stamped(0, None, None, None, 1, 5, 30, 31)
    assert list(spans(0, stamps, None, streamed=True)) == [Span(0, "send", 0, 1), Span(0, "wait", 1, 30)]


def test_a_trial_without_attempts_is_a_bare_lane(tmp_path: Path) -> None:
    """A scenario with a stack of its own: its total is known, nothing of its wire."""
    frames = load(make_run(tmp_path / "run", [EXACT], pairs=3))
    none = {name: frames.tables[name].iloc[:0] for name in ("attempts", "events")}
    found = of(figures(replace(frames, tables={**frames.tables, **none}))[0])
    lane = found["median"].streamed
    assert (lane.spans, lane.ticks, lane.chars, lane.client_id) == ((), (), 0, "")
    assert lane.total == pytest.approx(total(0))


def test_gap_counts_add_up(tmp_path: Path) -> None:
    """59 gaps of each ok streamed trial, each in one bin or of 0; warm-up, failed and blocking trials have none."""
    truth = replace(EXACT, noise=0.3, stalled={2: 300.0}, fail={("streamed", 5): "timeout"})
    found = drawn(tmp_path, truth).gaps
    assert found is not None
    assert found.n == 8 * 59 == found.same_read + sum(bin_.number for bin_ in found.bins)
    assert found.stalled == 1
    assert found.bins[-1].low <= 300 + 5 <= found.bins[-1].high * 1.3


def test_bins_are_even_on_a_log_axis_and_hold_what_they_say() -> None:
    """Neighbours touch, none is left out in between, the first and the last hold something; ends belong to one bin."""
    values = np.exp(np.random.default_rng(1).normal(1, 1.5, 1000))
    values[:3] = 10.0, 1.0, 0.1
    found = list(gaps.bins(values))
    assert all(low.high == high.low for low, high in pairwise(found))
    assert {round(math.log10(bin_.high / bin_.low), 6) for bin_ in found} == {1 / gaps.BINS_A_DECADE}
    assert [bin_.number for bin_ in found] == [int(((values >= b.low) & (values < b.high)).sum()) for b in found]
    assert sum(bin_.number for bin_ in found) == 1000
    assert min(found[0].number, found[-1].number) > 0


def test_deltas_of_one_read_are_counted_apart(tmp_path: Path) -> None:
    """A gap of 0 is on no log axis."""
    found = drawn(tmp_path, replace(EXACT, token_ms=0.0), pairs=3).gaps
    assert found is not None
    assert (found.bins, found.same_read, found.n) == ((), 3 * 59, 3 * 59)


def test_a_cell_without_deltas_has_no_gaps(tmp_path: Path) -> None:
    """Nothing is drawn of nothing."""
    assert drawn(tmp_path, replace(EXACT, unstored=frozenset(range(9)))).gaps is None


def test_the_order_of_the_run_is_that_of_the_clock(tmp_path: Path) -> None:
    """Every offered trial once, from the run's start; a failed one has no total."""
    found = drawn(tmp_path, replace(EXACT, fail={("blocking", 1): "timeout"}))
    assert found.order_of == len(found.order) == 18
    assert [point.seconds for point in found.order] == [float(second) for second in range(2, 20)]
    assert [point.trial_id for point in found.order if point.total is None] == [2 + 3]
    assert found.order[0].total == pytest.approx(total(0))


def test_a_long_run_is_sampled_the_same_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """At most so many points, of both deliveries, in order, and said of how many."""
    monkeypatch.setattr(order, "MOST_POINTS", 10)
    first, again = (drawn(tmp_path / name, EXACT) for name in ("a", "b"))
    assert first.order == again.order
    assert (len(first.order), first.order_of) == (10, 18)
    assert list(first.order) == sorted(first.order)
    assert {point.delivery for point in first.order} == {"streamed", "blocking"}


def test_the_summary_has_the_figures_of_each_cell(tmp_path: Path) -> None:
    """By the cell's number; each cell's are its own, and the same from the same folder."""
    run = make_run(tmp_path / "run", [EXACT, replace(EXACT, scenario="other", useful_ms=300)], pairs=6)
    summary = build(run)
    totals = [of(summary.figures[cell.number])["median"].streamed.total for cell in summary.cells]
    assert totals == pytest.approx([total(0), total(0) + 180])
    assert summary.figures == build(run).figures
