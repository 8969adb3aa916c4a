"""The numbers of a cell under load: throughput, trials in flight, goodput under limits."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from bench.analysis.cell.rows import Arm, floats
from bench.analysis.load import steady as load
from bench.analysis.per_trial import MS
from bench.analysis.tables import RunFrames
from bench.core.load import Load, parse_load
from bench.core.metrics import BY_NAME, QUANTILES
from bench.core.row import Row
from bench.core.slo import Slo, parse_slos
from bench.stats import intervals
from bench.stats.intervals import Estimate

Bools = NDArray[np.bool_]
OF_PAUSES = "one at a time, pauses between trials left out"


def slos_of(plan: Mapping[str, object]) -> tuple[Slo, ...]:
    """The limits that the run was given. BenchError where the plan has something else."""
    texts = plan.get("slos")
    return parse_slos([str(text) for text in texts]) if isinstance(texts, list) else ()


def loads_of(frames: RunFrames) -> dict[str, Load]:
    """The loads of the run's cells by their labels; none where it ran all of them one at a time and has no limits."""
    found = {str(cell["load"]): parse_load(str(cell["load"])) for cell in frames.cells}
    return found if slos_of(frames.plan) or any(not one.sequential for one in found.values()) else {}


def load_rows(arm: Arm, frames: RunFrames, level: Load) -> Iterator[Row]:
    """Every number of an arm under load; of one that ran one at a time beside others, those that there are."""
    if arm.trials.empty:
        return
    slos = slos_of(frames.plan)
    yield from goodput_rows(arm, slos)
    yield from _alone_rows(arm, slos) if level.sequential else _segment_rows(arm, frames, level, slos)


def kept_to(arm: Arm, slos: Sequence[Slo]) -> dict[str, Bools]:
    """By metric which offered trials kept to its limit; only of limits that the delivery can be held to."""
    return {slo.metric: kept(arm, slo) for slo in slos if arm.delivery in BY_NAME[slo.metric].deliveries}


def kept(arm: Arm, slo: Slo) -> Bools:
    """Which offered trials ended ok and kept to the limit; one without the metric did not."""
    values = per_trial_of(arm, slo.metric)
    inside = (values <= slo.limit_ms).fillna(value=False).to_numpy(dtype=bool)
    ok: Bools = (arm.trials["status"] == "ok").to_numpy(dtype=bool)
    return ok & inside


def per_trial_of(arm: Arm, metric: str) -> pd.Series[float]:
    """The metric of each trial in ms. `itl` is the mean gap of a trial here: one number to hold against a limit."""
    if metric != "itl":
        return arm.values[metric]
    trials, gaps = arm.trials, arm.trials["deltas"] - 1
    return (trials["t_last_token"] - trials["t_first_token"]) / MS / gaps.where(gaps > 0)


def goodput_rows(arm: Arm, slos: Sequence[Slo]) -> Iterator[Row]:
    """The share of the offered that kept to each limit, and to all of them."""
    n, keeps = len(arm.trials), kept_to(arm, slos)
    for metric, one in keeps.items():
        yield arm.row(f"slo.{metric}", "share", intervals.share_ci(int(one.sum()), n), n, unit="share")
    if not slos:
        return
    unfit = ", ".join(slo.text for slo in slos if slo.metric not in keeps)
    if not keeps:
        yield arm.row("goodput", "share", Estimate(note=f"n/a ({unfit}: not of {arm.delivery} answers)"), n)
        return
    good = int(np.logical_and.reduce(list(keeps.values())).sum())
    note = "; ".join(filter(None, (_texts(slos, keeps), unfit and f"{unfit} is not of {arm.delivery} answers")))
    yield arm.row("goodput", "share", intervals.share_ci(good, n), n, note=note)


def _texts(slos: Sequence[Slo], keeps: Mapping[str, Bools]) -> str:
    return " and ".join(slo.text for slo in slos if slo.metric in keeps)


def _alone_rows(arm: Arm, slos: Sequence[Slo]) -> Iterator[Row]:
    """One at a time: what was finished by the time it took."""
    for metric, weights in _weights(arm, slos):
        found, n = load.worked_per_second(arm.trials.assign(block=0), weights, 1, 1.0)
        yield arm.row(metric, "rate", found, n, note=OF_PAUSES)


