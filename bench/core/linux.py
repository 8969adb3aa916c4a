"""What Linux says of itself in files: how fast the processors may run, what this process may use, how long tasks wait.

Elsewhere, and where a file is missing, the answer is None or an empty mapping. `root` is for tests.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

ROOT = Path("/")
_CPU = "sys/devices/system/cpu"
_UNLIMITED = 2**60
"""Memory limits above this (version 1 of cgroups writes a huge number) are none."""


def text(path: Path) -> str:
    """Read a file's text; "" when it cannot be read."""
    try:
        return path.read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def boot(root: Path = ROOT) -> str | None:
    """Return what tells this start of this machine from every other; hashed, because it goes over the network."""
    found = text(root / "proc/sys/kernel/random/boot_id")
    return sha256(found.encode()).hexdigest()[:16] if found else None


def governor(root: Path = ROOT) -> str | None:
    """Return how the first processor chooses its frequency: `performance`, `powersave` or another governor."""
    return text(root / _CPU / "cpu0/cpufreq/scaling_governor") or None


def turbo(root: Path = ROOT) -> bool | None:
    """Return True if processors may run above their nominal frequency."""
    if off := text(root / _CPU / "intel_pstate/no_turbo"):
        return off == "0"
    boost = text(root / _CPU / "cpufreq/boost")
    return boost == "1" if boost else None


def limits(root: Path = ROOT) -> dict[str, float]:
    """Return what the control groups allow this process: `cpus` and `memory_gib`, each only where there is a limit."""
    cpus, memory = min(_cpus(root), default=None), min(_memory(root), default=None)
    found = {"cpus": cpus, "memory_gib": None if memory is None else memory / 2**30}
    return {name: round(value, 2) for name, value in found.items() if value is not None}


def _cpus(root: Path) -> Iterator[float]:
    """Yield the processor limit of each group, in whole processors."""
    for group in _groups(root, "cpu"):
        quota, _, period = text(group / "cpu.max").partition(" ")
        quota, period = quota or text(group / "cpu.cfs_quota_us"), period or text(group / "cpu.cfs_period_us")
        if quota.isdecimal() and period.isdecimal() and int(period):
            yield int(quota) / int(period)


def _memory(root: Path) -> Iterator[int]:
    """Yield the memory limit of each group, in bytes."""
    for group in _groups(root, "memory"):
        for name in ("memory.max", "memory.limit_in_bytes"):
            limit = text(group / name)
            if limit.isdecimal() and int(limit) < _UNLIMITED:
                yield int(limit)


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Yield the folders of this process's control groups, of both versions, and of all groups around them."""
    top = root / "sys/fs/cgroup"
    for line in text(root / "proc/self/cgroup").splitlines():
        _, controllers, path = line.split(":", 2)
        if controllers and controller not in controllers.split(","):
            continue
        mounted = top / controllers if controllers else top
        inner = mounted / path.lstrip("/")
        if ".." not in path:
            yield inner
        yield from (around for around in inner.parents if around.is_relative_to(mounted))


def pressure(root: Path = ROOT) -> dict[str, float]:
    """Return the percentage of the last 10 s in which some task waited, for `cpu`, `memory` and `io` where known."""
    found = {}
    for name in ("cpu", "memory", "io"):
        some = text(root / "proc/pressure" / name).partition("\n")[0]
        fields = dict(field.split("=", 1) for field in some.split() if "=" in field)
        if some.startswith("some") and "avg10" in fields:
            found[name] = float(fields["avg10"])
    return found
