"""Find the cells in which the client was late, and how busy the machine was, from the probes of a run.

The thresholds come from runs whose true read lag is known, event by event: docs/statistics.md, "Guard".
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd

from bench.analysis.cell.arm import floats
from bench.analysis.checks.lateness import Floats, Lateness, every_beat, lateness
from bench.analysis.tables import RunFrames
from bench.analysis.wording import milliseconds
from bench.core.results.metrics.metric import MS
from bench.core.results.row import CellKey
from bench.records.schema import BEAT_NS
from bench.stats import intervals

LATE_MS = 5.0
"""A read that much late is no small change; an idle loop is up to 2-3 ms late, for its timers are in ms."""
OFTEN = 0.1
"""Late so large a share of the time, the p90 of what was read is the client's: seen to coincide in 13 runs."""
SELDOM = 0.01
"""From here on the p99 is."""
AT_WORK = 0.5
"""CPU share from which on a late client was not kept waiting, but busy itself (flood: 0.8-0.9, busy machine: 0.1)."""
STEAL = 0.02
PRESSURE = 0.1
"""Shares of the run's time above which the machine was busy. A run alone on two CPUs has a pressure of 0.02-0.05."""
ALONE = "c=1"


@dataclass(frozen=True)
class GuardFinding:
    """What the guard says of one cell."""

    saturated: str = ""
    """How the client was late, with numbers, and what helps; empty where it kept up."""
    notes: tuple[str, ...] = ()
    """What touched a few of its trials, so its tails."""


def guard_cell(frames: RunFrames, cell: int, key: CellKey, lags: pd.Series[float], met: Lateness) -> GuardFinding:
    """Judge one cell; `lags`: the read lag of each trial in ms, where the truth is known."""
    trials = frames.trials[frames.trials["cell"] == cell]
    late = _late(met) or _late_reads(floats(lags[lags.index.isin(trials.index)]))
    return GuardFinding(
        saturated=f"{late}; {_advice(frames, cell, key)}" if late else "",
        notes=() if late else tuple(_pause_note(met)),
    )


def cell_lateness(frames: RunFrames, cell: int) -> Lateness:
    """Find what the measured (or calibration) trials of a cell met, each in the process that measured it."""
    probes = frames.tables["probes"]
    beats = probes[(probes["name"] == "loop_lag") & (probes["cell"] == cell)].sort_values("t")
    both, needed = (frames.trials, frames.calibration), ["t_origin", "t_end", "worker"]
    trials = pd.concat([part.loc[part["cell"] == cell, needed] for part in both])
    whole = trials.dropna(subset=["t_origin", "t_end"])
    in_beats, in_trials = workers(beats), workers(whole)
    met = [_loop_lateness(beats[in_beats == one], whole[in_trials == one]) for one in sorted({"", *in_trials})]
    return Lateness(np.concatenate([one.lags for one in met]), np.concatenate([one.pauses for one in met]))


def workers(rows: pd.DataFrame) -> pd.Series[str]:
    """Return the process of each row; empty where one process measured."""
    return rows["worker"].astype(object).where(rows["worker"].notna(), "")


def _loop_lateness(beats: pd.DataFrame, trials: pd.DataFrame) -> Lateness:
    """Compute the lateness of one event loop."""
    due, answered = every_beat(_ms(beats["t"]), floats(beats["value"]), BEAT_NS / MS)
    return lateness(due, answered, _ms(trials["t_origin"]), _ms(trials["t_end"]))


def _ms(times: pd.Series[float]) -> Floats:
    return floats(times) / MS


def often_late(met: Lateness) -> bool:
    """Return True if the loop was late often, and not in a few trials only, as when a laptop slept.

    False with few beats.
    """
    enough = met.lags.size >= intervals.minimum_n(0.9)
    return enough and met.share(LATE_MS) > OFTEN and met.paused_trials(LATE_MS) > OFTEN * met.pauses.size


def _late(met: Lateness) -> str:
    if not often_late(met):
        return ""
    return (
        f"the client's event loop was more than {LATE_MS:g} ms late {_percent(met.share(LATE_MS))} of the time "
        f"(p90 {milliseconds(float(np.quantile(met.lags, 0.9)))}, limit {LATE_MS:g} ms), "
        f"in {met.paused_trials(LATE_MS)} of {met.pauses.size} trials"
    )


def _late_reads(lags: Floats) -> str:
    """Say how late first tokens were read, which no heartbeat sees."""
    median = intervals.quantile_ci(lags, 0.5).value
    if median is None or median <= LATE_MS:
        return ""
    return f"first tokens were read {median:.3g} ms after they were sent (median, limit {LATE_MS:g} ms)"


