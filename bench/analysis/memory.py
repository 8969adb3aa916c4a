"""Read the memory pass: peaks by answer length, and what each token costs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from bench.core.results.metrics.registry import BY_NAME
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import MemoryCurve
from bench.stats import intervals
from bench.stats.intervals import Estimate

_GROUP = ["scenario", "params", "delivery", "meter"]
_SUFFIX = {"tracemalloc": "", "rss": ".rss"}


def memory_curves(memory: pd.DataFrame) -> Iterator[tuple[MemoryCurve, Estimate, int]]:
    """Yield each curve (scenario, delivery, meter) with its slope, and how many of its points failed."""
    for names, points in memory.fillna({"params": ""}).groupby(_GROUP, sort=True):
        scenario, params, delivery, meter = map(str, names)
        good = points.dropna(subset=["peak_bytes", "output_tokens"]).sort_values(["output_tokens", "rep"])
        slope, intercept = intervals.theil_sen(
            good["output_tokens"].to_numpy(float), good["peak_bytes"].to_numpy(float)
        )
        pairs = zip(good["output_tokens"].astype(int), good["peak_bytes"].astype(int), strict=True)
        places = tuple((int(tokens), int(peak)) for tokens, peak in pairs)
        curve = MemoryCurve(scenario, params, delivery, meter, places, slope.value, intercept)
        yield curve, slope, len(points) - len(good)


def memory_rows(
    curve: MemoryCurve, slope: Estimate, failed: int, longest: int, apis: Mapping[str, str]
) -> Iterator[Row]:
    """Make the rows of the peak at the longest length of the whole pass, and of the slope. `apis`: scenario → api.

    Peaks are compared between deliveries, so a curve that stops short of the longest length has none.
    """
    suffix = _SUFFIX.get(curve.meter, f".{curve.meter}")
    api = apis.get(curve.scenario, "")
    peaks = [peak for tokens, peak in curve.points if tokens == longest]
    peak = median_without_interval(peaks, longest)
    one = CellKey(curve.scenario, curve.params, api, "sim", "", "sdk", f"tokens={longest}")
    everything = one._replace(load="tokens=all")
    yield _row(one, curve.delivery, f"memory_peak{suffix}", "p50", len(peaks), failed, peak)
    yield _row(everything, curve.delivery, f"memory_slope{suffix}", "slope", len(curve.points), failed, slope)


def median_without_interval(peaks: list[int], tokens: int) -> Estimate:
    """Return the median of a few repetitions; they are too alike and too few for an interval, and the note says so."""
    if not peaks:
        return Estimate(note=f"n/a (not measured at {tokens} tokens)")
    return Estimate(float(pd.Series(peaks).median()), note=f"{len(peaks)} repetitions: no interval")


def _row(key: CellKey, delivery: str, metric: str, statistic: str, n: int, failed: int, e: Estimate) -> Row:
    unit = BY_NAME[metric].unit if metric in BY_NAME else "bytes"
    return Row(*key, delivery, metric, unit, statistic, n, failed, e.value, e.low, e.high, e.note)
