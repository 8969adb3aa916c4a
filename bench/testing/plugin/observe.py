"""Run a scenario on the simulator: pairs as in `bench run`, and streams that are left at their first piece."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import pluggy

from bench.core.load import ALONE
from bench.core.plugins.hookspecs import hookimpl
from bench.core.scenario import Scenario, is_sync
from bench.core.target import BUILT_IN, DUMMY_KEY
from bench.core.trial import Trial
from bench.plan.schedule import make_plan
from bench.plan.selection import make_cells
from bench.plan.settings import Settings
from bench.records.journal import journal_rows
from bench.run.assignment import run_small
from bench.run.connect import open_endpoint
from bench.run.context import Link, Tally
from bench.run.preflight.endpoints import CheckedTarget
from bench.run.preflight.preflight import PreflightResult
from bench.simulator.process import Simulator
from bench.testing.plugin.leave_early import Disconnect, leave_early

Row = Mapping[str, Any]
PAIRS = 2
"""The first pair of a process pays for the SDK's start."""
TICK_S = 0.01


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What was seen of a scenario on the simulator."""

    trials: Sequence[Row]
    """`PAIRS` pairs."""
    again: Sequence[Row]
    """A pair run after the streams were left, by the same client."""
    lag_ns: Sequence[int]
    """By trial, the longest time that the event loop was blocked."""
    closed: Disconnect
    cancelled: Disconnect
    orphans: int


async def gather(
    scenario: Scenario, simulator: Simulator, truth: Path, params: str, manager: pluggy.PluginManager
) -> Evidence:
    """Run pairs of a scenario and leave two streams. Raises `RunInvalid` if the scenario cannot run here."""
    ticker = _Ticker()
    manager.register(ticker)
    try:
        with TemporaryDirectory() as folder:
            async with AsyncExitStack() as stack:
                target = replace(BUILT_IN[0], base_url=simulator.base_url)
                checked = PreflightResult(models=["sim-1"], temperature=0, length=True, notices=(), server=None)
                endpoint = CheckedTarget(target=target, key=DUMMY_KEY, headers={}, checked=checked)
                link = await open_endpoint(endpoint, Settings(), stack, sync=is_sync(scenario))
                first, again = Path(folder) / "first", Path(folder) / "again"
                tally = await _pairs(scenario, params, link, manager, first, PAIRS)
                lag = list(ticker.lag_ns)
                closed = await leave_early(scenario, link, params, truth, how="close", trial_id=-2)
                cancelled = await leave_early(scenario, link, params, truth, how="cancel", trial_id=-3)
                tally_again = await _pairs(scenario, params, link, manager, again, 1)
            return Evidence(
                trials=journal_rows(first, "trials"),
                again=journal_rows(again, "trials"),
                lag_ns=lag,
                closed=closed,
                cancelled=cancelled,
                orphans=tally.orphans + tally_again.orphans,
            )
    finally:
        manager.unregister(ticker)


async def _pairs(
    scenario: Scenario, params: str, link: Link, manager: pluggy.PluginManager, folder: Path, pairs: int
) -> Tally:
    """Run pairs as `bench run` does and journal them in `folder`."""
    cells = make_cells(
        [scenario],
        [(link.target, "sim-1")],
        delivery="both",
        loads=[ALONE],
        clients=["sdk"],
        prompts={scenario.name: scenario.prompts},
        params={scenario.name: [params]},
        notice=lambda _: None,
    )
    plan = make_plan(cells, pairs=pairs, warmup=0, seed=1)
    return await run_small(plan, [scenario], {link.target.name: link}, folder, plugins=manager, store_text=True)


class _Ticker:
    """An observer that asks for a turn of the event loop every 10 ms and notes how long it waits for one."""

    def __init__(self) -> None:
        self.lag_ns: list[int] = []
        """The longest wait of each trial."""

    @hookimpl
    def observe(self, trial: Trial) -> AbstractAsyncContextManager[None]:  # noqa: ARG002
        return self._measure_lag()

    @asynccontextmanager
    async def _measure_lag(self) -> AsyncIterator[None]:
        turns = [perf_counter_ns()]
        task = asyncio.create_task(_tick(turns))
        try:
            yield
        finally:
            turns.append(perf_counter_ns())
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
            self.lag_ns.append(max(later - earlier for earlier, later in pairwise(turns)))


async def _tick(turns: list[int]) -> None:
    while True:
        await asyncio.sleep(TICK_S)
        turns.append(perf_counter_ns())
