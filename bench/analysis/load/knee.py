"""Find the knee: the highest load at which the limits are kept.

Loads are asked from the lowest on, and the first that does not pass ends the search, so however many there are, a load
is called good in error with probability 1 % at most (a fixed sequence of tests needs no correction).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Literal

from scipy import special

from bench.analysis.cell.arm import RowMaker
from bench.analysis.wording import with_interval
from bench.core.load import Load, parse_load
from bench.core.results.metrics.registry import LEAST_GOOD as LEAST
from bench.core.results.row import CellKey, Row
from bench.core.results.summary import Cell, Knee
from bench.stats.intervals import Estimate

CONFIDENCE = 0.99
STARTED = 0.95
"""Share of the scheduled rate that must have been begun."""
LEFT_OVER = 0.05
"""Share of the begun trials: if begun exceed ended trials by more, the queue grows."""
MOST = 1_000_000
"""Most trials that advice may ask for; if a decision would take more, no number is given."""
NO_SLO = "n/a (no --slo)"
GREW = "OVERLOADED"
"""First word of a note: the number of concurrent trials of the cell kept growing."""
Find = Callable[[Cell, str, str, str, str], Row | None]
Outcome = Literal["passed", "failed", "open", "left out"]


@dataclass(frozen=True)
class Step:
    """One load of a sweep."""

    load: Load
    outcome: Outcome
    reason: str
    """Why it did not pass."""
    n: int = 0


def lower_bound(good: int, n: int) -> float:
    """Return the lower bound of the share, one-sided, at 99 %: exact (Clopper-Pearson).

    44 good of 44 first reach 0.9.
    """
    return float(special.betaincinv(good, n - good + 1, 1 - CONFIDENCE)) if good else 0.0


def upper_bound(good: int, n: int) -> float:
    """Return the upper bound of the share, one-sided, at 99 %."""
    return float(special.betaincinv(good + 1, n - good, CONFIDENCE)) if good < n else 1.0


def trials_to_decide(good: int, n: int) -> int | None:
    """Return how many trials would decide with the same share of good ones; None where no affordable number would."""
    size = n
    while size < MOST:
        size = math.ceil(size * 1.02) + 1
        number = round(good * size / n)
        if lower_bound(number, size) >= LEAST or upper_bound(number, size) < LEAST:
            return size
    return None


def knees(find: Find, cells: Sequence[Cell]) -> Iterator[Knee]:
    """Yield the knee of every sweep and delivery, or why there is none."""
    for key in dict.fromkeys(map(_sweep, cells)):
        mine = sorted((cell for cell in cells if _sweep(cell) == key), key=lambda cell: parse_load(cell.key.load).place)
        if all(parse_load(cell.key.load).sequential for cell in mine):
            continue
        for delivery in ("streamed", "blocking"):
            found = [cell for cell in mine if find(cell, delivery, "failures", "sum", "")]
            if found:
                yield knee(key, delivery, [judge_load(find, cell, delivery) for cell in found])


def _sweep(cell: Cell) -> CellKey:
    """Return the key of a cell's sweep: open and closed loop are not comparable, so each has a knee."""
    return cell.key._replace(load=cell.key.load.partition("=")[0])


def judge_load(find: Find, cell: Cell, delivery: str) -> Step:
    """Judge whether a load passes."""
    load, row = parse_load(cell.key.load), find(cell, delivery, "goodput", "share", "")
    if row is None or row.estimate is None or unfit(cell):
        return Step(load, "left out", unfit(cell) or (row.note if row else NO_SLO))
    good, n = round(row.estimate * row.n), row.n
    if behind := not_in_time(find, cell, delivery):
        return Step(load, *behind, n)
    if upper_bound(good, n) < LEAST:
        return Step(load, "failed", f"{with_interval(row)} of {n} are good, below {100 * LEAST:.0f} %", n)
    if grows := queue_grows(lambda metric, statistic: find(cell, delivery, metric, statistic, "")):
        return Step(load, "failed", grows, n)
    if lower_bound(good, n) < LEAST:
        more = trials_to_decide(good, n)
        takes = f"about {more} trials would decide" if more else "so close to the limit no number of trials decides"
        return Step(load, "open", f"NOT ENOUGH DATA: {with_interval(row)} of {n} are good; {takes}", n)
    return Step(load, "passed", "", n)


