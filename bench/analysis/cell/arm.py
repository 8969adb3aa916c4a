"""One delivery of one cell, and how its numbers become rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.deltas import gaps_of
from bench.core.results.metrics.metric import MS, QUANTILES
from bench.core.results.metrics.registry import BY_NAME, FLAG, METRICS
from bench.core.results.row import CellKey, Row
from bench.stats import intervals
from bench.stats.bootstrap import cluster_bootstrap
from bench.stats.intervals import Estimate

Floats = NDArray[np.float64]


class GapSample(NamedTuple):
    """Times between what follows each other in one trial."""

    owner: NDArray[np.int64]
    """trial_id of each."""
    ms: Floats

    @property
    def trials(self) -> int:
        """Number of trials that have a gap."""
        return int(np.unique(self.owner).size)

    def quantile(self, q: float) -> Estimate:
        """Estimate a quantile; the gaps of one trial count as one cluster."""
        return intervals.clustered_quantile(self.ms, self.owner, q)


@dataclass(frozen=True)
class RowMaker:
    """Makes the rows of one cell and delivery."""

    key: CellKey
    delivery: str

    @property
    def failures(self) -> int:
        """Failed trials behind each number."""
        return 0

    def row(
        self, metric: str, statistic: str, estimate: Estimate, n: int, unit: str | None = None, note: str = ""
    ) -> Row:
        """Make a row; the note says why there is no estimate, or what to know about it."""
        unit = BY_NAME[metric].unit if unit is None else unit
        e = estimate
        note = e.note or note
        return Row(*self.key, self.delivery, metric, unit, statistic, n, self.failures, e.value, e.low, e.high, note)

    def absent(self, metric: str, why: str, statistic: str = "p50", n: int = 0) -> Row:
        """Make the row of a number that there is not."""
        return self.row(metric, statistic, Estimate(note=why), n)

    def number(self, metric: str, statistic: str, value: float, n: int, unit: str | None = None, note: str = "") -> Row:
        """Make the row of a number without an interval."""
        return self.row(metric, statistic, Estimate(value), n, unit, note)

    def share(self, metric: str, count: int, n: int, unit: str = "share", note: str = "") -> Row:
        """Make the row of a share with its exact interval."""
        return self.row(metric, "share", intervals.share_ci(count, n), n, unit, note)

    def quantiles(
        self,
        metric: str,
        values: pd.Series[float] | Floats,
        note: str = "",
        infinite: int = 0,
        shown: Iterable[str] = QUANTILES,
        unit: str | None = None,
    ) -> Iterator[Row]:
        """Make a row for each quantile of the known values together with `infinite` values that never came."""
        known = np.concatenate([floats(pd.Series(values)), np.full(infinite, np.inf)])
        for name in shown:
            yield self.row(metric, name, intervals.quantile_ci(known, QUANTILES[name]), known.size, unit, note)


@dataclass(frozen=True)
class Arm(RowMaker):
    """One delivery of one cell: its offered trials and what they left."""

    trials: pd.DataFrame
    """Offered, indexed by trial_id."""
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)
    """`events` and `pieces`; they may hold other trials too."""

    @cached_property
    def values(self) -> pd.DataFrame:
        """The metrics of each trial."""
        return per_trial(self.trials)

    @cached_property
    def ok_values(self) -> pd.DataFrame:
        """The metrics of each trial that succeeded."""
        return self.values.loc[self.ok.index]

    @cached_property
    def ok(self) -> pd.DataFrame:
        """The trials that succeeded."""
        return self.trials[self.trials["status"] == "ok"]

    @property
    def failures(self) -> int:
        """Offered trials that failed."""
        return len(self.trials) - len(self.ok)

    @property
    def never_useful(self) -> str:
        """Note on the ok trials that never gave a useful piece; empty if all did."""
        never = int(self.ok_values["ttfu"].isna().sum())
        return f"{never} of {len(self.ok)} ok answers never gave anything useful: each counts as ∞" if never else ""

    @property
    def one_token_a_delta(self) -> bool:
        """True if every ok trial had as many output tokens as deltas: only then is a gap the time of one token."""
        equal = self.ok["output_tokens"] == self.ok["deltas"]
        return bool(equal.fillna(value=False).all()) and not self.ok.empty

    @property
    def sample_note(self) -> str:
        """Note on what a number of single events rests on; empty if on all ok trials."""
        return sample_note(self.ok)

    @cached_property
    def delta_gaps(self) -> GapSample:
        """Gaps between the non-empty deltas of the ok trials whose events were stored."""
        return delta_gaps(self.tables["events"][self.tables["events"]["trial_id"].isin(self.ok.index)])

    @cached_property
    def piece_gaps(self) -> GapSample:
        """Gaps between the pieces that reached the caller, of the ok trials whose pieces were stored."""
        pieces = self.tables["pieces"]
        mine = pieces[pieces["trial_id"].isin(self.ok.index)].sort_values(["trial_id", "seq"])
        owner, times = (mine[name].to_numpy(dtype=np.int64) for name in ("trial_id", "t_yield"))
        same = np.diff(owner) == 0
        return GapSample(owner[1:][same], np.diff(times)[same] / MS)

    def sum(self, metric: str, values: pd.Series[float]) -> Row:
        """Make the row of the sum of what is known; n says over how many trials."""
        present = floats(values)
        if not present.size:
            return self.absent(metric, "n/a (not reported)", "sum")
        missing = len(values) - present.size
        note = f"not known of {missing} trials" if missing else ""
        return self.number(metric, "sum", float(present.sum()), present.size, note=note)

    def ratio_of_sums(self, metric: str, above: pd.Series[float], below: pd.Series[float], note: str) -> Row:
        """Make the row `mean`: Σ above / Σ below over trials, with a bootstrap's interval where they are enough."""
        a, b = floats(above), floats(below)
        found = cluster_bootstrap(a, b)
        if found.value is None:
            found, note = Estimate(float(a.sum() / b.sum())), f"{note}; interval {found.note}"
        return self.row(metric, "mean", found, a.size, note=note)


