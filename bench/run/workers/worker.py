"""Carry out the shard of one worker with the ordinary runner: `python -m bench.run.workers.worker FD`.

The shard is the first message on the socket FD. Lines of the journal are sent over the socket as they are made, so the
process writes no file of the run. It ends when the socket is closed.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter_ns
from typing import Any

import orjson

from bench.core.errors import BenchError
from bench.core.processes.frames import FrameReader, encode, message
from bench.core.trial import TrialLost
from bench.plan.checks import open_file_limit as fdlimit
from bench.plan.choice import Choice
from bench.plan.plan import Group, Plan, PlannedCell, PlannedTrial
from bench.plan.settings import Settings
from bench.plan.share import WHOLE, Share
from bench.records.journal import Journal, Rows
from bench.run.assignment import Assignment, run_here
from bench.run.context import Tally
from bench.run.folder import Run
from bench.run.preflight.endpoints import CheckedTarget, redactor
from bench.run.progress import Progress
from bench.run.stopping.stopping import Stopping
from bench.run.workers.coordinator import LINES
from bench.run.workers.shard import Shard, choice_of, endpoints_of, load_plugins

MACHINE = {"cpu_time", "steal", "pressure"}
"""Probes that count for a whole machine; only one worker may send them."""
ROW_COLUMNS = (
    *("attempts", "requests", "input_tokens", "output_tokens", "status", "error", "phase"),
    *("delivery", "t_origin", "t_first_useful", "t_end", "result_sha256"),
)
"""Columns of a trial's row that the coordinator needs during the run."""


class Uplink:
    """The connection to the coordinator: sends frames, and queues the orders that come back."""

    def __init__(self, send: Callable[[bytes], None], drained: Callable[[], Any]) -> None:
        self.send, self.drained = send, drained
        self.orders: asyncio.Queue[Mapping[str, Any]] = asyncio.Queue()

    async def go(self, number: int, seen: Mapping[int, str]) -> Mapping[str, Any]:
        """Report that this worker is ready for a gate, and wait until it opens; return the order."""
        self.send(message(kind="ready", gate=number, seen=seen))
        await self.drained()
        return await self.orders.get()


class SentJournal(Journal):
    """A journal whose lines are sent to the coordinator."""

    def __init__(self, uplink: Uplink, *, machine: bool) -> None:
        """`machine`: include the probes of the whole machine."""
        self._uplink, self._machine = uplink, machine

    def write(self, rows: Rows) -> None:
        if not self._machine and "probes" in rows:
            probes = rows["probes"]
            kept = [place for place, name in enumerate(probes["name"]) if name not in MACHINE]
            rows = {**rows, "probes": {name: [values[place] for place in kept] for name, values in probes.items()}}
        self.append(orjson.dumps(rows) + b"\n")

    def append(self, lines: bytes) -> None:
        self._uplink.send(b"".join(encode(LINES, data=lines)))

    def close(self) -> None:
        """Do nothing: there is no file."""


class RemoteStopping(Stopping):
    """Never stops the run, but reports every ended trial to the coordinator, which decides."""

    uplink: Uplink

    def trial_ended(
        self, planned: PlannedTrial, cell: PlannedCell, row: Mapping[str, Any], without_usage: int = 0
    ) -> None:
        columns = {name: row[name] for name in ROW_COLUMNS}
        of_plan = {name: getattr(planned, name) for name in ("trial_id", "pair", "block", "ask", "delivery")}
        self.uplink.send(message(kind="ended", cell=cell.cell, row=columns, untold=without_usage, **of_plan))


