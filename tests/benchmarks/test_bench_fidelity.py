"""Is what is reported what happened? TTFT through the whole of `bench run`, against the server's true send times."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.nullserver import Null, running
from tests.support.yardsticks.client import LEAST
from tests.support.yardsticks.result import Load, Result
from tests.support.yardsticks.run import measure


@pytest.fixture(scope="module")
def server() -> Iterator[Null]:
    """A null server: 100 deltas, one each 10 ms, unless a request asks otherwise."""
    with running() as null:
        yield null


def noted(benchmark: Any, *results: Result) -> None:
    """Keep the errors beside the benchmark's own numbers."""
    for result in results:
        said = {f"p{q * 100:g}": round(result.error_ms(q), 3) for q in (0.5, 0.99)}
        said |= {"n": len(result.errors_ms), "server_late_p99": round(result.lateness_ms(0.99), 3)}
        benchmark.extra_info[f"{result.name}: TTFT error, ms"] = said
        print(result.load.streams, result.name, said)


@pytest.fixture(scope="module")
def app(server: Null) -> Result:
    """The SDK as an app uses it, on few streams."""
    return measure("sdk", Load(8, 16, events=20), server)


@pytest.mark.slow
@pytest.mark.parametrize("streams", [1, 32, 256])
def test_ttft_at_100_events_a_second(benchmark: Any, server: Null, app: Result, streams: int) -> None:
    """Every request is there, no stamp lies before its frame was sent, and the SDK in an app is further off."""
    load = Load(streams, 2 * streams) if streams > 1 else Load(1, 12, events=20)
    least, wire = benchmark.pedantic(lambda: [measure(name, load, server) for name in (LEAST, "bench-wire")], rounds=1)
    noted(benchmark, least, wire, app)
    assert (wire.failed, len(wire.errors_ms)) == (0, wire.load.requests)
    assert min(wire.errors_ms) > 0
    assert wire.error_ms(0.5) < app.error_ms(0.5)
