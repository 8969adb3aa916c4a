"""Describe the machine, the versions and the project of a run, for its manifest.

An allow-list: each value is named here. Nothing names a person, a host or a folder, and of environment variables only
whether they are set.
"""

from __future__ import annotations

import asyncio
import os
import platform
import ssl
import subprocess
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bench
from bench.core import linux as kernel

PACKAGES = ("openai", "httpx2", "httpcore2", "pydantic", "pandas", "numpy", "scipy", "pyarrow", "altair")
SERVING = ("click", "pluggy", "starlette", "uvicorn")
"""Packages of the commands and the simulator."""
OPTIONAL = ("uvloop", "websockets")
"""Named only where they are installed: then they are used."""
PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY")
STEPS = 200
"""Steps of the clock of which the smallest is taken: some microseconds in all."""
GIT_SECONDS = 2.0


def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that shape a number or a report."""
    found = {"python": platform.python_version(), "streambench": bench.__version__, "openssl": ssl.OPENSSL_VERSION}
    found |= {package: _version(package) or "not installed" for package in (*PACKAGES, *SERVING)}
    return found | {package: known for package in OPTIONAL if (known := _version(package))}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def machine() -> dict[str, Any]:
    """Describe platform, processors, memory, limits, clock, interpreter, and the load of the machine at the start.

    None stands for what cannot be read here.
    """
    return {
        "platform": platform.platform(),
        "cpu_model": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "cpu_governor": kernel.governor(),
        "cpu_turbo": kernel.turbo(),
        "memory_gib": _memory_gib(),
        "limits": kernel.limits(),
        "load_average_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "pressure": kernel.pressure(),
        "clock": f"perf_counter ({time.get_clock_info('perf_counter').implementation})",
        "clock_step_ns": clock_step(),
        "event_loop": _event_loop(),
        "python_build": f"{platform.python_implementation()} {platform.python_compiler()}",
        "gil": bool(getattr(sys, "_is_gil_enabled", lambda: True)()),
        "byteorder": sys.byteorder,
        "proxy_variables": [name for name in PROXIES if os.environ.get(name) or os.environ.get(name.lower())],
    }


def clock_step() -> int:
    """Return the smallest observed step of the run's clock in ns: no stamp is more exact."""
    return min(_step() for _ in range(STEPS))


def _step() -> int:
    start = time.perf_counter_ns()
    while (now := time.perf_counter_ns()) == start:
        pass
    return now - start


def project(folder: Path) -> dict[str, Any]:
    """Return `project_commit`, the commit of the folder's git repository, and `project_dirty`, True with changes.

    Both are None without a repository or git. Untracked files do not count as changes.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    status = "status", "--porcelain", "--untracked-files=no", "--ignore-submodules=all"
    changed = _git(folder, *status) if commit else None
    return {"project_commit": commit, "project_dirty": None if changed is None else bool(changed)}


def _git(folder: Path, *asked: str) -> str | None:
    """Return git's output, None when git fails. Git runs no command of the repository's settings and takes no lock."""
    command = ["git", "-c", "core.fsmonitor=false", "-C", str(folder), *asked]
    try:
        said = subprocess.run(
            command,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=GIT_SECONDS,
            check=False,
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    return None if said.returncode else said.stdout.strip()


def _event_loop() -> str:
    """Return the class name of the event loops that the trials run on."""
    loop = asyncio.new_event_loop()
    loop.close()
    return f"{type(loop).__module__}.{type(loop).__qualname__}"


def _cpu_model() -> str:
    lines = kernel.text(Path("/proc/cpuinfo")).splitlines()
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or "unknown")


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
