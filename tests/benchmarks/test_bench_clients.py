"""What reading a stream costs: both clients beside a bare protocol and aiohttp, on the same flood in the same run.

The table of `make bench` prints each as a multiple of the cheapest. It is the time in which one answer of `EVENTS`
deltas has been read, in this process; the null server beside it needs a few µs of another CPU for each.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.nullserver import Null, running
from tests.support.yardsticks.client import LEAST, connector, loop_of
from tests.support.yardsticks.reader import Reader
from tests.support.yardsticks.result import Load
from tests.support.yardsticks.run import measure

EVENTS = 1000
FLOOD = json.dumps({"events": EVENTS, "interval_ms": 0, "ttft_ms": (0, 0)})


@pytest.fixture(scope="module")
def server() -> Iterator[Null]:
    """A null server."""
    with running() as null:
        yield null


async def connected(name: str, server: Null) -> list[Reader]:
    """One reader of this kind."""
    return await connector(name)(server.base_url, FLOOD, 1)


@pytest.mark.benchmark(group=f"a flood of {EVENTS} events")
@pytest.mark.parametrize(
    "name",
    ["bare-uvloop", "wire-uvloop", "json-uvloop", "bare", "aiohttp", pytest.param("sdk", marks=pytest.mark.slow)],
)
def test_reading_a_flood(benchmark: Any, server: Null, name: str) -> None:
    """One answer, read to its end on an open connection."""
    if name.endswith("uvloop"):
        pytest.importorskip("uvloop")
    benchmark.extra_info["events"] = EVENTS
    with asyncio.Runner(loop_factory=loop_of(name)) as runner:
        (reader,) = runner.run(connected(name, server))
        try:
            runner.run(reader.read("warm-up"))
            assert benchmark(lambda: runner.run(reader.read("read"))) > 0
        finally:
            runner.run(reader.close())


@pytest.mark.slow
@pytest.mark.parametrize("load", [Load(64, 256, events=60), Load(16, 96, 4000, 0)], ids=["paced", "flood"])
def test_the_shooter_costs_little_more_than_a_bare_protocol(benchmark: Any, server: Null, load: Load) -> None:
    """CPU of the measuring process, each in a process of its own: near the bare protocol's, and far from the SDK's."""
    names = (LEAST, "shooter", "sdk")
    small = Load(16, 16, min(load.events, 400), load.interval_ms)
    bare, shooter, sdk = benchmark.pedantic(
        lambda: [measure(name, small if name == "sdk" else load, server) for name in names], rounds=1
    )
    spent = {result.name: result.per_million(result.cpu_s) for result in (bare, shooter, sdk)}
    benchmark.extra_info["CPU s per million events"] = spent
    print(load, spent)
    assert 0 < spent["shooter"] < 4 * spent[LEAST]
    assert spent["shooter"] < spent["sdk"] / 3
