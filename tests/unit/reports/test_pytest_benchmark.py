"""The export for pytest-benchmark: its own statistics, honest about what they leave out, read by its own command."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest_benchmark.stats import Stats

from bench.analysis.build import build
from bench.core.results.summary import Summary
from bench.reports.pytest_benchmark import render_pytest_benchmark, stats
from tests.support.synthetic import Truth, make_run

NAMES = ["text ttft streamed", "text ttfu streamed", "text total streamed", "text total blocking"]


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Of twelve pairs: streamed 5 fails, and 6 is never useful."""
    truth = Truth(fail={("streamed", 5): "http_429"}, useless=frozenset({6}))
    return build(make_run(tmp_path_factory.mktemp("pb") / "run", [truth], pairs=12))


def exported(summary: Summary) -> dict[str, Any]:
    """The file, read back."""
    value: dict[str, Any] = json.loads(render_pytest_benchmark(summary))
    return value


def theirs(data: list[float]) -> Any:
    """What pytest-benchmark makes of the times."""
    own: Any = Stats()  # type: ignore[no-untyped-call]
    own.data = list(data)
    return own


@given(st.lists(st.floats(1e-6, 1e4), min_size=1, max_size=60))
def test_statistics_are_those_of_pytest_benchmark(data: list[float]) -> None:
    """Each statistic is what pytest-benchmark itself makes of the same times."""
    own, made = theirs(data), stats(sorted(data))
    for name in Stats.fields:
        if "outliers" not in name and "15iqr" not in name:
            assert made[name] == pytest.approx(getattr(own, name)), name


@pytest.mark.parametrize("number", [1, 2, 3, 4, 5, 6, 7, 20, 21])
def test_outliers_are_those_of_pytest_benchmark(number: int) -> None:
    """What is counted as far off, and where the whiskers end, of even times with one that is late."""
    data = [*map(float, range(1, number)), 1000.0]
    own = theirs(data)
    names = ("iqr_outliers", "stddev_outliers", "outliers", "ld15iqr", "hd15iqr")
    assert {name: stats(data)[name] for name in names} == {name: getattr(own, name) for name in names}


def test_each_time_is_a_benchmark_in_seconds(summary: Summary) -> None:
    """TTFT, TTFU and both totals are there, of the ok trials only, with what was left out and the interval beside."""
    made = {one["name"]: one for one in exported(summary)["benchmarks"]}
    assert list(made) == NAMES
    ttfu, total = made["text ttfu streamed"], made["text total blocking"]
    assert ttfu["stats"]["median"] == pytest.approx(0.120, rel=0.05)
    assert total["stats"]["median"] == pytest.approx(0.420, rel=0.05)
    assert (ttfu["stats"]["rounds"], total["stats"]["rounds"], len(ttfu["stats"]["data"])) == (10, 12, 10)
    assert (ttfu["extra_info"]["offered"], ttfu["extra_info"]["not in the statistics"]) == (12, 2)
    row = summary.row(summary.cells[0], "streamed", "ttfu", "p50")
    assert row is not None
    assert ttfu["extra_info"]["p50 of all offered, ms"] == {
        "estimate": row.estimate,
        "low": row.low,
        "high": row.high,
    }
    assert ttfu["params"]["model"] == "sim-1"


def test_what_may_not_be_believed_is_left_out_and_named(summary: Summary) -> None:
    """A cell in which the client was too slow has no benchmark, and the file says why."""
    cell = replace(summary.cells[0], saturated="the loop was late")
    value = exported(replace(summary, cells=(cell,)))
    assert value["benchmarks"] == []
    assert value["streambench"]["left_out"] == {cell.label: "SATURATED: the loop was late"}


def test_without_an_ok_trial_there_is_no_benchmark(tmp_path: Path) -> None:
    """Of a delivery whose trials all failed there is nothing: pytest-benchmark knows no empty one."""
    truth = Truth(fail={("streamed", pair): "connect" for pair in range(4)})
    made = exported(build(make_run(tmp_path / "run", [truth], pairs=4)))["benchmarks"]
    assert [one["name"] for one in made] == ["text total blocking"]


def test_its_own_command_compares_two_runs(summary: Summary, tmp_path: Path) -> None:
    """`pytest-benchmark compare` reads two such files and shows each time of both beside the other."""
    slower = build(make_run(tmp_path / "run", [Truth(useful_ms=240)], pairs=12, seed=8))
    for name, of_run in {"before": summary, "after": slower}.items():
        (tmp_path / f"{name}.json").write_bytes(render_pytest_benchmark(of_run))
    command = [sys.executable, "-c", "from pytest_benchmark.cli import main; main()", "compare"]
    told = ["before.json", "after.json", "--group-by=fullname", "--columns=median,rounds"]
    done = subprocess.run([*command, *told], cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    for name in NAMES:
        for source in ("before", "after"):
            assert f"{name} ({source})" in done.stdout
