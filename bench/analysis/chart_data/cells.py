"""The pictures of each cell, put together."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import pandas as pd

from bench.analysis.chart_data.gaps import gap_bins
from bench.analysis.chart_data.run_order import run_order
from bench.analysis.chart_data.typical_trials import Chosen, chosen
from bench.analysis.chart_data.waterfall import lanes
from bench.analysis.tables import RunFrames
from bench.core.chart_data import CellFigures, Lane, Waterfall

COLUMNS = ["delivery", "status", "pair", "t_origin", "t_end", "stored"]


def figures(frames: RunFrames) -> Mapping[int, CellFigures]:
    """Of each cell with offered trials its pictures, by its number."""
    trials = dict(_by_cell(frames))
    picked = {number: chosen(mine) for number, mine in trials.items()}
    drawn = lanes(frames, {id_ for some in picked.values() for one in some for id_ in one.trial_ids})
    gaps, seed = gap_bins(frames), int(frames.plan["seed"])
    made = {}
    for number, mine in trials.items():
        order, of = run_order(mine, (seed, number))
        falls = tuple(waterfall for one in picked[number] if (waterfall := _waterfall(one, drawn)))
        made[number] = CellFigures(falls, gaps.get(number), order, of)
    return made


def _by_cell(frames: RunFrames) -> Iterator[tuple[int, pd.DataFrame]]:
    """The offered trials of each cell; what we stopped ourselves is in no figure."""
    offered = frames.trials.loc[frames.trials["status"] != "cancelled", ["cell", *COLUMNS]]
    for cell in frames.cells:
        mine = offered[offered["cell"] == cell["cell"]]
        if len(mine):
            yield cell["cell"], mine


def _waterfall(one: Chosen, drawn: Mapping[int, Lane]) -> Waterfall | None:
    streamed = drawn.get(one.streamed)
    blocking = None if one.blocking is None else drawn.get(one.blocking)
    return Waterfall(one.which, streamed, blocking) if streamed else None
