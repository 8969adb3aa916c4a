"""The instrument's floor: from calibration streams of known lateness to rows, and to what can be resolved."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from bench.analysis.checks.floor import Resolution, floor_rows, resolution, way
from bench.analysis.tables import load
from bench.cli.config_file import load_config
from bench.core.errors import BenchError
from bench.core.load import ALONE
from bench.core.results.row import Row
from bench.core.results.summary import CALIBRATION
from bench.plan.calibration import FIRST_TOKEN_MS, PACKETS, TOKEN_MS, TOKENS, calibration_cells, control
from bench.plan.plan import BOTH
from bench.plan.schedule import make_plan
from bench.plan.settings import Settings, calibrates
from bench.simulator.control import Control, profile_of
from bench.simulator.timing.pacing import schedule
from bench.testing.calibrate.table import Level, as_table, in_time
from tests.support.calibrated import Late, make_calibrated
from tests.support.harness import cell_of
from tests.support.scenarios import TEXT

MS = 1_000_000


def floors(run: Path) -> dict[tuple[str, str, str], Row]:
    """The floors by metric, delivery and statistic."""
    return {(row.metric, row.delivery, row.statistic): row for row in floor_rows(load(run))}


def test_each_floor_is_what_was_injected(tmp_path: Path) -> None:
    """Reads, pieces, ends and gaps that are late by a known time come out as that, with an interval."""
    rows = floors(make_calibrated(tmp_path / "r", Late(read=0.3, useful=0.8, gap=0.2, streamed=1.5, blocking=0.9)))
    truths = {
        ("floor_ttft", "streamed"): 0.3,
        ("floor_ttfu", "streamed"): 0.8,
        ("floor_gap", "streamed"): 0.2,
        ("floor_total", "streamed"): 1.5,
        ("floor_total", "blocking"): 0.9,
        ("floor_cpu_per_event", "streamed"): 6 / TOKENS,
    }
    assert {(metric, delivery) for metric, delivery, _ in rows} == set(truths)
    for (metric, delivery), truth in truths.items():
        row = rows[metric, delivery, "p50"]
        assert (row.scenario, row.load, row.n) == (CALIBRATION, "c=1", 40)
        assert row.estimate == row.low == row.high == pytest.approx(truth)
        assert rows[metric, delivery, "p90"].estimate == pytest.approx(truth)
        assert rows[metric, delivery, "p99"].note == "n/a (n=40 < 368)"


def test_packets_are_in_no_floor(tmp_path: Path) -> None:
    """Cells of larger packets test a claim; every floor rests on the first cell alone."""
    frames = load(make_calibrated(tmp_path / "r", trials=8))
    assert frames.calibration["cell"].nunique() == len(PACKETS)
    assert {row.n for row in floor_rows(frames) if row.estimate is not None} == {8}
    assert {row.params for row in floor_rows(frames)} == {'{"tokens_per_event":1}'}


def test_failed_trials_are_left_out_and_counted(tmp_path: Path) -> None:
    """A calibration stream that failed is in no floor, and the row says how many did."""
    row = floors(make_calibrated(tmp_path / "r", trials=20, failed=3))["floor_ttft", "streamed", "p50"]
    assert (row.n, row.failed) == (17, 3)


def test_above_one_at_a_time_cpu_is_of_the_process(tmp_path: Path) -> None:
    """CPU by trial is not known then: no median, but the mean of the whole process, and it says so."""
    rows = floors(make_calibrated(tmp_path / "r", concurrency=8))
    cpu, median = (rows["floor_cpu_per_event", "streamed", name] for name in ("mean", "p50"))
    assert cpu.load == "c=8"
    assert cpu.estimate == pytest.approx(0.4)
    assert "whole process" in cpu.note
    assert (median.estimate, median.note[:3]) == (None, "n/a")


def test_without_send_times_there_is_no_floor(tmp_path: Path) -> None:
    """A killed run has no send log: no number, but the reason; and nothing to resolve."""
    rows = floor_rows(load(make_calibrated(tmp_path / "r", truth=False)))
    late = [row for row in rows if row.metric != "floor_cpu_per_event"]
    assert late
    assert all(row.estimate is None and "n/a" in row.note for row in late)
    assert resolution(rows, "c=1") == Resolution()


def test_resolution_is_three_of_the_larger_floor(tmp_path: Path) -> None:
    """A gain is seen by TTFU and the blocking total, an overhead by both totals; another load has none."""
    rows = floor_rows(load(make_calibrated(tmp_path / "r", Late(useful=0.8, streamed=1.5, blocking=0.9))))
    found = resolution(rows, "c=1")
    assert (found.gain_ms, found.total_ms) == pytest.approx((2.7, 4.5))
    assert resolution(rows, "c=2") == resolution([], "c=1") == Resolution()


@pytest.mark.parametrize("size", PACKETS)
def test_tokens_are_made_at_the_same_times(size: int) -> None:
    """Whatever the packet, its event leaves when its last token is made, on one schedule for all."""
    made = [(FIRST_TOKEN_MS + i * TOKEN_MS) * MS for i in range(TOKENS)]
    profile = profile_of(Control.model_validate_json(json.dumps(control(size))), "slow")
    left = list(schedule(TOKENS, profile, 1.0, random.Random(0)))  # noqa: S311  (not a secret)
    assert left == [(size, time) for time in made[size - 1 :: size]]


def test_calibration_is_planned_among_the_measured() -> None:
    """One at a time: a pair in every second block, packets in every fourth, twice as often in a short run, or not."""
    cells, known = [cell_of(TEXT, BOTH, 1, 1)], calibration_cells(1, [ALONE])
    plan = make_plan(cells, pairs=36, warmup=3, seed=1, calibration=known, aa=True)
    sizes = [group.cell.params for group in plan.groups() if group.phase == "calibrate"]
    assert plan.trials[-1].block == 2 + 36 + 11 - 1
    assert sizes.count(known[0].params) == 24
    assert sizes.count(known[1].params) == sizes.count(known[2].params) == 12
    short = make_plan(cells, pairs=10, warmup=3, seed=1, calibration=known, aa=True)
    assert Counter(trial.cell for trial in short.trials if trial.phase == "calibrate") == {1: 2 * 21, 2: 11, 3: 11}
    few = make_plan(cells, pairs=9, warmup=3, seed=1, calibration=known, aa=True)
    assert {trial.phase for trial in few.trials} == {"warmup", "measure"}


def test_when_a_run_calibrates() -> None:
    """By default, from 10 pairs on, and not when told not to."""
    assert calibrates(Settings())
    assert calibrates(Settings(pairs=10))
    assert not calibrates(Settings(pairs=9))
    assert not calibrates(Settings(self_check=False))


def test_a_project_may_leave_the_checks_out(tmp_path: Path) -> None:
    """`self-check = false` below [run] is a default like others; what is no truth value is refused."""
    file = tmp_path / "bench.toml"
    file.write_text("[run]\nself-check = false\n")
    assert load_config(tmp_path, file, {}).run == {"self_check": False}
    file.write_text("[run]\nself-check = 1\n")
    with pytest.raises(BenchError, match="self-check must be true or false"):
        load_config(tmp_path, file, {})


def level(concurrency: int, late: str = "", *, failed: int = 0) -> Level:
    """A level without numbers."""
    return Level(
        concurrency=concurrency,
        client="sdk",
        offered=20,
        failed=failed,
        rows=(),
        resolution=Resolution(1.5, 2.25),
        late=late,
    )


def test_up_to_how_many_the_client_is_in_time() -> None:
    """The largest level at which, and below which, it kept up; a level after a late one does not count."""
    assert in_time([level(1), level(8), level(32, "late")]) == 8
    assert in_time([level(1), level(8, "late"), level(32)]) == 1
    assert in_time([level(1, "late")]) is None


def test_the_table_says_it() -> None:
    """In time up to where, why not above, failures, and what is resolved; nothing more than was tried."""
    text = as_table([level(1), level(8, "p90 62 ms", failed=2)])
    assert "in time up to 1 at a time (streams of 200 tokens a second)." in text
    assert "8 at a time: p90 62 ms" in text
    assert "2 of 20 trials failed" in text
    assert "seen sooner by 1.5 ms, whole answer 2.2 ms" in text
    assert "more were not tried" in as_table([level(1)])
    assert "late at 1 at a time already" in as_table([level(1, "p90 62 ms")])


def test_each_client_has_a_resolution_of_its_own(tmp_path: Path) -> None:
    """Floors of one client are not held against a cell of another; a stack of its own takes those of the SDK."""
    rows = floor_rows(load(make_calibrated(tmp_path / "r")))
    lean = [replace(row, client="wire", estimate=(row.estimate or 0) / 10) for row in rows]
    both = [*rows, *lean]
    assert resolution(both, "c=1") == resolution(rows, "c=1")
    assert resolution(both, "c=1", "wire") == resolution(lean, "c=1", "wire") != resolution(rows, "c=1")
    key = rows[0].key
    assert [way(key._replace(client=client)) for client in ("sdk", "wire", "own")] == [
        ("sdk", "c=1"),
        ("wire", "c=1"),
        ("sdk", "c=1"),
    ]