def per_trial(trials: pd.DataFrame) -> pd.DataFrame:
    """Compute the metrics of each trial (rows as in `trials`), in the registry's units; null where a trial has none."""
    columns = {metric.name: metric.per_trial(trials) for metric in METRICS if metric.per_trial}
    return pd.DataFrame(columns, index=trials.index)


def arm_trials(trials: pd.DataFrame, delivery: str) -> pd.DataFrame:
    """Return the trials of one delivery; those that bench itself cancelled are in no figure."""
    return trials[(trials["status"] != "cancelled") & (trials["delivery"] == delivery)]


def recorded_rows(arm: Arm, recorded: pd.DataFrame) -> Iterator[Row]:
    """Make the rows of what plugins recorded, under its own names: the median of each ok trial's values."""
    mine = recorded[recorded["trial_id"].isin(arm.ok.index)]
    for (name, unit), values in mine.fillna({"unit": ""}).groupby(["name", "unit"]):
        each = values.groupby("trial_id")["value"].median()
        title = f"recorded.{name}" if name in BY_NAME else str(name)
        yield from arm.quantiles(title, each, unit=str(unit))
        if unit == FLAG:
            known = floats(each)
            yield arm.share(title, int((known > 0).sum()), known.size, unit=FLAG)


def floats(values: pd.Series[float]) -> Floats:
    """Return the values that are there."""
    return np.asarray(values.dropna(), dtype=np.float64)


def sample_note(trials: pd.DataFrame) -> str:
    """Say `from the events of 1,012 of 100,000 trials`; empty if the events of all are stored."""
    kept = int(trials["stored"].sum())
    return f"from the events of {kept:,} of {len(trials):,} trials" if kept < len(trials) else ""


def delta_gaps(events: pd.DataFrame) -> GapSample:
    """Find the gaps between successive non-empty deltas of the same attempt."""
    gaps = gaps_of(events)
    return GapSample(gaps.trial, gaps.ns / MS)
