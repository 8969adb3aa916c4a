"""The tasks of a run on a Dask cluster: one pinned to each worker, and supervised while it runs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from bench.core.processes.frames import message
from bench.run.workers.coordinator import Coordinator
from bench.run.workers.dask.relay import BEAT_S, IN_QUEUE, SILENT_S, Names, relay
from bench.run.workers.shard import Shard

if TYPE_CHECKING:
    from distributed import Client, Queue

LOOK_S = 1.0
"""The workers are checked this often."""


class DaskWorker:
    """A worker of the cluster that the coordinator can send to."""

    def __init__(self, label: str, address: str, down: Queue) -> None:
        self.label, self.address, self.where = label, address, address
        self._down = down
        self._unsent: asyncio.Queue[bytes | None] = asyncio.Queue()
        self.heard_at = monotonic()

    def send(self, data: bytes) -> None:
        self._unsent.put_nowait(data)

    async def sending(self) -> None:
        """Send queued frames in order, and a sign of life every few seconds."""
        while True:
            data = None
            with suppress(TimeoutError):
                data = await asyncio.wait_for(self._unsent.get(), BEAT_S)
            await self._down.put(data)


class Tasks:
    """The tasks of all shards."""

    def __init__(self, client: Client, up: Queue, members: Sequence[DaskWorker], futures: Sequence[Any]) -> None:
        self.members = members
        self._client, self._up, self._futures = client, up, futures

    async def forward(self, coordinator: Coordinator) -> None:
        """Forward the workers' output until the plan is done. Raises what `Coordinator.wait_until_done` raises."""
        work = [member.sending() for member in self.members]
        work += [self._hearing(coordinator), self._looking(coordinator)]
        running = [asyncio.create_task(self._report_failure(one, coordinator)) for one in work]
        try:
            await coordinator.wait_until_done()
        finally:
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _report_failure(self, work: Coroutine[Any, Any, None], coordinator: Coordinator) -> None:
        """Run endless work; if it fails, the scheduler is gone, and all workers with it."""
        try:
            await work
        except (OSError, TimeoutError, ValueError, KeyError) as error:
            for index in range(len(self.members)):
                coordinator.worker_lost(index, f"the scheduler cannot be reached any more ({type(error).__name__})")

    async def _hearing(self, coordinator: Coordinator) -> None:
        while True:
            index, data = await self._up.get()
            self.members[index].heard_at = monotonic()
            if isinstance(data, bytes):
                coordinator.receive(index, data)
            elif data is not None:
                coordinator.worker_lost(index, data)

    async def _looking(self, coordinator: Coordinator) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            there = await self._client.nthreads()
            for index, (member, future) in enumerate(zip(self.members, self._futures, strict=True)):
                if why := await _why_lost(member, future, there):
                    coordinator.worker_lost(index, why)
                    await self._client.cancel([future], force=True)


async def _why_lost(member: DaskWorker, future: Any, there: Any) -> str:
    """Return why a worker is lost, or ""."""
    if future.status == "error":
        error = await future.exception()
        return f"{type(error).__name__}: {' '.join(str(error).split())}"
    if member.address not in there:
        return "it left the cluster"
    return f"it said nothing for {SILENT_S:g} s" if monotonic() - member.heard_at > SILENT_S else ""


@asynccontextmanager
async def tasks_on(client: Client, shards: Sequence[Shard], addresses: Sequence[str]) -> AsyncIterator[Tasks]:
    """Start each shard on the worker of its address, and cancel all when the block ends."""
    names = Names(shards[0].run)
    async with AsyncExitStack() as stack:
        up = await _queue(names.from_workers, client, stack, maxsize=IN_QUEUE)
        members = []
        for shard, address in zip(shards, addresses, strict=True):
            await (await _queue(names.token(shard.index), client, stack)).put(1)
            down = await _queue(names.to_worker(shard.index), client, stack)
            members.append(DaskWorker(shard.label, address, down))
            members[-1].send(message(shard=shard.to_json()))
        pinned: dict[str, Any] = {"allow_other_workers": False, "pure": False, "retries": 0}
        keys = [f"bench-{shard.run}-{shard.index}" for shard in shards]
        futures = [
            client.submit(relay, shard.run, shard.index, key=key, workers=[address], **pinned)
            for shard, key, address in zip(shards, keys, addresses, strict=True)
        ]
        await _forbid_second_start(client, keys)
        try:
            yield Tasks(client, up, members, futures)
        finally:
            with suppress(OSError, TimeoutError):
                await client.cancel(futures, force=True)


async def _queue(name: str, client: Client, stack: AsyncExitStack, maxsize: int = 0) -> Queue:
    from distributed import Queue  # noqa: PLC0415  (an optional extra, half a second)

    queue = await Queue(name, client=client, maxsize=maxsize)
    stack.callback(queue.close)
    return queue


async def _forbid_second_start(client: Client, keys: Sequence[str]) -> None:
    """Set `allowed-failures` to 0 for these tasks alone, because the scheduler's setting holds for all its users.

    If the scheduler forbids that, the token of each shard still makes a second start fail.
    """

    def forbid(dask_scheduler: Any = None) -> None:  # inside, so that it is sent by value: nothing is installed there
        for key in keys:
            if task := dask_scheduler.tasks.get(key):
                task.suspicious = dask_scheduler.allowed_failures

    with suppress(ValueError, OSError):
        await client.run_on_scheduler(forbid)