def _advice(frames: RunFrames, cell: int, key: CellKey) -> str:
    """Say what helps. At one trial at a time, other cells that were in time show that the machine is not the cause."""
    if key.load != ALONE:
        return _less_load(key)
    others = sorted({*frames.trials["cell"].dropna(), *frames.calibration["cell"].dropna()} - {cell})
    rest = [found for other in others if (found := cell_lateness(frames, other)).lags.size]
    if rest and not any(map(often_late, rest)):
        return f"not so in other cells, so the machine is not why: {_OWN_WORK}"
    if (share := cpu_share(frames, cell) or 0.0) > AT_WORK:
        return f"this client worked {_percent(share)} of the time: {_OWN_WORK}"
    if any(_busy_lines(busy(frames))):
        return "other processes kept this machine busy: use an idle one"
    return f"other processes keep this machine busy, or {_OWN_WORK}"


def _less_load(key: CellKey) -> str:
    """Say what helps under load: a leaner client, and beyond that more processes."""
    fewer = "fewer streams at a time (--concurrency)" if key.load.startswith("c=") else "a lower --rate"
    if key.client == "sdk":
        return f"use --client wire, {fewer} or an idle machine"
    return f"use --workers, {fewer} or an idle machine" if key.client == "wire" else f"use {fewer} or an idle machine"


_OWN_WORK = "the scenario's own code (try asyncio.to_thread), or the SDK on so fast a stream, holds the loop up"


def _pause_note(met: Lateness) -> Iterator[str]:
    if number := met.paused_trials(LATE_MS) if met.share(LATE_MS) > SELDOM else 0:
        trials = f"{number} of {met.pauses.size} trials"
        yield f"{trials} met a pause of the client (over {LATE_MS:g} ms): their p95 and p99 may be the client's"


def cpu_share(frames: RunFrames, cell: int) -> float | None:
    """Return this process's CPU time divided by wall time while the cell's trials ran; None if no trial ran."""
    counted = frames.tables["cells"][frames.tables["cells"]["cell"] == cell]
    wall = float(counted["wall_ns"].sum())
    return float(counted["cpu_ns"].sum()) / wall if wall else None


def machine_lines(frames: RunFrames) -> list[str]:
    """Say how busy the machine was, where that matters: a sentence each.

    One stream at a time is late only where the machine is busy; of several the client itself may have too much to do.
    """
    return [*_busy_lines(busy(frames)), *_calibration_lines(frames, alone=True)]


def calibration_lines(frames: RunFrames) -> list[str]:
    """Say where the calibration was late above one trial at a time: then its floors are those of a late client."""
    return [f"{line}; so the floors at this load are high" for line in _calibration_lines(frames, alone=False)]


def _busy_lines(shares: Mapping[str, float]) -> Iterator[str]:
    if (waited := shares.get("pressure", 0.0)) > PRESSURE:
        yield f"this machine was busy: processes waited for a CPU {_percent(waited)} of the time (PSI; alone 2-5 %)"
    if (stolen := shares.get("steal", 0.0)) > STEAL:
        yield f"this machine's host was busy: other guests took {_percent(stolen)} of its CPU time (steal)"


def _calibration_lines(frames: RunFrames, *, alone: bool) -> Iterator[str]:
    """Yield the first late cell of the calibration at a load of one (or of more) at a time."""
    known = frames.calibration.dropna(subset=["cell", "load"])  # a trial in flight has no load
    cells = sorted(set(known[(known["load"] == ALONE) == alone]["cell"]))
    if late := next(filter(None, (_late(cell_lateness(frames, cell)) for cell in cells)), ""):
        yield f"the calibration was late: {late}"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def busy(frames: RunFrames) -> Mapping[str, float]:
    """Return shares of the run's time by `steal` and `pressure`; only those that the system tells."""
    probes = frames.tables["probes"].sort_values("t")
    read = {name: probes[probes["name"] == name] for name in ("pressure", "cpu_time", "steal")}
    grown = {name: _growth(part["value"]) for name, part in read.items()}
    shares = {
        "pressure": (grown["pressure"], _growth(read["pressure"]["t"]) / MS),
        "steal": (grown["steal"], grown["cpu_time"]),
    }
    return {name: part / whole for name, (part, whole) in shares.items() if whole > 0}


def _growth(counter: pd.Series[float]) -> float:
    """Return the growth of a counter from its first reading to its last."""
    return float(counter.iloc[-1] - counter.iloc[0]) if len(counter) else 0.0
