"""The guard's judgement of runs whose lateness is known, and its probes of a loop that is held up on purpose."""

from __future__ import annotations

import asyncio
import gc
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from bench.analysis.build import build
from bench.analysis.checks.guard import busy, calibration_lines, cell_lateness, machine_lines, often_late
from bench.analysis.checks.lateness import Lateness, every_beat, lateness
from bench.analysis.tables import RunFrames, load
from bench.clients.guard import Guard
from bench.core.results.summary import Cell, Summary
from tests.support.synthetic import Truth, make_run

pytestmark = pytest.mark.alone


def estimate(summary: Summary, metric: str, statistic: str) -> float | None:
    """A number of the first cell."""
    row = summary.row(summary.cells[0], "paired", metric, statistic)
    return row.estimate if row else None


def judged(run: Path, *cells: Truth, pairs: int = 12, pressure: float | None = None) -> tuple[Cell, ...]:
    """The cells of a run made so."""
    return build(make_run(run, cells, pairs=pairs, pressure=pressure)).cells


def test_missed_beats_are_counted() -> None:
    """A pause of 35 ms that one beat saw made four late: by 35, 25, 15 and 5 ms."""
    due, answered = every_beat(np.array([10.5, 55.0]), np.array([0.5, 35.0]), 10.0)
    assert due.tolist() == [10, 20, 30, 40, 50]
    assert (answered - due).tolist() == [0.5, 35, 25, 15, 5]


def test_only_what_a_trial_met_counts() -> None:
    """Of a pause the part inside a trial counts; beats between trials are in no figure."""
    due, answered = np.array([10.0, 50, 90]), np.array([40.0, 50, 91])
    met = lateness(due, answered, np.array([30.0, 80]), np.array([45.0, 100]))
    assert met.lags.tolist() == [10, 1]
    assert met.pauses.tolist() == [10, 1]


def test_side_by_side_a_pause_touches_all() -> None:
    """A pause while two trials run is one late beat and touches both."""
    met = lateness(np.array([10.0]), np.array([17.0]), np.array([0.0, 5]), np.array([100.0, 100]))
    assert met.lags.tolist() == [7]
    assert met.paused_trials(5) == 2


@pytest.mark.parametrize(("lag", "late"), [(2.0, False), (4.9, False), (5.1, True), (80.0, True)])
def test_a_late_loop_is_saturated(tmp_path: Path, lag: float, late: bool) -> None:
    """Above 5 ms the cell is SATURATED, with numbers, and says to use fewer streams at a time; below it is not."""
    (cell,) = judged(tmp_path / "r", Truth(load="c=8", loop_lag_ms=lag))
    assert bool(cell.saturated) == late
    assert not late or ("limit 5 ms" in cell.saturated and "--concurrency" in cell.saturated)
    assert not late or "24 of 24 trials" in cell.saturated


def test_a_few_pauses_are_noted(tmp_path: Path) -> None:
    """Long pauses in 3 of 12 pairs leave the cell its verdict, and a note that its tails may be the client's."""
    pauses = dict.fromkeys((1, 5, 7), 40.0)
    (cell,) = judged(tmp_path / "r", Truth(loop_lag_ms=1, pauses=pauses))
    assert not cell.saturated
    assert any(note.startswith("6 of 24 trials met a pause of the client") for note in cell.notes)


def test_each_worker_is_judged_by_its_own_loop(tmp_path: Path) -> None:
    """Of two processes that measure at a time, the pauses of one touch none of the other's trials."""
    frames = load(make_run(tmp_path / "r", [Truth(loop_lag_ms=1)], pairs=12))
    probes = frames.tables["probes"]
    late = probes[probes["name"] == "loop_lag"].assign(worker="2", value=80.0)
    both = pd.concat([probes.assign(worker="1"), late])
    for worker, touched in (("1", 0), ("2", 24)):
        measured = replace(frames, trials=frames.trials.assign(worker=worker), tables={**frames.tables, "probes": both})
        assert cell_lateness(measured, 0).paused_trials(5) == touched