def _weights(arm: Arm, slos: Sequence[Slo]) -> Iterator[tuple[str, load.Floats]]:
    """What each trial adds to each rate: only one that is ok adds anything."""
    ok = (arm.trials["status"] == "ok").to_numpy(dtype=bool)
    tokens = arm.trials["output_tokens"].to_numpy(dtype=np.float64, na_value=np.nan)
    yield "requests_per_s", ok.astype(float)
    if np.isfinite(tokens[ok]).any():
        yield "output_tokens_per_s", np.where(ok, np.nan_to_num(tokens), 0.0)
    if keeps := kept_to(arm, slos):
        yield "good_per_s", np.logical_and.reduce(list(keeps.values())).astype(float)


def _segment_rows(arm: Arm, frames: RunFrames, level: Load, slos: Sequence[Slo]) -> Iterator[Row]:
    cell = int(arm.trials["cell"].iloc[0])
    if load.mixed(frames.trials[frames.trials["cell"] == cell]):
        yield arm.row("requests_per_s", "rate", Estimate(note=load.TOGETHER), 0)
        return
    ramp, cancelled = (_mine(part, arm, cell) for part in (frames.ramp, _cancelled(frames.trials)))
    parts = load.segments(arm.trials, pd.concat([ramp, cancelled]), level)
    ended = arm if ramp.empty else replace(arm, trials=pd.concat([arm.trials, ramp]))
    yield from _rate_rows(arm, ended, parts, level, slos)
    yield from _flight_rows(arm, parts, level)
    yield from _lag_rows(arm, frames.tables["attempts"], level)


def _mine(trials: pd.DataFrame, arm: Arm, cell: int) -> pd.DataFrame:
    return trials[(trials["cell"] == cell) & (trials["delivery"] == arm.delivery)]


def _cancelled(trials: pd.DataFrame) -> pd.DataFrame:
    return trials[trials["status"] == "cancelled"]


def _rate_rows(arm: Arm, whole: Arm, parts: Sequence[load.Segment], level: Load, slos: Sequence[Slo]) -> Iterator[Row]:
    """Closed loop: of the measured trials. Open loop: of all that ended in the windows, those of the ramp too."""
    for metric, weights in _weights(whole if level.open_loop else arm, slos):
        if level.concurrency is None:
            ends, counts = whole.trials["t_end"].to_numpy(dtype=np.float64, na_value=np.inf) / load.S, weights > 0
            rate, n = load.ended_per_second(parts, ends[counts], weights[counts])
        elif (flight := load.in_flight(parts)[0].value) is None:
            rate, n = Estimate(note=load.NOT_STEADY), 0
        else:
            slots = level.concurrency
            rate, n = load.worked_per_second(arm.trials, weights, slots, min(flight, slots))
        yield arm.row(metric, "rate", rate, n, note=load.rests_on(parts))


def _flight_rows(arm: Arm, parts: Sequence[load.Segment], level: Load) -> Iterator[Row]:
    mean, slope = load.in_flight(parts)
    yield arm.row("in_flight", "rate", mean, len(arm.trials), note=load.rests_on(parts))
    asked, begun = load.start_rates(parts)
    if level.open_loop:
        yield arm.row("in_flight", "slope", slope, len(arm.trials), unit="/s", note=load.rests_on(parts))
        yield arm.row(
            "offered_rate", "rate", _known(asked), len(arm.trials), note=f"asked for: {level.rate:g} a second"
        )
    yield arm.row("start_rate", "rate", _known(begun), len(arm.trials))


def _known(rate: float | None) -> Estimate:
    return Estimate(note=load.NOT_STEADY) if rate is None else Estimate(rate)


def _lag_rows(arm: Arm, attempts: pd.DataFrame, level: Load) -> Iterator[Row]:
    """How late the first request of each trial left."""
    first = attempts[(attempts["request"] == 0) & (attempts["attempt"] == 0)].set_index("trial_id")["t_sent"]
    late = floats((first.reindex(arm.trials.index) - arm.trials["t_origin"]) / MS)
    since = "since the intended time" if level.open_loop else ""
    for name, q in QUANTILES.items():
        yield arm.row("start_lag", name, intervals.quantile_ci(late, q), late.size, note=since)
