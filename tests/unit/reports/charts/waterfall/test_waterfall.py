"""Which trials a cell's waterfalls show, and how each went: on runs of which every stamp is known."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.tables import load
from bench.reports.charts.waterfall import lanes
from bench.reports.charts.waterfall.lanes import Lane, TrialPair
from bench.reports.charts.waterfall.spans import Span
from bench.reports.charts.waterfall.waterfall import Waterfalls, data
from tests.support.synthetic import TRIED_MS, Truth, make_run

EXACT = Truth(noise=0, stamped=True)
"""Each trial is like the other: first delta after 120 ms, then one each 5 ms."""
LAST_DELTA = 120 + 59 * 5


def chosen(tmp_path: Path, truth: Truth, pairs: int = 9) -> Waterfalls:
    return data(load(make_run(tmp_path / "run", [truth], pairs=pairs, memory=False)))[0]


def by_which(found: Waterfalls) -> dict[str, TrialPair]:
    return {pair.which: pair for pair in found.pairs}


def stretches(lane: Lane, kind: str) -> list[tuple[float, float]]:
    return [(span.start, span.end) for span in lane.spans if span.kind == kind]


def total(longer: float) -> float:
    """Times, in ms, of a streamed trial that takes this fraction longer; its end comes 5 ms after its last delta."""
    return LAST_DELTA * (1 + longer) + 5


def test_a_waterfall_is_of_the_trial_with_the_median_total(tmp_path: Path) -> None:
    """Of nine trials the fifth by total, and the slowest; no p95 of so few. Beside it the blocking one of its pair."""
    slow = {pair: pair / 10 for pair in range(9)}
    frames = load(make_run(tmp_path / "run", [replace(EXACT, slow=slow)], pairs=9, warmup=0))
    found = by_which(data(frames)[0])
    assert {which: one.streamed.trial_id for which, one in found.items()} == {"median": 2 * 4, "worst": 2 * 8}
    assert [one.blocking and one.blocking.trial_id for one in found.values()] == [2 * 4 + 1, 2 * 8 + 1]
    assert found["median"].streamed.total == pytest.approx(total(0.4))


def test_a_failed_trial_is_the_worst(tmp_path: Path) -> None:
    """However soon it failed, for its user nothing came."""
    truth = replace(EXACT, slow={3: 2.0}, fail={("streamed", 5): "timeout"})
    assert by_which(chosen(tmp_path, truth))["worst"].streamed.status == "timeout"


def test_what_never_ran_stands_for_nothing(tmp_path: Path) -> None:
    """Trials that were not sent, or cut off by us, are not chosen, nor drawn beside the one that was."""
    fail = {("streamed", 5): "shed", ("streamed", 6): "lost", **{("blocking", pair): "cancelled" for pair in range(9)}}
    found = by_which(chosen(tmp_path, replace(EXACT, fail=fail)))
    assert {one.streamed.status for one in found.values()} == {"ok"}
    assert {one.blocking for one in found.values()} == {None}


@pytest.mark.parametrize(("pairs", "known"), [(71, False), (72, True)])
def test_p95_only_where_there_is_one(tmp_path: Path, pairs: int, known: bool) -> None:
    """From 72 trials on, as in the tables; it is the trial of rank ceil(0.95 n)."""
    slow = {pair: pair / 100 for pair in range(pairs)}
    found = by_which(chosen(tmp_path, replace(EXACT, slow=slow), pairs=pairs))
    assert ("p95" in found) == known
    if known:
        rank = math.ceil(0.95 * pairs)
        assert found["p95"].streamed.total == pytest.approx(total((rank - 1) / 100))


def test_one_trial_is_drawn_once(tmp_path: Path) -> None:
    """Of a single pair the median is the worst too."""
    assert [one.which for one in chosen(tmp_path, EXACT, pairs=1).pairs] == ["median"]


def test_the_next_by_rank_stands_in_where_no_events_were_kept(tmp_path: Path) -> None:
    """The median's events were not stored: the next faster one's were. Without any there is no waterfall."""
    truth = replace(EXACT, slow={pair: pair / 10 for pair in range(9)})
    next_ = by_which(chosen(tmp_path / "some", replace(truth, unstored=frozenset({4, 5}))))["median"]
    assert next_.streamed.total == pytest.approx(total(0.3))
    assert chosen(tmp_path / "none", replace(truth, unstored=frozenset(range(9)))).pairs == ()


def test_spans_of_a_trial_follow_its_stamps(tmp_path: Path) -> None:
    """Opened, sent, waited for until the first token, streamed; the blocking one went over the open connection."""
    both = by_which(chosen(tmp_path, replace(EXACT, new_connection=frozenset({0}), connect_ms=41), pairs=1))["median"]
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
    both = by_which(chosen(tmp_path, EXACT, pairs=1))["median"]
    assert [tick.ms for tick in both.streamed.ticks] == pytest.approx([120 + 5 * i for i in range(60)])
    assert {(tick.chars, tick.kind) for tick in both.streamed.ticks} == {(4, "content")}
    assert both.streamed.chars == 240
    assert both.blocking is not None
    assert both.blocking.ticks == ()


def test_many_deltas_are_merged(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A long answer has no more ticks than a picture can show, and all of its characters."""
    monkeypatch.setattr(lanes, "MOST_TICKS", 25)
    ticks = by_which(chosen(tmp_path, EXACT, pairs=1))["median"].streamed.ticks
    assert [tick.chars for tick in ticks] == [12] * 20
    assert ticks[-1].ms == pytest.approx(LAST_DELTA)


def test_a_stall_is_found_at_its_place(tmp_path: Path) -> None:
    """A pause of 300 ms after the 30th delta is a span from that delta to the next; even gaps have none."""
    found = by_which(chosen(tmp_path, replace(EXACT, stalled={2: 300.0})))
    before = 120 + 29 * 5
    assert stretches(found["worst"].streamed, "stall") == [pytest.approx((before, before + 305))]
    assert stretches(found["median"].streamed, "stall") == []


def test_a_retried_trial_has_two_attempts_and_its_backoff(tmp_path: Path) -> None:
    """The first was refused after 12 ms; then the client waited for half a second."""
    lane = by_which(chosen(tmp_path, replace(EXACT, backoff={2: 500.0})))["worst"].streamed
    assert stretches(lane, "backoff") == [pytest.approx((TRIED_MS, TRIED_MS + 500))]
    assert {span.attempt: span.kind for span in lane.spans} == {0: "body", 1: "stream"}
    assert {span.attempt for span in lane.spans if span.start > TRIED_MS + 499} == {1}


def test_a_trial_without_attempts_is_a_bare_lane(tmp_path: Path) -> None:
    """A scenario with a stack of its own: its total is known, nothing of its wire."""
    frames = load(make_run(tmp_path / "run", [EXACT], pairs=3))
    none = {name: frames.tables[name].iloc[:0] for name in ("attempts", "events")}
    found = by_which(data(replace(frames, tables={**frames.tables, **none}))[0])
    lane = found["median"].streamed
    assert (lane.spans, lane.ticks, lane.chars, lane.client_id) == ((), (), 0, "")
    assert lane.total == pytest.approx(total(0))
