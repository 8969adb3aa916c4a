"""Write `pytest-benchmark.json`: the times of the ok trials as pytest-benchmark stores and compares them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from statistics import fmean, median, stdev
from typing import Any

import orjson

from bench.core.results.row import Row
from bench.core.results.summary import Cell, Ecdf, Summary
from bench.reports.data_files import finite_json

FORMAT = "5.1.0"
"""Version of pytest-benchmark whose format this is."""
Benchmark = dict[str, Any]


def render_pytest_benchmark(summary: Summary) -> bytes:
    """Write a benchmark of each cell and time; cells that may not be believed have none, and `streambench` says why."""
    value = {
        "machine_info": _machine(summary.environment),
        "commit_info": {
            "id": summary.environment.get("project_commit", "unversioned"),
            "dirty": summary.environment.get("project_dirty") == "true",
        },
        "benchmarks": [made for cell in summary.cells if not _unfit(cell) for made in _benchmarks(summary, cell)],
        "datetime": summary.manifest.get("created"),
        "version": FORMAT,
        "streambench": {
            "run_id": summary.manifest.get("run_id"),
            "headline": summary.headline,
            "trust": summary.trust.verdict,
            "left_out": {cell.label: reason for cell in summary.cells if (reason := _unfit(cell))},
        },
    }
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def _unfit(cell: Cell) -> str:
    """Return why the cell's numbers should not be compared: the file has no place for it that `compare` would show."""
    reasons = {"INVALID": cell.invalid, "SATURATED": cell.saturated, "not measured": cell.unsupported}
    return "; ".join(f"{name}: {reason}" for name, reason in reasons.items() if reason)


def _benchmarks(summary: Summary, cell: Cell) -> Iterator[Benchmark]:
    """Yield a benchmark for each time that an ok trial has."""
    streamed = {"ttft": cell.curves.get("ttft"), "ttfu": cell.first_useful, "total": cell.curves.get("total")}
    curves_of: dict[str, dict[str, Ecdf | None]] = {"streamed": streamed, "blocking": {"total": cell.blocking_total}}
    for delivery, curves in curves_of.items():
        for metric, curve in curves.items():
            if curve is not None and curve.values:
                yield _benchmark(cell, delivery, metric, curve, summary.row(cell, delivery, metric, "p50"))


def _benchmark(cell: Cell, delivery: str, metric: str, curve: Ecdf, row: Row | None) -> Benchmark:
    """Make a benchmark whose name, unlike the cell's label, is the same in every run: `compare` matches by it."""
    key = cell.key._asdict() | {"delivery": delivery, "metric": metric}
    param = "-".join(filter(None, cell.key[1:]))
    name = f"{cell.key.scenario} {metric} {delivery}"
    return {
        "group": f"{cell.key.scenario}[{param}]",
        "name": name,
        "fullname": f"{name}[{param}]",
        "params": key,
        "param": param,
        "extra_info": _extra(curve, row),
        "options": {},
        "stats": stats([value / 1000 for value in curve.values]),
    }


def _extra(curve: Ecdf, row: Row | None) -> dict[str, Any]:
    """Return what the statistics leave out: failed trials, and the interval of the median."""
    told = {"offered": curve.offered, "not in the statistics": curve.offered - len(curve.values)}
    if row is None:
        return told
    of_all = finite_json({name: getattr(row, name) for name in ("estimate", "low", "high")})
    return told | {"p50 of all offered, ms": of_all, "failed": row.failed, "note": row.note}


def stats(data: Sequence[float]) -> dict[str, Any]:
    """Compute pytest-benchmark's statistics of at least one time in s, `data` ascending."""
    total, mean, spread = sum(data), fmean(data), stdev(data) if len(data) > 1 else 0
    q1, q3 = _quartiles(data)
    fence = 1.5 * (q3 - q1)
    far = _number_outside(data, mean - spread, mean + spread), _number_outside(data, q1 - fence, q3 + fence)
    return {
        "min": data[0],
        "max": data[-1],
        "mean": mean,
        "stddev": spread,
        "rounds": len(data),
        "median": median(data),
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": far[1],
        "stddev_outliers": far[0],
        "outliers": f"{far[0]};{far[1]}",
        "ld15iqr": data[bisect_left(data, q1 - fence)],
        "hd15iqr": data[bisect_right(data, q3 + fence) - 1],
        "ops": len(data) / total if total else 0,
        "total": total,
        "data": data,
        "iterations": 1,
    }


def _quartiles(data: Sequence[float]) -> tuple[float, float]:
    """Return the means of the medians of the halves with and without the middle value."""
    half, rest = len(data) // 2, -(-len(data) // 2)
    if not half:
        return data[0], data[0]
    return (median(data[:half]) + median(data[:rest])) / 2, (median(data[half:]) + median(data[rest:])) / 2


def _number_outside(data: Sequence[float], low: float, high: float) -> int:
    """Count the values outside of `low` to `high`."""
    return bisect_left(data, low) + len(data) - bisect_right(data, high)


def _machine(environment: Mapping[str, str]) -> dict[str, Any]:
    """Describe the machine, without a host name."""
    names = ("platform", "cpus", "memory_gib", "python_build")
    found = {name: environment[name] for name in names if name in environment}
    cpu = {"brand_raw": environment.get("cpu_model", ""), "count": environment.get("cpus", "")}
    return {**found, "python_version": environment.get("python", ""), "cpu": cpu}
