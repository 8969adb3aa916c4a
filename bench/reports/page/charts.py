"""Charts on a page: each with its specification as JSON, and no more of them than the page has room for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from itertools import zip_longest
from typing import NamedTuple

from bench.reports.charts.chart import Chart

LARGEST = 1_950_000
"""Bytes of a page, of which Vega has 900,000."""
FRAME = 1500
"""Bytes that the page has around a chart."""
USUAL = 240
"""Pixels: the height of a chart that shares the width with another."""
_ROUNDING = 6
"""Significant digits of a number in a picture: finer cannot be seen."""


class Drawn(NamedTuple):
    """A chart as the page draws it."""

    chart: Chart
    spec: str
    """Vega-Lite as JSON that cannot end a script element."""
    wide: bool
    """It needs the whole width, being higher than most."""
    height: int
    """Pixels to keep free until it is drawn."""

    @property
    def size(self) -> int:
        """Bytes that it adds to the page, roughly."""
        table = sum(len(text.encode()) + 10 for row in self.chart.rows for text in row)
        words = len((2 * self.chart.alternative + self.chart.caption).encode())
        return len(self.spec) + table + words + FRAME


def drawn(chart: Chart) -> Drawn:
    """A chart, ready for the macro `charts` of `parts.html.j2`."""
    height = chart.spec.get("height")
    pixels = int(height) if isinstance(height, int | float) else USUAL
    return Drawn(chart, script_json(chart.spec), pixels > USUAL, pixels)


def script_json(value: object) -> str:
    """JSON for a script element."""
    return json.dumps(_rounded(value), separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")


def _rounded(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{_ROUNDING}g}")
    if isinstance(value, dict):
        return {name: _rounded(member) for name, member in value.items()}
    return [_rounded(member) for member in value] if isinstance(value, list | tuple) else value


def fitting(cells: Sequence[Sequence[Drawn]], room: int) -> list[list[Drawn]]:
    """Of each cell's charts those there is room for: the first one of every cell, then the second ones, and so on."""
    found: list[list[Drawn]] = [[] for _ in cells]
    for places in zip_longest(*cells):
        for place, one in enumerate(places):
            if one is None:
                continue
            room -= one.size
            if room < 0:
                return found
            found[place].append(one)
    return found