def test_one_long_pause_is_not_saturation() -> None:
    """A loop late most of the time, but within one trial of 24, as when a laptop slept: the others are sound."""
    slept = np.concatenate([np.full(900, 3000.0), np.ones(100)])
    assert not often_late(Lateness(slept, np.array([9000.0] + [1.0] * 23)))
    assert often_late(Lateness(slept, np.array([9000.0] * 3 + [1.0] * 21)))


def test_few_beats_say_nothing() -> None:
    """A p90 takes 36 samples: with 35 late beats nobody is called late."""
    assert not often_late(Lateness(np.full(35, 50.0), np.full(8, 50.0)))
    assert often_late(Lateness(np.full(36, 50.0), np.full(8, 50.0)))


def test_an_idle_loop_is_silent(tmp_path: Path) -> None:
    """A loop 1 ms late is told in the numbers, without a note, and p99 has no interval, for beats are dependent."""
    summary = build(make_run(tmp_path / "r", [Truth(loop_lag_ms=1, send_lag_ms=0.7)], pairs=12))
    assert not summary.cells[0].saturated
    assert not [note for note in summary.cells[0].notes if "pause" in note]
    assert estimate(summary, "loop_lag", "p99") == pytest.approx(1)
    assert estimate(summary, "send_lag", "p50") == pytest.approx(0.7)
    assert estimate(summary, "cpu_share", "share") == pytest.approx(0.024)
    assert estimate(summary, "gc_pause", "sum") == 0
    row = summary.row(summary.cells[0], "paired", "loop_lag", "p99")
    assert row is not None
    assert (row.low, row.high, row.note) == (None, None, "no interval: beats are not independent")


def test_without_beats_nothing_is_said(tmp_path: Path) -> None:
    """A run whose event loop nobody probed has no loop lag, not one of 0, and is not called saturated."""
    summary = build(make_run(tmp_path / "r", pairs=12))
    assert summary.row(summary.cells[0], "paired", "loop_lag", "p50") is None
    assert not summary.cells[0].saturated


@pytest.mark.parametrize(("lag", "late"), [(4.0, False), (6.0, True)])
def test_late_reads_are_saturation_too(tmp_path: Path, lag: float, late: bool) -> None:
    """Where the simulator's send times are known, first tokens read 5 ms late in the median condemn the cell."""
    (cell,) = judged(tmp_path / "r", Truth(load="c=4", read_lag_ms=lag))
    assert cell.saturated.startswith("first tokens were read 6 ms after they were sent") == late


@pytest.mark.parametrize(
    ("cells", "pressure", "cause"),
    [
        ([Truth(loop_lag_ms=60)], 0.5, "other processes kept this machine busy: use an idle one"),
        ([Truth(loop_lag_ms=60)], 0.02, "other processes keep this machine busy, or the scenario's own code"),
        ([Truth(loop_lag_ms=60, cpu_share=0.9)], 0.5, "this client worked 90 % of the time: the scenario's own code"),
        (
            [Truth(loop_lag_ms=60), Truth(scenario="other", loop_lag_ms=1)],
            0.02,
            "not so in other cells, so the machine is not why: the scenario's own code",
        ),
    ],
)
def test_alone_the_cause_is_told_apart(tmp_path: Path, cells: list[Truth], pressure: float, cause: str) -> None:
    """At c=1: a busy machine by its pressure, the client's own work by its CPU or by other cells being in time."""
    late, *rest = judged(tmp_path / "r", *cells, pressure=pressure)
    assert cause in late.saturated
    assert not [cell for cell in rest if cell.saturated]


