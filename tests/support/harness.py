"""Runs a scenario through the real runner, client and journal against any server, without the command line."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from time import perf_counter_ns
from typing import Any

from bench.clients.load_generator.process import Shooter
from bench.core.ask import Options
from bench.core.plugins.loader import new_manager
from bench.core.scenario import Prompt, Scenario, is_sync
from bench.core.target import Target
from bench.core.trial import Delivery
from bench.plan.arrivals import Arrivals
from bench.plan.plan import BOTH, PlannedCell, PlannedTrial
from bench.plan.schedule import Amount, make_plan
from bench.records.journal import Journal, read
from bench.run.connect import open_link
from bench.run.context import Context, Tally
from bench.run.progress import Progress
from bench.run.runner import run_plan

Row = dict[str, Any]


@dataclass(frozen=True)
class Measured:
    """What a run left behind, read back from its journal."""

    tables: dict[str, list[Row]]
    tally: Tally
    t0: int
    """The run's start on `perf_counter_ns`: all times count from it."""

    def __getitem__(self, table: str) -> list[Row]:
        return self.tables[table]

    def trial(self, delivery: str = "streamed") -> Row:
        """The only measured trial of a delivery."""
        (row,) = [row for row in self["trials"] if row["delivery"] == delivery and row["phase"] == "measure"]
        return row


class Counting(Progress):
    """Progress that sets `enough` once so many measured trials have ended."""

    def __init__(self, number: int | None) -> None:
        self.left, self.enough = number, asyncio.Event()

    def trial_done(self, cell: PlannedCell, planned: PlannedTrial, row: Mapping[str, Any]) -> None:  # noqa: ARG002
        """One less to wait for."""
        if self.left and planned.phase == "measure":
            self.left -= 1
            if not self.left:
                self.enough.set()


def cell_of(
    scenario: Scenario, deliveries: Sequence[Delivery], concurrency: int, asks: int, number: int = 0
) -> PlannedCell:
    """A cell on a target named `test`."""
    return PlannedCell(
        cell=number,
        scenario=scenario.name,
        params="",
        api=scenario.api,
        target="test",
        host="test",
        simulated=False,
        model="sim-1",
        client=scenario.client,
        load=f"c={concurrency}",
        description="",
        useful="",
        deliveries=tuple(deliveries),
        asks=asks,
    )


def measure(
    run: Path,
    base_url: str,
    scenario: Scenario,
    *,
    deliveries: Sequence[Delivery] = BOTH,
    pairs: int = 1,
    warmup: int = 0,
    concurrency: int = 1,
    max_retries: int = 2,
    deadline: float = 10.0,
    prompts: Sequence[Prompt] = ("Hello",),
    observers: Sequence[object] = (),
    simulated: bool = False,
    control: dict[str, Any] | None = None,
    cancel_after: float | None = None,
    cancel_ended: int | None = None,
    params: str = "",
    seed: int = 7,
    load: str = "",
    client: str = "sdk",
    amount: Amount | None = None,
    arrivals: Arrivals = "poisson",
    ramp_s: float = 0.0,
    max_in_flight: int = 500,
    events: float = 1.0,
) -> Measured:
    """Carry out a small plan and read its journal back.

    `load`: `rate=5` for instance, instead of a `concurrency`; without a `warmup` it has none.
    Cancelled, as by Ctrl-C, after `cancel_after` seconds, or once `cancel_ended` measured trials have ended.
    """
    manager = new_manager()
    for observer in observers:
        manager.register(observer)
    cell = cell_of(scenario, deliveries, concurrency, len(prompts))
    cell = replace(cell, params=params, load=load or cell.load, client=client if scenario.client == "sdk" else "own")
    loaded: dict[str, Any] = {"amount": amount or Amount(), "arrivals": arrivals, "ramp_s": ramp_s}
    plan = make_plan([cell], pairs=pairs, warmup=warmup, seed=seed, **loaded)
    if load and not warmup:
        plan = replace(plan, segments=tuple(segment for segment in plan.segments if segment.phase != "warmup"))
    journal, tally, t0 = Journal(run), Tally(), perf_counter_ns()
    progress = Counting(cancel_ended)

    async def go() -> None:
        async with AsyncExitStack() as stack:
            await go_in(stack)

    async def go_in(stack: AsyncExitStack) -> None:
        target = Target(name="sim" if simulated else "test", base_url=base_url)
        shooter = await stack.enter_async_context(await Shooter.start()) if client == "wire" else None
        link = await open_link(
            target,
            stack,
            key="key",
            options=Options(control=control or {}),
            max_retries=max_retries,
            deadline_s=deadline,
            sync=is_sync(scenario),
            shooter=shooter,
        )
        context = Context(
            scenarios={scenario.name: scenario},
            prompts={scenario.name: prompts},
            links={"test": link},
            hooks=manager.hook,
            journal=journal,
            t0=t0,
            deadline_s=deadline,
            store_text=True,
            redact=lambda text: text.replace("top-secret", "***"),
            tally=tally,
            shooter=shooter,
            max_in_flight=max_in_flight,
            events=events,
        )
        await run_plan(plan, context, progress)

    async def cancelled() -> None:
        task, enough = asyncio.create_task(go()), asyncio.create_task(progress.enough.wait())
        await asyncio.wait([task, enough], timeout=cancel_after, return_when=asyncio.FIRST_COMPLETED)
        enough.cancel()
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    try:
        asyncio.run(cancelled() if cancel_after or cancel_ended else go())
    finally:
        journal.close()
    return Measured({name: table.to_pylist() for name, table in read(run).items()}, tally, t0)
