"""A yardstick as a process of its own: so many streams at a time, closed loop.

    python -m tests.support.yardsticks.client bare-uvloop --base-url URL --streams 256 --requests 1024

It reads one answer with each stream first (connections, lazy set-up), then measures. It prints one JSON object: the
CPU and wall time of the measured part, the most memory it ever had, and when each request's first delta came.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import json
import time
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from importlib.util import find_spec
from time import perf_counter_ns
from typing import Any

from tests.support.yardsticks.processes import most_memory
from tests.support.yardsticks.reader import Reader

Connect = Callable[[str, str, int], Awaitable[list[Reader]]]
LEAST = "bare-uvloop" if find_spec("uvloop") else "bare"
"""The cheapest that can be had here."""
NAMES = ("bare", "bare-uvloop", "json-uvloop", "wire-uvloop", "aiohttp", "sdk", "shooter")


def connector(name: str) -> Connect:
    """Imports only what this yardstick needs."""
    if name == "aiohttp":
        from tests.support.yardsticks import aio

        return aio.connect
    if name == "sdk":
        from tests.support.yardsticks import sdk

        return sdk.connect
    if name.startswith("wire"):
        from tests.support.yardsticks import wire

        return wire.connect
    from tests.support.yardsticks import bare

    return partial(bare.connect, bare.Parsing if name.startswith("json") else bare.Stamping)


def loop_of(name: str) -> Callable[[], asyncio.AbstractEventLoop] | None:
    """The event loop it is named after; None: asyncio's own."""
    if not name.endswith("uvloop"):
        return None
    import uvloop

    return uvloop.new_event_loop


async def measure(connect: Connect, base_url: str, control: str, streams: int, requests: int) -> dict[str, Any]:
    """Warm up, then read so many answers."""
    readers = await connect(base_url, control, streams)
    await asyncio.gather(*[reader.read("warm-up") for reader in readers])
    gc.collect()
    gc.freeze()
    left, first = iter(range(requests)), dict[str, int]()
    cpu, wall = time.process_time_ns(), perf_counter_ns()
    await asyncio.gather(*[_take(reader, left, first) for reader in readers])
    spent = {"cpu_ns": time.process_time_ns() - cpu, "wall_ns": perf_counter_ns() - wall}
    for reader in readers:
        await reader.close()
    return {**spent, "most_memory": most_memory(), "t_first": first}


async def _take(reader: Reader, left: Iterator[int], first: dict[str, int]) -> None:
    for number in left:
        first[f"y{number}"] = await reader.read(f"y{number}")


def main() -> None:
    """Measure as the command line says."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("name", choices=NAMES)
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--control", default="", help="timing to ask of the null server, as JSON")
    parser.add_argument("--streams", type=int, required=True)
    parser.add_argument("--requests", type=int, required=True)
    options = parser.parse_args()
    asked = (options.base_url, options.control, options.streams, options.requests)
    with asyncio.Runner(loop_factory=loop_of(options.name)) as runner:
        if options.name == "shooter":
            from tests.support.yardsticks import shooter

            found = runner.run(shooter.measure(*asked))
        else:
            found = runner.run(measure(connector(options.name), *asked))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
