"""Write numbers as people read them, the same in every report."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from bench.core.results.row import Row

NA = "n/a"
NEVER_WHOLE = ("ms", "ms/event", "bytes/token")
"""Units of what is measured, not counted."""
MANY_TIMES = 9
"""A ratio above this (+900 %) is printed as a factor."""


def value(row: Row | None, *, unit: bool = True) -> str:
    """Write the estimate with its unit, such as `312 ms`, `3.90 s`, `+0.4 %`, `×12`, `1.2 MB`; `n/a` without one."""
    if row is None or row.estimate is None:
        return NA
    scale, name = _scale(row)
    return f"{_number(row.estimate, row, scale)}{name if unit and math.isfinite(row.estimate) else ''}"


def interval(row: Row | None) -> str:
    """Write the interval in the unit of the estimate, such as `[300, 320]`; empty without one.

    Where failures made the lower end ∞, it says how many failed.
    """
    if row is None or row.estimate is None or row.low is None or row.high is None:
        return ""
    if math.isinf(row.low) and row.failed:
        return f"{row.failed} of {row.n} failed"
    scale, name = _scale(row)
    unit = name if math.isinf(row.estimate) and math.isfinite(row.low) else ""  # else it stands at the estimate
    return f"[{_number(row.low, row, scale)}{unit}, {_number(row.high, row, scale)}]"


def reason(row: Row | None) -> str:
    """Return why there is no estimate, without the leading n/a; empty if there is an estimate."""
    if row is None:
        return "not measured"
    return row.note.removeprefix("n/a ").strip("()") if row.estimate is None else ""


def with_interval(row: Row | None, *, unit: bool = True) -> str:
    """Write estimate and interval in one string; `n/a` without one."""
    return f"{value(row, unit=unit)} {interval(row)}".strip()


def span(rows: Sequence[Row]) -> str:
    """Write the smallest and the largest estimate, the unit once: `83.2 to 296 ms`; changes without their sign."""
    known = sorted((row for row in rows if row.estimate is not None), key=lambda row: row.estimate or 0)
    texts = list(dict.fromkeys(value(row).lstrip("+") for row in (known[0], known[-1]))) if known else [NA]
    (first, _, unit), (_, _, last) = (text.partition(" ") for text in (texts[0], texts[-1]))
    return " to ".join([first, *texts[1:]] if unit == last and len(texts) > 1 else texts)


def ends(row: Row) -> str:
    """Write the interval in words: `298 to 304 ms`."""
    return span([replace(row, estimate=bound) for bound in (row.low, row.high)])


def milliseconds(x: float) -> str:
    """Write a plain time, such as `0.35 ms`, `1.2 ms`, `120 ms`."""
    return f"{x:.{2 if x < 1 else 1 if x < 100 else 0}f} ms"


def duration(ms: float) -> str:
    """Write a time, in seconds from one second on: `81.0 ms`, `1.4 s`."""
    return f"{ms / 1000:.3g} s" if ms >= 1000 else milliseconds(ms)


def _scale(row: Row) -> tuple[float, str]:
    """Return what the number is divided by, and the unit that it is printed in."""
    size = abs(row.estimate) if row.estimate is not None and math.isfinite(row.estimate) else 0
    if row.unit == "ms":
        return (1000, " s") if size >= 1000 else (1, " ms")
    if row.unit == "ms/event":
        return (0.001, " µs")
    if _is_factor(row):
        return 1, ""
    if "share" in {row.unit, row.statistic} or row.unit == "ratio":
        return (0.01, " %")
    if row.unit == "bytes":
        return next(((10**power, unit) for power, unit in ((6, " MB"), (3, " kB")) if size >= 10**power), (1, " B"))
    return 1, {"bytes/token": " B/tok", "": ""}.get(row.unit, f" {row.unit}")


def _is_factor(row: Row) -> bool:
    """Return True for a ratio so large that a percentage says little."""
    return row.unit == "ratio" and row.estimate is not None and MANY_TIMES < row.estimate < math.inf


def _number(x: float, row: Row, scale: float) -> str:
    """Write three digits by the size of the estimate; ratios with sign and one decimal; sums of counts whole."""
    if math.isinf(x):
        return "∞" if x > 0 else "-∞"
    if _is_factor(row):
        return f"×{1 + x:.3g}"
    if row.statistic == "sum" and row.unit != "ms":
        return f"{x:.0f}"
    text = f"{x / scale:{_format(row, scale)}}"
    return text.lstrip("+-") if float(text) == 0 else text  # neither direction can be seen


def _format(row: Row, scale: float) -> str:
    if row.unit == "ratio":
        return "+.1f"
    size = abs((row.estimate or 0) / scale)
    if row.unit not in NEVER_WHOLE and scale == 1 and _are_whole(row):
        return ".0f"
    if "share" in {row.unit, row.statistic} or math.isinf(size):
        return ".1f"
    if row.unit == "bytes/token":  # a slope of a few points carries no more
        return ".0f" if size >= 10 else ".1f"
    return ".0f" if size >= 100 or size == 0 else ".1f" if size >= 10 else ".2f"


def _are_whole(row: Row) -> bool:
    """Return True for counts, which are printed whole: `3 [3, 4]`."""
    known = (x for x in (row.estimate, row.low, row.high) if x is not None and math.isfinite(x))
    return all(x == math.floor(x) for x in known)
