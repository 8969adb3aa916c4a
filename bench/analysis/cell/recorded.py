"""The rows of what scenarios and plugins recorded."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from bench.analysis.cell.arm import Arm, floats
from bench.core.results.metrics.registry import BY_NAME, FLAG
from bench.core.results.row import Row


def recorded_rows(arm: Arm, recorded: pd.DataFrame) -> Iterator[Row]:
    """Make the rows of what was recorded, under its own names: the median of each ok trial's values."""
    mine = recorded[recorded["trial_id"].isin(arm.ok.index)]
    for (name, unit), values in mine.fillna({"unit": ""}).groupby(["name", "unit"]):
        each = values.groupby("trial_id")["value"].median()
        title = f"recorded.{name}" if name in BY_NAME else str(name)
        yield from arm.quantiles(title, each, unit=str(unit))
        if unit == FLAG:
            known = floats(each)
            yield arm.share(title, int((known > 0).sum()), known.size, unit=FLAG)
