"""How long one waits: for the help, and for a run's first request."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.cli import BENCH, environment
from tests.support.nullserver import Null, running
from tests.support.yardsticks.result import Load
from tests.support.yardsticks.run import measure


@pytest.fixture(scope="module")
def server() -> Iterator[Null]:
    """A null server that answers at once."""
    with running("--events", "1", "--interval-ms", "0", "--ttft-ms", "0") as null:
        yield null


@pytest.mark.benchmark(group="start-up")
@pytest.mark.parametrize(
    "command", [[sys.executable, "-c", "pass"], [*BENCH, "--help"]], ids=["python", "bench --help"]
)
def test_help(benchmark: Any, command: list[str]) -> None:
    """A process that only says what there is, beside one that does nothing."""
    done = benchmark.pedantic(
        lambda: subprocess.run(command, env=environment(), stdout=subprocess.DEVNULL, check=False), rounds=5
    )
    assert done.returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("client", ["bench-sdk", "bench-wire"])
def test_the_first_request_of_a_run(benchmark: Any, server: Null, client: str) -> None:
    """From the start of the process to its first trial's request: imports, plugins, preflight, plan and records."""
    load = Load(1, 6, events=1, interval_ms=0, ttft_ms=(0, 0))
    result = benchmark.pedantic(lambda: measure(client, load, server), rounds=1)
    benchmark.extra_info["first request after s"] = result.first_request_s
    print(client, result.first_request_s)
    assert result.first_request_s is not None
    assert 0 < result.first_request_s < 60
