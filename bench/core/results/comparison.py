"""What comparing measurements gives: of a run with its baseline, or of targets and models within one run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from bench.core.results.row import CellKey, Row


@dataclass(frozen=True)
class Change:
    """One number beside the same number of the baseline."""

    key: CellKey
    """Key of the current side's cell."""
    label: str
    """The cell, short and unique in the comparison."""
    delivery: str
    metric: str
    unit: str
    statistic: str
    better: Literal["lower", "higher", "neither"]
    method: Literal["unpaired", "paired"]
    """`paired`: of trials that were interleaved in one run."""
    baseline: Row
    current: Row
    ratio: float | None
    """current / baseline - 1, as a fraction: 0.1 is 10 % more. None: `note` says why."""
    low: float | None
    """95 % interval of `ratio`; an end may be infinite."""
    high: float | None
    difference: float | None
    """current - baseline, in `unit`: also where a ratio has no sense, as for a share of 0."""
    difference_low: float | None
    difference_high: float | None
    n: int
    """What the smaller side rests on; of a paired change the number of pairs."""
    note: str = ""

    @property
    def resolves(self) -> float | None:
        """Half the width of the ratio's interval: a smaller change cannot be seen. May be infinite."""
        return None if self.low is None or self.high is None else (self.high - self.low) / 2


@dataclass(frozen=True)
class Side:
    """What one side of a comparison is called."""

    name: str
    """A run's name or id; within one run the target, or the model."""
    detail: str
    """Its headline and when it was measured."""


@dataclass(frozen=True)
class Comparison:
    """A current side beside its baseline, number by number."""

    kind: Literal["runs", "within"]
    """`within`: interleaved in one run, the comparison to prefer."""
    baseline: Side
    current: Side
    changes: tuple[Change, ...]
    """Worst first: what became worse by most, in standard form, stands in front."""
    watermarks: tuple[str, ...] = ()
    """Why it may compare something else than what it seems to: another machine, another version, another load."""
    unmatched: tuple[str, ...] = ()
    """Cells that only one side has, in words."""


@dataclass(frozen=True)
class RankingEntry:
    """A target and model in a ranking, with its own numbers and how far it is behind the fastest."""

    key: CellKey
    name: str
    """What tells it from the others: the model, the target, or both."""
    behind: tuple[Change, ...]
    """Beside the fastest, paired: first useful output and the whole, streamed; empty for the fastest itself."""


@dataclass(frozen=True)
class Ranking:
    """Which target or model is fastest in one scenario, where there are several."""

    label: str
    """The scenario, with its parameters and load where these differ."""
    entries: tuple[RankingEntry, ...]
    """Ordered by median time to the first useful output, fastest first; entries without a number are last."""
    sentence: str
    """Which is fastest, by how much, and whether that is more than chance."""

    @property
    def fastest(self) -> str:
        """The name of the first, where each other one is behind it with its whole interval; else empty."""
        gaps = [entry.behind[0].low if entry.behind else None for entry in self.entries[1:]]
        return self.entries[0].name if gaps and all(low is not None and low > 0 for low in gaps) else ""