def unfit(cell: Cell) -> str:
    """Return why no knee can be concluded from the cell; empty if one can."""
    return cell.unsupported or cell.invalid or ("SATURATED: the client was late" if cell.saturated else "")


def not_in_time(find: Find, cell: Cell, delivery: str) -> tuple[Outcome, str] | None:
    """Judge a schedule that was not kept. Shed trials: the load was too much; late ones: the client was too slow."""
    asked, begun = (find(cell, delivery, metric, "rate", "") for metric in ("offered_rate", "start_rate"))
    if asked is None or begun is None or asked.estimate is None or begun.estimate is None:
        return None
    if begun.estimate >= STARTED * asked.estimate:
        return None
    shed = find(cell, delivery, "failures.shed", "sum", "")
    told = f"only {begun.estimate:.3g} of {asked.estimate:.3g} starts a second were begun"
    if shed and shed.estimate:
        return "failed", f"{told}: {shed.estimate:.0f} were shed (--max-in-flight)"
    return "left out", f"{told}: the client fell behind"


def queue_grows(number: Callable[[str, str], Row | None]) -> str:
    """Say how ever more were in flight; empty if they were not.

    Latencies are then those of a queue that has not ended growing. Seen by what is in flight, or sooner by what ends:
    less than begins. Either by `LEFT_OVER` of what begins at least, for chance alone lifts one interval of 20 above
    zero. `number`: metric and statistic -> a row of the arm.
    """
    slope, ended, begun = number("in_flight", "slope"), number("requests_per_s", "rate"), number("start_rate", "rate")
    if slope is None or begun is None or begun.estimate is None:  # a closed loop has no queue that could grow
        return ""
    if slope.low is not None and slope.low > 0 and (slope.estimate or 0) >= LEFT_OVER * begun.estimate:
        return f"ever more were in flight ({with_interval(slope)} each second), so it cannot keep up"
    failed = number("failures", "share")
    if ended is None or ended.estimate is None or ended.high is None or failed is None:
        return ""
    well = begun.estimate * (1 - (failed.high or 0.0) if failed.estimate else 1)  # failed ones are not among the ended
    if ended.high >= well or ended.estimate > (1 - LEFT_OVER) * well:
        return ""
    return (
        f"{with_interval(ended, unit=False)} ended well each second, {begun.estimate:.3g} began, so it cannot keep up"
    )


def is_overloaded(cell: Cell) -> bool:
    """Return True if the cell's notes say that its queue grew."""
    return any(note.startswith(GREW) for note in cell.notes)


def knee(key: CellKey, delivery: str, steps: Sequence[Step]) -> Knee:
    """Find the knee among loads in ascending order. One at a time is no load: too few trials of it end no search."""
    if len(steps) > 1 and steps[0].load.sequential and steps[0].outcome == "open":
        steps = steps[1:]
    passed = list(takewhile(lambda one: one.outcome == "passed", steps))
    last = passed[-1] if passed else None
    stop = steps[len(passed)] if len(passed) < len(steps) else None
    n = (stop or last or steps[0]).n
    load = last.load.label if last else ""
    return Knee(key, delivery, load, last.load.place[1] if last else None, knee_sentence(last, stop), n)


def knee_sentence(last: Step | None, stop: Step | None) -> str:
    """Write the knee as a sentence without its subject."""
    if stop is None:
        return f"at least {last.load.label}: the highest load that was run passes" if last else NO_SLO
    if last is None:
        return f"{_lowest_load_words(stop)}{stop.reason}"
    least = "" if stop.outcome == "failed" else "at least "
    return f"{least}{last.load.label}; {stop.load.label} {'fails' if least == '' else 'is left open'}: {stop.reason}"


def _lowest_load_words(stop: Step) -> str:
    """Say that the lowest load did not pass."""
    if stop.outcome == "left out":
        return "" if stop.reason.startswith("n/a") else f"n/a at {stop.load.label}, the lowest load: "
    failed = stop.outcome == "failed"
    return f"below {stop.load.label}: " if failed else f"not known at {stop.load.label}, the lowest load: "


def knee_row(knee: Knee) -> Row:
    """Make the row `knee`."""
    unit = "/s" if knee.key.load == "rate" else ""
    size = Estimate(knee.size, note=knee.said)
    return RowMaker(knee.key, knee.delivery).row("knee", "level", size, knee.n, unit)
