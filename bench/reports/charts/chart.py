"""Define what every chart of a page has, and how a chart of a cell is declared."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pandas as pd

    from bench.analysis.tables import RunFrames
from bench.core.results.summary import Cell, Summary


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


class CellChart(NamedTuple):
    """A chart in the part of the page that each cell has."""

    draw: Callable[[Summary, Cell], Iterable[Chart]]
    """Draw the cell: no chart where there are no data, one, or several."""
    data: Callable[[RunFrames], Mapping[int, Any]] | None = None
    """What `Summary.cell_data` gives to `draw`: a plain value of a class of its own, by the cell's number.

    None where the rest of the Summary has all that is drawn.
    """


def offered_trials(frames: RunFrames, columns: Sequence[str]) -> Iterator[tuple[int, pd.DataFrame]]:
    """Yield each cell's number with its trials; those that we cancelled ourselves are in no chart."""
    offered = frames.trials.loc[frames.trials["status"] != "cancelled", ["cell", *columns]]
    for cell in frames.cells:
        mine = offered[offered["cell"] == cell["cell"]]
        if len(mine):
            yield cell["cell"], mine
