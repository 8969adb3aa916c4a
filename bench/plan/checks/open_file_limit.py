"""Check that this machine can hold the concurrent streams: open files and local ports, before the first request."""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, inf
from pathlib import Path

from bench.core.errors import BenchError

RESERVE = 64
"""Open files that a process takes beside its streams: journal, pipes to other processes, event loop, name look-ups."""
_PORT_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


@dataclass(frozen=True)
class Limits:
    """What the operating system allows. Infinite where it says no limit."""

    soft: float
    """Open files of a process; it may be raised up to `hard` without rights."""
    hard: float
    open: int
    """Files that are open now."""
    ports: float
    """Local ports for connections to one server."""


def check(streams: int, workers: int = 1, *, simulated: bool = False) -> None:
    """Raise BenchError when this machine cannot hold `streams` concurrent connections, split over `workers` processes.

    `simulated`: the server is a process of this machine with the same limit, which holds all of them.
    """
    if said := problem(streams, workers, limits(), simulated=simulated):
        raise BenchError(said)


def problem(streams: int, workers: int, limits: Limits, *, simulated: bool = False) -> str | None:
    """Say which limit is too low, with the numbers and the command that raises it; None when none is."""
    here = ceil(streams / workers) + limits.open + RESERVE
    there = streams + RESERVE if simulated else 0
    needed = max(here, there)
    if needed > limits.soft:
        where = "the simulator, which holds all of them," if there > here else "one process"
        fewer = "ask for fewer" if there > here else "ask for fewer or for more --workers"
        asked = f"{streams} streams at a time" + (f" in {workers} workers" if workers > 1 else "")
        return (
            f"{asked} need {needed} open files in {where} and the limit is {limits.soft:.0f}; "
            f"{_how_to_raise(needed, limits.hard)}, or {fewer}"
        )
    if streams > limits.ports:
        return (
            f"{streams} streams at a time and this machine has {limits.ports:.0f} local ports for connections to one "
            'server; widen the range (sudo sysctl -w net.ipv4.ip_local_port_range="1024 65535"), share the load among '
            "machines, or ask for fewer"
        )
    return None


def _how_to_raise(needed: int, hard: float) -> str:
    """Return the command to type. The number is a power of two, as limits usually are, where the hard limit lets it."""
    number = 1 << (needed - 1).bit_length()
    if needed <= hard:
        return f"raise it in this shell before the run: ulimit -n {min(number, hard):.0f}"
    return (
        f"the hard limit is {hard:.0f}: raise both for this shell: sudo prlimit --pid $$ --nofile={number}:{number} (a "
        f"container: --ulimit nofile={number} when it is started)"
    )


def limits() -> Limits:
    """Read the limits of this process and this machine; infinite where the system has none, as on Windows."""
    try:
        import resource  # noqa: PLC0415  (not on Windows)
    except ImportError:
        return Limits(inf, inf, 0, inf)
    soft, hard = (
        inf if limit == resource.RLIM_INFINITY else limit for limit in resource.getrlimit(resource.RLIMIT_NOFILE)
    )
    return Limits(soft, hard, _open_files(), _local_ports())


def _open_files() -> int:
    """Count the open files of this process, without the listing itself; 0 where the system does not tell."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return sum(1 for _ in Path(folder).iterdir()) - 1
        except OSError:
            continue
    return 0


def _local_ports() -> float:
    """Count the local ports that the system assigns. Only Linux says it in a file."""
    try:
        first, last = map(int, _PORT_RANGE.read_text().split())
    except (OSError, ValueError):
        return inf
    return last - first + 1
