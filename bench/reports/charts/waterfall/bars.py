"""Lay out the bars of a waterfall: each span is a rectangle in the strip of its lane, below zero on the y axis."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from bench.reports.charts import style
from bench.reports.charts.waterfall.lanes import Lane, Tick, TrialPair
from bench.reports.charts.waterfall.spans import Span

KINDS = {
    "connect": "connect",
    "tls": "TLS",
    "send": "send",
    "wait": "wait",
    "stream": "tokens",
    "body": "body",
    "stall": "stall",
    "backoff": "back-off",
}
PAUSE = KINDS["backoff"]
COLORS = {
    "connect": style.SKY,
    "TLS": style.GREEN,
    "send": style.YELLOW,
    "wait": style.GREY,
    "tokens": style.BLUE,
    "body": style.VERMILION,
    "stall": style.PURPLE,
    "back-off": style.ORANGE,
}
HALF = {"wait": 0.1, "back-off": 0.1, "tokens": 0.2, "body": 0.2}
"""Half the height of a bar, as a part of its strip: times of waiting are thin."""
FILLED = {"wait": 0.5, "back-off": 0.25}
INK = "#222222"
"""On a bar."""
MOST_SPANS, MOST_LANES, MOST_HATCHES = 120, 6, 120
NAMED = 0.09
"""A span this part of the width has its name below it."""


class LaneStrips(NamedTuple):
    """Where the lanes lie: `names` from the top, each `height` in the unit of the upper part."""

    names: list[str]
    height: float

    def middle(self, lane: int) -> float:
        """Return the value of the strip's middle on the y axis, below zero."""
        return -(lane + 0.5) * self.height


def strip_names(lane: Lane) -> list[str]:
    """Name a strip for each attempt; the last of very many stands for all that follow."""
    last = min(MOST_LANES - 1, max((span.attempt for span in lane.spans), default=0))
    more = any(span.attempt > last for span in lane.spans)
    names = ["streamed", *(f"attempt {number + 1}" for number in range(1, last + 1))]
    return [*names[:-1], f"{names[-1]} …"] if more else names


def bars(pair: TrialPair, strips: LaneStrips, end: float) -> Iterator[dict[str, Any]]:
    """Yield the rows of the longest spans, the stalls last, as these lie upon others; `end`: of the axis, in ms."""
    for lane in pair.lanes:
        longest = sorted(lane.spans, key=lambda span: span.start - span.end)[:MOST_SPANS]
        for span in sorted(longest, key=lambda span: (span.kind == "stall", span.start)):
            strip = len(strips.names) - 1 if lane is pair.blocking else min(span.attempt, MOST_LANES - 1)
            yield _bar(span, _bar_name(span, lane), strips.middle(strip), strips.height, end)


def _bar_name(span: Span, lane: Lane) -> str:
    """Name the span; a wait by what it waited for, where that came. Where a trial failed, its status has that place."""
    if span.kind == "wait" and any(one.kind == "stream" and one.attempt == span.attempt for one in lane.spans):
        return "to first token"
    last = span.kind != "wait" and lane.status != "ok"
    return "" if last else KINDS[span.kind]


def _bar(span: Span, name: str, middle: float, height: float, end: float) -> dict[str, Any]:
    kind = KINDS[span.kind]
    half = HALF.get(kind, 0.25) * height
    wide = span.kind != "stall" and span.end - span.start >= NAMED * end
    return {
        "x": span.start,
        "x2": span.end,
        "y": round(middle + half, 3),
        "y2": round(middle - half, 3),
        "kind": kind,
        "full": FILLED.get(kind, 0.9),
        "name": name if wide else "",
        "below": round(middle - half - 0.04 * height, 3),
    }


def hatches(bar_rows: style.Data, end: float) -> list[dict[str, float]]:
    """Return slanted strokes over the stalls, which are then seen without colour."""
    found = []
    for bar in (bar for bar in bar_rows if bar["kind"] == "stall"):
        number = max(1, min(12, round((bar["x2"] - bar["x"]) / end * 60)))
        step = (bar["x2"] - bar["x"]) / number
        rows = ({"x": bar["x"] + i * step, "x2": bar["x"] + (i + 1) * step} for i in range(number))
        found += [row | {"y": bar["y2"], "y2": bar["y"]} for row in rows]
    return found[:MOST_HATCHES]


def delta_times(lane: Lane, ticks: Sequence[Tick], end: float) -> dict[int, list[float]]:
    """Return when deltas came (ms) that can be told from their neighbours, by strip."""
    found: dict[int, list[float]] = {}
    for ms, _ in style.thin([(tick.ms, 0.0) for tick in ticks], end):
        read = (span.attempt for span in lane.spans if span.kind == "stream" and span.start <= ms)
        found.setdefault(min(max(read, default=0), MOST_LANES - 1), []).append(ms)
    return found
