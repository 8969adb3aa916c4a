"""The machine and the versions a run was made with: for its manifest. Nothing here names a person or a host."""

from __future__ import annotations

import os
import platform
import sys
import time
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import bench

PACKAGES = ("openai", "httpx2", "httpcore2", "pydantic", "pandas", "numpy", "scipy", "pyarrow", "altair")


def versions() -> dict[str, str]:
    """Python and the packages that shape a number or a report."""
    found = {"python": platform.python_version(), "streambench": bench.__version__}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """Platform, processors, memory, clock, and how busy the machine was at the start."""
    return {
        "platform": platform.platform(),
        "cpu_model": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "memory_gib": _memory_gib(),
        "load_average_1min": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "clock": f"perf_counter ({time.get_clock_info('perf_counter').implementation})",
        "python_build": f"{platform.python_implementation()} {platform.python_compiler()}",
        "byteorder": sys.byteorder,
    }


def _cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _memory_gib() -> float | None:
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1)
    except (AttributeError, ValueError, OSError):
        return None
