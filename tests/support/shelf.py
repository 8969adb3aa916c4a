"""Finished runs that many tests read: each is made once a session, on one machine, whatever number of processes test.

    def test_something(shelf: Shelf, tmp_path: Path) -> None:
        run = shelf.copy("before", tmp_path / "reports")

A test that writes into a run takes a copy. One that only reads it takes `shelf.run(name)` or `shelf.summary(name)`.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Callable, Mapping
from functools import cache
from pathlib import Path

from bench.analysis.build import build
from bench.core.results.summary import Summary
from bench.reports.charts.built_in import chart_data
from tests.support.loaded import Loaded, make_loaded
from tests.support.synthetic import Truth, make_run

EXAMPLE = (
    Truth(loop_lag_ms=0.1),
    Truth(
        scenario="function_call",
        slower_by=0.03,
        fail={("blocking", 3): "timeout"},
        error="no answer in 60 s",
        loop_lag_ms=0.1,
    ),
    Truth(
        scenario="structured_output",
        tokens_per_delta=3,
        fail={("streamed", pair): "malformed" for pair in (1, 2)},
        loop_lag_ms=0.1,
    ),
)


def example(run: Path, *, finish: bool = True) -> None:
    """Three scenarios, some failures, and a run that checked itself."""
    make_run(run, EXAMPLE, aa=8, coin=True, pressure=0.03, finish=finish)


def plain(run: Path) -> None:
    """Text: first useful at 120 ms, whole after 420 ms, 36 pairs."""
    make_run(run)


def before(run: Path) -> None:
    """The run that `after` is compared with; its name is another than that of its folder."""
    make_run(run, [Truth(noise=0.05)], seed=1, manifest={"name": "last-week", "created": "2026-01-02T03:04:05Z"})


def after(run: Path) -> None:
    """The same as `before` one day later, 10 % slower."""
    slower = Truth(noise=0.05, useful_ms=132, token_ms=5.5)
    make_run(run, [slower], seed=2, manifest={"name": "after", "created": "2026-01-03T03:04:05Z"})


def swept(run: Path) -> None:
    """Six loads in both deliveries, the highest too much."""
    cells = [Loaded(load=f"rate={rate}") for rate in (1, 2, 5, 10, 20, 40)]
    make_loaded(run, cells, slos=["ttft=400ms"], requests=120)


RUNS: Mapping[str, Callable[[Path], None]] = {make.__name__: make for make in (example, plain, before, after, swept)}


class Shelf:
    """The runs in a folder that all processes of a test session share."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(exist_ok=True)
        self.summary = cache(self._summary)
        """The summary of a run by its name, with the data of its charts; built once in each process."""

    def run(self, name: str) -> Path:
        """Return the folder of a run, made by whoever asks for it first; nobody writes into it."""
        run = self._folder / name
        with (self._folder / f"{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not run.exists():
                making = self._folder / "making" / name
                shutil.rmtree(making, ignore_errors=True)
                RUNS[name](making)
                making.rename(run)
        return run

    def copy(self, name: str, to: Path) -> Path:
        """Copy a run into the folder `to`; return the folder of the copy, which has the run's name."""
        return Path(shutil.copytree(self.run(name), to / name))

    def _summary(self, name: str) -> Summary:
        return build(self.run(name), chart_data=chart_data)