class WorkerGates:
    """The runner's gates: the start of the plan, then each segment. `alone`: run the trials that run one at a time."""

    def __init__(self, uplink: Uplink, redact: Callable[[str], str], *, alone: bool) -> None:
        self._uplink, self._redact, self._alone, self._number = uplink, redact, alone, 0

    async def wait_open(self, group: Group, tally: Tally) -> Share | None:
        """Wait until the group may begin; return this worker's share of it, or None."""
        if group.segment is None:
            return WHOLE if self._alone else None
        self._number += 1
        seen = {cell: self._redact(reason) for cell, reason in tally.refusals.reasons().items()}
        order = await self._uplink.go(self._number, seen)
        tally.unsupported.update({int(cell): line for cell, line in order["unsupported"].items()})
        if (at := order.get("at")) is not None:  # workers of one machine begin at a common time of their clock
            await asyncio.sleep(max(0, at - perf_counter_ns()) / 1e9)
        return Share(*order["share"]) if order["share"] else None


async def run_shard(shard: Shard, uplink: Uplink) -> None:
    """Do a worker's whole work: load, wait for the others, measure. Its `BenchError`s name the worker."""
    with TemporaryDirectory(prefix="bench-") as scratch:
        try:
            fdlimit.check(shard.streams)
            choice = choice_of(shard, load_plugins(shard, Path(scratch)))
            endpoints = endpoints_of(shard, os.environ)
        except BenchError as error:
            raise BenchError(f"worker {shard.label}: {error}") from error
        await _carry_out(shard, uplink, choice, endpoints)


async def _carry_out(shard: Shard, uplink: Uplink, choice: Choice, endpoints: Mapping[str, CheckedTarget]) -> None:
    order = await uplink.go(0, {})
    t0 = shard.t0 if shard.t0 is not None else perf_counter_ns() - order["t"]
    uplink.send(message(kind="went"))
    stopping = RemoteStopping()
    stopping.uplink = uplink
    run = Run(folder=Path(), t0=t0, manifest={}, stopping=stopping)
    gate = WorkerGates(uplink, redactor(choice), alone=bool(order["share"]))
    assignment = Assignment(
        run=run,
        plan=Plan.from_json(shard.plan),
        choice=choice,
        endpoints=endpoints,
        settings=Settings(**shard.settings),
        journal=SentJournal(uplink, machine=shard.index == 0),
        reporter=Progress(),
    )
    try:
        await run_here(assignment, worker=shard.label, gate=gate)
    finally:
        uplink.send(message(kind="tally", orphans=run.tally.orphans, unsupported=run.tally.unsupported))


async def serve(sock: socket.socket) -> None:
    """Run the shard that arrives at this socket, until it is done, a stop is ordered, or the socket is closed."""
    reader, writer = await asyncio.open_connection(sock=sock)
    uplink, orders = Uplink(writer.write, writer.drain), _messages(reader)
    shard = Shard.from_json((await anext(orders))["shard"])
    work, heard = asyncio.create_task(run_shard(shard, uplink)), asyncio.create_task(_listen(orders, uplink))
    await asyncio.wait([work, heard], return_when=asyncio.FIRST_COMPLETED)
    work.cancel()
    lost = ""
    try:
        await work
    except asyncio.CancelledError:
        pass
    except BenchError as error:
        uplink.send(message(kind="failed", error=str(error), exit_code=error.exit_code))
    except TrialLost as error:
        lost = str(error)
    heard.cancel()
    if not lost:
        uplink.send(message(kind="done"))
    with suppress(ConnectionError):  # the coordinator is gone
        await writer.drain()
        writer.close()
        await writer.wait_closed()
    if lost:
        sys.exit(lost)  # a worker that cannot measure is lost itself


async def _messages(reader: asyncio.StreamReader) -> AsyncIterator[Mapping[str, Any]]:
    frames = FrameReader()
    while data := await reader.read(1 << 20):
        for frame in frames.feed(data):
            yield frame.meta


async def _listen(orders: AsyncIterator[Mapping[str, Any]], uplink: Uplink) -> None:
    """Forward orders until the order to stop, or the end of the socket."""
    async for order in orders:
        if order["kind"] == "stop":
            return
        if order["kind"] == "go":
            uplink.orders.put_nowait(order)


def main() -> None:
    """Serve the socket whose descriptor is the only argument."""
    asyncio.run(serve(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