@pytest.mark.parametrize(
    ("pressure", "steal", "said"),
    [
        (None, 0.0, ()),
        (0.05, 0.01, ()),
        (0.34, 0.0, ("processes waited for a CPU 34 % of the time",)),
        (0.05, 0.04, ("other guests took 4 % of its CPU time",)),
    ],
)
def test_a_busy_machine_is_said(tmp_path: Path, pressure: float | None, steal: float, said: tuple[str, ...]) -> None:
    """A sentence for each share above its limit, none below, and none where the system told nothing."""
    frames = load(make_run(tmp_path / "r", pairs=12, pressure=pressure, steal=steal))
    lines = machine_lines(frames)
    assert len(lines) == len(said)
    assert all(part in line for part, line in zip(said, lines, strict=True))
    assert bool(busy(frames)) == (pressure is not None)


def probed(block_s: float) -> list[tuple[str, float]]:
    """(name, value) of the probes of a group of 0.1 s in which the loop is held up for `block_s`."""

    async def group() -> list[tuple[str, float]]:
        async with Guard() as guard:
            guard.begin(3)
            await asyncio.sleep(0.05)
            time.sleep(block_s)  # noqa: ASYNC251  (that is the point)
            await asyncio.sleep(0.05)
            rows = guard.end()
            await asyncio.sleep(0.03)
            assert guard.end() == []
        assert {row["cell"] for row in rows} == {3}
        return [(row["name"], row["value"]) for row in rows]

    return asyncio.run(group())


def test_a_held_up_loop_is_seen() -> None:
    """A loop held up for 80 ms gives one beat at least 60 ms late and no burst after it; none while no group runs."""
    lags = [value for name, value in probed(0.08) if name == "loop_lag"]
    assert max(lags) > 60
    assert 3 <= len(lags) <= 13


def test_an_unhurried_loop_beats() -> None:
    """Left alone for 0.1 s, beats come without any as late as one that is held up."""
    lags = [value for name, value in probed(0) if name == "loop_lag"]
    assert 3 <= len(lags) <= 10
    assert min(lags) < 10


def test_the_last_pause_of_a_group_is_seen() -> None:
    """A group that ends while a beat is overdue, its only one, still tells how late that was."""

    async def group() -> list[float]:
        async with Guard() as guard:
            guard.begin(0)
            time.sleep(0.04)  # noqa: ASYNC251
            return [row["value"] for row in guard.end() if row["name"] == "loop_lag"]

    (lag,) = asyncio.run(group())
    assert lag >= 30


def test_the_collector_is_seen_within_groups_only() -> None:
    """A collection over many objects within a group is a pause; one after it is not, and no callback is left behind."""
    many: list[list[int]] = [[] for _ in range(300_000)]

    async def group() -> list[str]:
        async with Guard() as guard:
            guard.begin(0)
            gc.collect()
            rows = guard.end()
            gc.collect()
            assert guard.end() == []
        return [row["name"] for row in rows]

    before = len(gc.callbacks)
    assert "gc_pause" in asyncio.run(group())
    assert len(gc.callbacks) == before
    assert many


def late_calibration(folder: Path, load_: str) -> RunFrames:
    """A run in which only the calibration's beats came late."""
    frames = load(make_run(folder, [Truth(load=load_, loop_lag_ms=1), Truth(load=load_, loop_lag_ms=60)], pairs=12))
    mine = frames.trials["cell"] == 1
    return replace(frames, trials=frames.trials[~mine], calibration=frames.trials[mine])


def test_a_late_calibration_blames_the_machine_only_alone(tmp_path: Path) -> None:
    """One stream at a time is late on a busy machine only; of eight the client itself may have too much to do."""
    alone, eight = late_calibration(tmp_path / "1", "c=1"), late_calibration(tmp_path / "8", "c=8")
    assert [line[:24] for line in machine_lines(alone)] == ["the calibration was late"]
    assert (machine_lines(eight), calibration_lines(alone)) == ([], [])
    (line,) = calibration_lines(eight)
    assert line.endswith("so the floors at this load are high")
