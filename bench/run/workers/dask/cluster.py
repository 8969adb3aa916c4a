"""Run a plan on the workers of a Dask cluster: `bench run --scheduler ADDRESS`.

On each Dask worker a task starts the same worker process as on this machine, and forwards its output over queues of the
scheduler, so the process that measures shares no thread with Dask. Nothing is measured twice: a task takes the only
token of its shard before it starts anything.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import warnings
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

from bench.core.errors import BenchError
from bench.core.target import is_loopback, is_sensitive
from bench.plan.checks.load import most_streams
from bench.plan.settings import Settings
from bench.run.assignment import Assignment
from bench.run.preflight.endpoints import CheckedTarget
from bench.run.workers.coordinator import Coordinator
from bench.run.workers.dask.tasks import tasks_on
from bench.run.workers.shard import make_shards

if TYPE_CHECKING:
    from distributed import Client

CONNECT_S = 5
PACKAGES = ("distributed", "bench")


def with_cluster_size(settings: Settings) -> Settings:
    """Return the settings with `workers` set to the cluster's size. Raises `BenchError` if it cannot be used."""
    if settings.scheduler is None:
        return settings
    if find_spec("distributed") is None:
        raise BenchError("--scheduler needs Dask: pip install 'streambench[distributed]'")
    return replace(settings, workers=len(asyncio.run(_look(settings.scheduler))))


async def _look(address: str) -> list[str]:
    async with connect(address) as client:
        return await _workers(client, address)


@asynccontextmanager
async def connect(address: str) -> AsyncIterator[Client]:
    """Connect to the scheduler at this address. Raises `BenchError` if it cannot be reached."""
    from distributed import Client  # noqa: PLC0415  (an optional extra, half a second)

    for name in ("distributed", "distributed.client"):  # this module prints its own lines
        logging.getLogger(name).setLevel(logging.CRITICAL)
    warnings.filterwarnings("ignore", category=UserWarning, module="distributed")
    try:
        client = await Client(address, asynchronous=True, timeout=CONNECT_S, set_as_default=False)
    except (OSError, ValueError, TimeoutError, ImportError) as error:
        why = " ".join(str(error).split()) or type(error).__name__
        text = f"--scheduler {address}: cannot be reached ({why}); is `dask scheduler` running there?"
        raise BenchError(text) from error
    try:
        yield client
    finally:
        with suppress(OSError, TimeoutError):
            await client.close(timeout=CONNECT_S)


async def _workers(client: Client, address: str) -> list[str]:
    """Return the workers' addresses. Raises `BenchError` if their versions differ from this process's."""
    versions = await client.get_versions(packages=["bench"])
    check_versions(address, versions)
    return sorted(versions["workers"])


def check_versions(address: str, versions: Mapping[str, Any]) -> None:
    """Raise `BenchError` for different versions, or without a worker. `versions`: as Dask's client gives them."""
    here = _versions(versions["client"])
    for where, found in [("the scheduler", versions["scheduler"]), *sorted(versions["workers"].items())]:
        there = _versions(found) if found else {}
        names = ["python", *PACKAGES] if where != "the scheduler" else ["distributed"]
        for name in names:
            if there.get(name) != here[name]:
                what, other = {"bench": "streambench"}.get(name, name), there.get(name) or "(none)"
                raise BenchError(
                    f"--scheduler {address}: {where} has {what} {other} and this is {here[name]}; install the same "
                    "version on all"
                )
    if not versions["workers"]:
        raise BenchError(f"--scheduler {address}: it has no worker; start some: dask worker {address}")


def _versions(found: Mapping[str, Any]) -> dict[str, str | None]:
    """Return the versions to compare: Python's minor version, which runs the plugins, and those of the packages."""
    python = ".".join(found["host"]["python"].split(".")[:2])
    return {"python": python, **{name: found["packages"].get(name) for name in PACKAGES}}


async def run_on_cluster(assignment: Assignment) -> None:
    """Run the plan on the workers of `settings.scheduler`. A lost worker is noted; the others go on."""
    run, settings = assignment.run, assignment.settings
    run.clocks_apart = True
    async with connect(str(settings.scheduler)) as client:
        addresses = (await _workers(client, str(settings.scheduler)))[: settings.workers]
        check_reach(assignment.endpoints, addresses)
        labels = [str(index + 1) for index in range(len(addresses))]
        shards = make_shards(assignment, labels, streams=most_streams(settings), t0=None)
        async with tasks_on(client, shards, addresses) as tasks:
            coordinator = Coordinator(assignment, tasks.members, one_clock=False)
            try:
                await tasks.forward(coordinator)
            finally:
                workers = f"{len(labels)} Dask worker{'s' if len(labels) > 1 else ''}"
                run.notes.insert(
                    0,
                    f"measured by {workers}: clocks not compared; each one's times count from when it was let go, "
                    f"and it heard so within {coordinator.uncertainty_ns / 1e6:.0f} ms",
                )


def check_reach(endpoints: Mapping[str, CheckedTarget], addresses: Sequence[str]) -> None:
    """Raise `BenchError` if workers could not reach a target, or a secret would go through the cluster."""
    elsewhere = [address for address in addresses if not _is_here(address)]
    for endpoint in endpoints.values():
        target = endpoint.target
        if target.simulated and elsewhere:
            raise BenchError(
                f"--scheduler: the simulator listens on this machine only and worker {elsewhere[0]} is on another; "
                "start `bench serve` where all reach it and name it with --base-url"
            )
        for name, value in target.headers.items():
            if is_sensitive(name) and "${" not in value:
                raise BenchError(
                    f"--scheduler: the value of header {name} would go through the cluster; write ${{VARIABLE}} and "
                    "set that where the workers run"
                )


def _is_here(address: str) -> bool:
    """Return True for an address of this machine: a socket can be bound to it."""
    host = address.partition("://")[2].rpartition(":")[0].strip("[]")
    if is_loopback(host) or address.startswith("inproc"):
        return True
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True
