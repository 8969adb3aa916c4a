"""Run a plan in several processes of this machine: `bench run --workers N`.

Each process has a socket of its own, so a lost process takes nothing with it.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import Self

from bench.core.processes.child import SocketChild, how_ended, last_lines
from bench.core.processes.frames import message
from bench.plan.checks.load import most_streams
from bench.run.assignment import Assignment
from bench.run.workers.coordinator import Coordinator
from bench.run.workers.shard import Shard, make_shards

WORKER = "bench.run.workers.worker"
_PIECE = 1 << 20


async def run_in_processes(assignment: Assignment) -> None:
    """Run the plan in `settings.workers` processes. A lost worker is noted; the others go on."""
    run, settings, number = assignment.run, assignment.settings, assignment.settings.workers
    labels = [str(index + 1) for index in range(number)]
    shards = make_shards(assignment, labels, streams=most_streams(settings), t0=run.t0)
    run.notes.append(f"measured by {number} processes of this machine")
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(WorkerProcess(shard)) for shard in shards]
        coordinator = Coordinator(assignment, processes, one_clock=True)
        for index, process in enumerate(processes):
            process.listen(coordinator, index)
        await coordinator.wait_until_done()


class WorkerProcess:
    """A worker process. Use it as an async context manager."""

    def __init__(self, shard: Shard) -> None:
        self.label = shard.label
        self._shard = shard
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._child = SocketChild(WORKER)
        self.where = f"process {self._child.pid}"
        self._reader, self._writer = await asyncio.open_connection(sock=self._child.sock)
        self.send(message(shard=self._shard.to_json()))
        return self

    async def __aexit__(self, *_: object) -> None:
        """End the process; it ends by itself if its work is done."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()
        await asyncio.to_thread(self._child.end)
        self._child.errors.close()

    def send(self, data: bytes) -> None:
        """Send frames to the worker; they are lost if it is gone."""
        self._writer.write(data)

    def listen(self, coordinator: Coordinator, index: int) -> None:
        """Forward the worker's output to the coordinator."""
        self._reading = asyncio.create_task(self._listen(coordinator, index))

    async def _listen(self, coordinator: Coordinator, index: int) -> None:
        try:
            while data := await self._reader.read(_PIECE):
                coordinator.receive(index, data)
        except ConnectionError:
            pass  # it was killed while it wrote
        if not coordinator.is_done(index):
            coordinator.worker_lost(index, await asyncio.to_thread(end_and_describe, self._child))


def end_and_describe(child: SocketChild) -> str:
    """Wait for a worker process, or end it; describe its exit status or signal, with its last stderr line."""
    status = child.end()
    last = last_lines(child.errors, 1)
    return f"{how_ended(status)} ({last})" if last and status >= 0 else how_ended(status)
