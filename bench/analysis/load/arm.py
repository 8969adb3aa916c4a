"""One delivery of one cell under load: its limits, its steady windows, and what happened in them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.arm import Arm, Floats
from bench.analysis.load import steady
from bench.analysis.tables import RunFrames
from bench.core.load import Load, parse_load
from bench.core.results.metrics.metric import MS
from bench.core.results.metrics.registry import BY_NAME
from bench.core.results.row import Row
from bench.core.slo import Slo, parse_slos
from bench.stats.intervals import Estimate

Bools = NDArray[np.bool_]
WITHOUT_PAUSES = "one at a time, pauses between trials left out"


def plan_slos(plan: Mapping[str, object]) -> tuple[Slo, ...]:
    """Return the limits (SLOs) that the run was given. Raises BenchError if the plan has something else there."""
    texts = plan.get("slos")
    return parse_slos([str(text) for text in texts]) if isinstance(texts, list) else ()


def plan_loads(frames: RunFrames) -> dict[str, Load]:
    """Return the loads of the cells by label; none where the run had no limits and ran all trials one at a time."""
    loads = {str(cell["load"]): parse_load(str(cell["load"])) for cell in frames.cells}
    return loads if plan_slos(frames.plan) or any(not load.sequential for load in loads.values()) else {}


@dataclass(frozen=True)
class LoadArm:
    """An arm under load, or an arm at concurrency 1 beside others."""

    arm: Arm
    frames: RunFrames
    """Of its cell."""
    level: Load

    @cached_property
    def slos(self) -> tuple[Slo, ...]:
        """The limits of the run."""
        return plan_slos(self.frames.plan)

    @cached_property
    def kept_limits(self) -> Mapping[str, Bools]:
        """By metric which offered trials kept to its limit; only of limits that the delivery can be held to."""
        return self._kept_limits(self.arm)

    def _kept_limits(self, arm: Arm) -> dict[str, Bools]:
        held = [slo for slo in self.slos if arm.delivery in BY_NAME[slo.metric].deliveries]
        return {slo.metric: within_limit(arm, slo) for slo in held}

    @cached_property
    def is_mixed(self) -> bool:
        """True if both deliveries ran in one segment, as in older versions: no rate belongs to one of them."""
        return not self.level.sequential and steady.is_mixed(self.frames.trials)

    @cached_property
    def segments(self) -> list[steady.SteadySegment] | None:
        """The segments with a steady window; None where trials ran one at a time, or both deliveries together."""
        if self.level.sequential or self.is_mixed:
            return None
        trials = self.frames.trials
        cancelled = self._mine(trials[trials["status"] == "cancelled"])
        return steady.segments(self.arm.trials, pd.concat([self._mine(self.frames.ramp), cancelled]), self.level)

    def _mine(self, trials: pd.DataFrame) -> pd.DataFrame:
        return trials[trials["delivery"] == self.arm.delivery]

    @cached_property
    def _rate_arm(self) -> Arm:
        """The arm whose trials make the rates. Open loop: with those of the ramp, which may end in a window too."""
        ramp = self._mine(self.frames.ramp)
        if not self.level.open_loop or ramp.empty:
            return self.arm
        return replace(self.arm, trials=pd.concat([self.arm.trials, ramp]))

    @property
    def has_tokens(self) -> bool:
        """True if the tokens of any ok trial are known."""
        ok = self._rate_arm.ok["output_tokens"]
        return bool(ok.notna().any())

    def requests(self, arm: Arm) -> Floats:
        """Return 1 for each trial that is ok, else 0."""
        return (arm.trials["status"] == "ok").to_numpy(dtype=bool).astype(np.float64)

    def tokens(self, arm: Arm) -> Floats:
        """Return the output tokens of each trial that is ok, else 0."""
        known = arm.trials["output_tokens"].where(self.requests(arm) > 0)
        return np.asarray(known.to_numpy(dtype=np.float64, na_value=0.0), dtype=np.float64)

    def good(self, arm: Arm) -> Floats:
        """Return 1 for each trial that kept to all limits, else 0."""
        good: Bools = np.logical_and.reduce(list(self._kept_limits(arm).values()))
        return good.astype(np.float64)

    def rate(self, metric: str, weights: Callable[[Arm], Floats]) -> Row:
        """Make the row of a rate: the sum of the weights of trials, by time."""
        if self.is_mixed:
            return self.arm.absent(metric, steady.TOGETHER, "rate")
        if self.segments is None:
            trials = self.arm.trials.assign(block=0)
            alone, n = steady.worked_per_second(trials, weights(self.arm), 1, 1.0)
            return self.arm.row(metric, "rate", alone, n, note=WITHOUT_PAUSES)
        each = weights(self._rate_arm)
        if self.level.concurrency is None:
            ends, counts = self._rate_arm.trials["t_end"].to_numpy(dtype=np.float64, na_value=np.inf), each > 0
            rate, n = steady.ended_per_second(self.segments, ends[counts] / steady.S, each[counts])
        elif (flight := self.in_flight[0].value) is None:
            rate, n = Estimate(note=steady.NOT_STEADY), 0
        else:
            slots = self.level.concurrency
            rate, n = steady.worked_per_second(self.arm.trials, each, slots, min(flight, slots))
        return self.arm.row(metric, "rate", rate, n, note=self.windows_note)

    @cached_property
    def in_flight(self) -> tuple[Estimate, Estimate]:
        """The mean of the trials in flight, and by how many they grow in a second."""
        return steady.in_flight(self.segments or [])

    @cached_property
    def start_rates(self) -> tuple[float | None, float | None]:
        """Starts a second that the schedule wanted, and that there were."""
        return steady.start_rates(self.segments or [])

    @property
    def windows_note(self) -> str:
        """What the numbers rest on."""
        return steady.rests_on(self.segments or [])

    def window_row(self, metric: str, rate: float | None, note: str = "") -> Row:
        """Make the row of a rate over the steady windows; None: there was no steady window."""
        estimate = Estimate(note=steady.NOT_STEADY) if rate is None else Estimate(rate)
        return self.arm.row(metric, "rate", estimate, len(self.arm.trials), note=note)

    @property
    def start_lags(self) -> pd.Series[float]:
        """For each trial ms from its origin to the last byte of its first request."""
        attempts = self.frames.tables["attempts"]
        first = attempts[(attempts["request"] == 0) & (attempts["attempt"] == 0)].set_index("trial_id")["t_sent"]
        lags: pd.Series[float] = (first.reindex(self.arm.trials.index) - self.arm.trials["t_origin"]) / MS
        return lags


def within_limit(arm: Arm, slo: Slo) -> Bools:
    """Say for each offered trial whether it ended ok and kept to the limit; one without the metric did not."""
    inside = (limit_values(arm, slo.metric) <= slo.limit_ms).fillna(value=False).to_numpy(dtype=bool)
    ok: Bools = (arm.trials["status"] == "ok").to_numpy(dtype=bool)
    return ok & inside


def limit_values(arm: Arm, metric: str) -> pd.Series[float]:
    """Return the value of each trial that a limit applies to, in ms. For `itl` it is the trial's mean gap."""
    if metric != "itl":
        return arm.values[metric]
    trials, gaps = arm.trials, arm.trials["deltas"] - 1
    return (trials["t_last_token"] - trials["t_first_token"]) / MS / gaps.where(gaps > 0)
