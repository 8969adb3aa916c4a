"""One chart of `report.html`, whatever it shows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple


class Chart(NamedTuple):
    """A picture, the same in words, and its data as a table."""

    title: str
    caption: str
    """How to read it, in a sentence or two."""
    alternative: str
    """What it shows, with numbers, for those who do not see it."""
    spec: Mapping[str, Any]
    """Vega-Lite, as JSON types; deterministic."""
    heads: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    """The data drawn, as text under these heads: at most some dozens of rows, the caption saying what was left out."""
