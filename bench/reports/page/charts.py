"""Put charts on a page: each with its specification as JSON, and no more of them than the page has room for."""

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


class PageChart(NamedTuple):
    """A chart as the page draws it."""

    chart: Chart
    spec: str
    """Vega-Lite as JSON that cannot end a script element."""
    wide: bool
    """True if the chart needs the whole width, because it is higher than most."""
    height: int
    """Pixels to keep free until it is drawn."""

    @property
    def size(self) -> int:
        """Return roughly how many bytes the chart adds to the page."""
        table = sum(len(text.encode()) + 10 for row in self.chart.rows for text in row)
        words = len((2 * self.chart.alternative + self.chart.caption).encode())
        return len(self.spec) + table + words + FRAME


def page_chart(chart: Chart) -> PageChart:
    """Prepare a chart for the macro `charts` of `parts.html.j2`."""
    height = chart.spec.get("height")
    pixels = int(height) if isinstance(height, int | float) else USUAL
    return PageChart(chart, script_json(chart.spec), pixels > USUAL, pixels)


def script_json(value: object) -> str:
    """Return JSON that cannot end a script element."""
    return json.dumps(_round_numbers(value), separators=(",", ":"), sort_keys=True).replace("<", "\\u003c")


def _round_numbers(value: object) -> object:
    if isinstance(value, float):
        return float(f"{value:.{_ROUNDING}g}")
    if isinstance(value, dict):
        return {name: _round_numbers(member) for name, member in value.items()}
    return [_round_numbers(member) for member in value] if isinstance(value, list | tuple) else value


def fitting(cells: Sequence[Sequence[PageChart]], room: int) -> list[list[PageChart]]:
    """Choose the charts that fit into `room` bytes: the first of every cell, then the second ones, and so on."""
    found: list[list[PageChart]] = [[] for _ in cells]
    for places in zip_longest(*cells):
        for place, one in enumerate(places):
            if one is None:
                continue
            room -= one.size
            if room < 0:
                return found
            found[place].append(one)
    return found
