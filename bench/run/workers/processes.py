"""Several processes of this machine carry a plan out together: `bench run --workers N`.

Each is a process of its own with a socket of its own, so that one that is lost takes nothing with it.
"""

from __future__ import annotations

import asyncio
import signal
import socket
import tempfile
from contextlib import AsyncExitStack
from typing import IO, Self

from bench.core.child_process import end, spawn
from bench.plan.check_load import most_streams
from bench.run.connect import Assignment
from bench.run.workers.coordinator import Coordinator
from bench.run.workers.protocol import message
from bench.run.workers.shard import Shard, make_shards

WORKER = "bench.run.workers.worker"
_PIECE = 1 << 20


async def run_in_processes(assignment: Assignment) -> None:
    """Run the plan in `settings.workers` processes. A lost worker is noted; the others go on."""
    run, settings, number = assignment.run, assignment.settings, assignment.settings.workers
    labels = [str(index + 1) for index in range(number)]
    shards = make_shards(
        run.folder.name,
        labels,
        assignment.plan,
        assignment.choice,
        assignment.endpoints,
        settings,
        streams=most_streams(settings),
        t0=run.t0,
    )
    run.notes.append(f"measured by {number} processes of this machine")
    async with AsyncExitStack() as stack:
        processes = [await stack.enter_async_context(WorkerProcess(shard)) for shard in shards]
        coordinator = Coordinator(assignment, processes, one_clock=True)
        for index, process in enumerate(processes):
            process.listen(coordinator, index)
        await coordinator.carried_out()


class WorkerProcess:
    """One of the processes, from its start to its end. Use it as an async context manager."""

    def __init__(self, shard: Shard) -> None:
        self.label = shard.label
        self._shard = shard
        self._errors: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  (closed on leaving)
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        ours, its = socket.socketpair()
        with its:
            self._child = spawn(WORKER, its, self._errors)
        self.where = f"process {self._child.pid}"
        self._reader, self._writer = await asyncio.open_connection(sock=ours)
        self.send(message(shard=self._shard.to_json()))
        return self

    async def __aexit__(self, *_: object) -> None:
        """It ends, by itself if it has done its work."""
        if self._reading is not None:
            self._reading.cancel()
        self._writer.close()
        await asyncio.to_thread(end, self._child)
        self._errors.close()

    def send(self, data: bytes) -> None:
        """Frames, for the worker; lost with it where it is gone."""
        self._writer.write(data)

    def listen(self, coordinator: Coordinator, index: int) -> None:
        """Pass on what it says, and that it has ended."""
        self._reading = asyncio.create_task(self._listen(coordinator, index))

    async def _listen(self, coordinator: Coordinator, index: int) -> None:
        try:
            while data := await self._reader.read(_PIECE):
                coordinator.heard(index, data)
        except ConnectionError:
            pass  # it was killed while it wrote
        if not coordinator.is_done(index):
            status = await asyncio.to_thread(end, self._child)
            coordinator.lost(index, how_ended(status, self._errors))


def how_ended(status: int, errors: IO[bytes]) -> str:
    """In words, with the last of what it said."""
    errors.seek(0)
    said = errors.read().decode(errors="replace").strip().splitlines()
    how = f"killed by {signal.Signals(-status).name}" if status < 0 else f"ended with status {status}"
    return f"{how} ({said[-1]})" if said and status >= 0 else how
