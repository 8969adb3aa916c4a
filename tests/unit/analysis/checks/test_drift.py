"""Trend over the run, order within pairs, mixed connections: each is found where it is, and said where it matters."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from bench.analysis.build import build
from bench.analysis.cell.arm import Arm
from bench.analysis.checks.drift import (
    SAID,
    TREND_MATTERS,
    Drift,
    connections,
    crossover,
    matters,
    order_effect,
    slope,
    trend,
)
from bench.analysis.pairs import Pairs, make_pairs
from bench.analysis.tables import RunFrames, load
from bench.core.results.labels import cell_key
from bench.core.results.row import Row
from tests.support.synthetic import Truth, make_run

RUNS = 300


def noise(n: int, sigma: float, rho: float, rng: np.random.Generator) -> NDArray[np.float64]:
    """Logarithms of times: neighbours are alike by rho, and 3 % are three to ten times as long."""
    steps, logs = rng.normal(0, sigma, n), np.zeros(n)
    for i in range(n):
        logs[i] = rho * logs[i - 1] + np.sqrt(1 - rho**2) * steps[i] if i else steps[i]
    return logs + np.where(rng.random(n) < 0.03, np.log(rng.uniform(3, 10, n)), 0)


@pytest.mark.parametrize("rho", [0.0, 0.3, 0.7])
def test_a_healthy_run_has_no_trend(rho: float) -> None:
    """At any noise, and however much neighbours are alike, a trend is said of 5 % of the runs at most."""
    rng, alarms = np.random.default_rng(20264), 0
    for _ in range(RUNS):
        y = noise(int(rng.integers(36, 220)), float(rng.uniform(0.01, 0.5)), rho, rng)
        alarms += matters(slope(np.linspace(0, 1, y.size), y, SAID), TREND_MATTERS)
    assert alarms <= 0.05 * RUNS


def test_a_trend_is_found_where_neighbours_are_alike() -> None:
    """A drift of 10 % over the run is always found, and lies in the interval in 88 of 100 runs at least (seen: 92)."""
    rng, found, held = np.random.default_rng(20265), 0, 0
    for _ in range(RUNS):
        x = np.linspace(0, 1, 144)
        e = slope(x, noise(x.size, 0.02, 0.3, rng) + x * np.log(1.1))
        found += e.low is not None and e.low > 0
        assert e.low is not None
        assert e.high is not None
        held += e.low <= 0.1 <= e.high
    assert found == RUNS
    assert held >= 0.88 * RUNS


def test_what_matters_is_large_and_sure() -> None:
    """A small trend is no news however sure; a large one is none when its interval holds zero, or there is none."""
    x = np.linspace(0, 1, 100)
    jitter = np.random.default_rng(1).normal(0, 0.001, 100)
    assert not matters(slope(x, 0.03 * x + jitter), TREND_MATTERS)
    assert matters(slope(x, 0.08 * x + jitter), TREND_MATTERS)
    assert not matters(slope(x, 0.08 * x + 1000 * jitter), TREND_MATTERS)
    assert not matters(slope(x[:3], 0.08 * x[:3]), TREND_MATTERS)


def holds(row: Row, truth: float) -> bool:
    """Whether the interval holds the truth."""
    return row.low is not None and row.high is not None and row.low <= truth <= row.high


def test_a_drift_is_found_and_said(tmp_path: Path) -> None:
    """A drift of 10 %, the same in two unlike cells, comes out with an interval that holds it, and is said once."""
    cells = [Truth(scenario="text", drift=0.1), Truth(scenario="tools", token_ms=9, slower_by=0.4, drift=0.1)]
    found = trend(load(make_run(tmp_path / "r", cells, coin=True)))
    assert [(row.scenario, row.metric, row.n) for row in found.rows] == [
        ("(all)", "trend", 144),
        ("text", "trend", 72),
        ("tools", "trend", 72),
    ]
    assert all(holds(row, 0.1) for row in found.rows)
    assert found.sentence.startswith("times grew by +")
    assert found.sentence.endswith("of the run to its end: paired numbers stand, medians are of a moving target")


def test_a_drift_of_one_cell_names_it(tmp_path: Path) -> None:
    """Where one cell of four drifts, that of all together may be small: the sentence names the one."""
    others = [Truth(scenario=name, tokens=10, noise=0.005) for name in ("a", "b", "c")]
    worst = Truth(scenario="d", tokens=10, noise=0.005, drift=-0.12)
    found = trend(load(make_run(tmp_path / "r", [*others, worst], memory=False)))
    assert found.sentence.startswith("times of d fell by -1")


def test_a_healthy_run_is_silent(tmp_path: Path) -> None:
    """Nothing injected: rows with intervals that hold zero, and not a word."""
    frames = load(make_run(tmp_path / "r", coin=True))
    found, order = trend(frames), order_effect(pairs_of(frames), 7)
    assert all(holds(row, 0) for row in (*found.rows, *order.rows))
    assert (found.sentence, order.sentence) == ("", "")
    assert connections(frames, 0, cell_key(frames.cells[0])) == Drift()


def test_a_trend_is_that_of_the_deliveries_measured(tmp_path: Path) -> None:
    """A cell without blocking trials has the trend of its streamed ones, though the run has both."""
    frames = load(make_run(tmp_path / "r", [Truth(), Truth(scenario="alone")]))
    no_blocking = (frames.trials["cell"] == 1) & (frames.trials["delivery"] == "blocking")
    rows = trend(replace(frames, trials=frames.trials[~no_blocking])).rows
    assert {row.scenario: row.delivery for row in rows} == {"(all)": "paired", "text": "paired", "alone": "streamed"}


def test_a_run_without_results_has_no_trend(tmp_path: Path) -> None:
    """All failed, or nothing was measured: no row, no error."""
    failed = Truth(fail={(name, n): "timeout" for name in ("streamed", "blocking") for n in range(3)})
    assert trend(load(make_run(tmp_path / "r", [failed], pairs=3))) == Drift()


def pairs_of(frames: RunFrames) -> Pairs:
    """The pairs of the first cell."""
    key, trials = cell_key(frames.cells[0]), frames.trials[frames.trials["cell"] == 0]
    streamed, blocking = (Arm(key, name, trials[trials["delivery"] == name]) for name in ("streamed", "blocking"))
    return make_pairs(key, streamed, blocking, simulated=True)


def test_an_order_effect_is_found_though_streaming_differs(tmp_path: Path) -> None:
    """The second trial takes 5 % less, streaming 30 % more: the order effect is told apart from the overhead."""
    frames = load(make_run(tmp_path / "r", [Truth(second_by=-0.05, slower_by=0.3)], pairs=60, coin=True))
    found = order_effect(pairs_of(frames), 7)
    (row,) = found.rows
    assert (row.metric, row.delivery, row.unit, row.statistic, row.n) == ("order_effect", "paired", "ratio", "hl", 60)
    assert holds(row, -0.05)
    assert found.sentence.startswith("the second of a pair is faster (-")
    assert found.sentence.endswith("): a prefix cache? The order is random, so the comparison stands")


def test_an_order_effect_below_the_resolution_is_not_said(tmp_path: Path) -> None:
    """5 % of 420 ms are 21 ms: below an instrument that resolves 30 ms, but above one of 3 ms."""
    frames = load(make_run(tmp_path / "r", [Truth(second_by=0.05)], pairs=60, coin=True))
    assert "slower (+" in order_effect(pairs_of(frames), 7, 3).sentence
    coarse = order_effect(pairs_of(frames), 7, 30)
    assert (coarse.sentence, len(coarse.rows)) == ("", 1)


def test_one_order_alone_shows_no_order_effect(tmp_path: Path) -> None:
    """Without both orders it cannot be told from the overhead; without pairs there is nothing."""
    frames = load(make_run(tmp_path / "r", [Truth(slower_by=0.3)]))
    (row,) = order_effect(pairs_of(frames), 7).rows
    assert row.estimate is None
    assert "too few" in row.note
    alone = load(make_run(tmp_path / "alone", deliveries=("streamed",)))
    assert order_effect(pairs_of(alone), 7) == Drift()


def test_the_effect_of_the_order_is_half_of_what_differs() -> None:
    """Being second adds to one and takes from the other: 0.1 and -0.1 are an effect of 0.1."""
    e = crossover(np.full(10, 0.1), np.full(10, -0.1))
    assert e.value == pytest.approx(np.expm1(0.1))


def mixed(run: Path, new: set[int], connect_ms: float = 41) -> Drift:
    """Connections of a run in which these streamed trials opened one."""
    frames = load(make_run(run, [Truth(new_connection=frozenset(new), connect_ms=connect_ms)]))
    return connections(frames, 0, cell_key(frames.cells[0]))


def test_mixed_connections_are_said_where_connecting_takes_long(tmp_path: Path) -> None:
    """3 of 72 over a new connection of 41 ms: a share by delivery and a sentence; 0.2 ms are not worth one."""
    found = mixed(tmp_path / "far", {1, 5, 9})
    assert {row.delivery: (row.metric, row.n, row.estimate) for row in found.rows} == {
        "blocking": ("warm_share", 36, 1.0),
        "streamed": ("warm_share", 36, pytest.approx(33 / 36)),
    }
    opened = "3 of 72 trials opened a new connection (median 41 ms to connect)"
    assert found.sentence == f"{opened}: cold and warm are mixed"
    assert mixed(tmp_path / "near", {1, 5, 9}, connect_ms=0.2).sentence == ""


def test_a_cell_says_both(tmp_path: Path) -> None:
    """Order and connections of a cell are among its notes, the numbers among the rows."""
    cell = Truth(second_by=-0.05, new_connection=frozenset({1, 5}))
    summary = build(make_run(tmp_path / "r", [cell], coin=True))
    said = " ".join(summary.cells[0].notes)
    assert "the second of a pair is faster" in said
    assert "2 of 72 trials opened a new connection" in said
    assert {"trend", "order_effect", "warm_share"} <= {row.metric for row in summary.rows}


def test_uniform_connections_need_no_word(tmp_path: Path) -> None:
    """All warm, or all cold, is no mix."""
    assert mixed(tmp_path / "warm", set()).sentence == ""
    frames = load(make_run(tmp_path / "cold", [Truth(new_connection=frozenset(range(36)))], deliveries=("streamed",)))
    cold = connections(frames, 0, cell_key(frames.cells[0]))
    assert (cold.sentence, [row.estimate for row in cold.rows]) == ("", [0.0])


def test_mixed_connections_of_failures_only(tmp_path: Path) -> None:
    """Where no trial was ok nobody knows what a whole answer takes: nothing is said, and nothing breaks."""
    fail = {(delivery, number): "http_5xx" for delivery in ("streamed", "blocking") for number in range(36)}
    cell = Truth(new_connection=frozenset({1}), connect_ms=50, fail=fail)
    assert build(make_run(tmp_path / "r", [cell])).cells[0].notes


def test_websockets_and_retries_are_left_out(tmp_path: Path) -> None:
    """Only first attempts over HTTP count: of one cell's 36 none is left when they were WebSockets, or tries again."""
    frames = load(make_run(tmp_path / "r", [Truth(new_connection=frozenset({1}))]))
    attempts = frames.tables["attempts"]
    for changed in (attempts.assign(method="WS"), attempts.assign(attempt=pd.array([1] * len(attempts), "Int64"))):
        frames.tables["attempts"] = changed  # type: ignore[index]
        assert connections(frames, 0, cell_key(frames.cells[0])) == Drift()


def test_an_order_effect_has_to_stand_out_among_the_cells(tmp_path: Path) -> None:
    """Every cell is asked, so of many cells each needs a wider interval without zero."""
    frames = load(make_run(tmp_path / "r", (Truth(second_by=0.012),), pairs=40, coin=True))
    assert "slower (+" in order_effect(pairs_of(frames), 7).sentence
    assert order_effect(pairs_of(frames), 7, cells=10_000).sentence == ""
