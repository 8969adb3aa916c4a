"""Answer for the whole run in one sentence whether streaming helps, and what it costs."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.analysis.checks.floor import NOT_CALIBRATED, Resolution, Way, way
from bench.analysis.load.knee import is_overloaded
from bench.analysis.verdicts.cell import Outcome, gain_of, missing_reason, negate, overhead_of
from bench.analysis.wording import ends, span, value
from bench.core.results.comparison import Ranking
from bench.core.results.row import Row
from bench.core.results.summary import Cell, Summary
from bench.stats.same_work import MOST_EXCLUDED

ALIKE = 0.1
"""Peaks of memory this close count as equal: they have no interval."""
NO_PAIRS = "No pairs, so no comparison of streamed and blocking; the medians are in the table."
NOT_TRUSTED = "No answer: no number of this run can be trusted."
SOONER = "sooner"
LATER = "later than the blocking answer"


class Effect(NamedTuple):
    """What streaming does in one cell."""

    cell: Cell
    gain: Row | None
    seen: Outcome
    overhead: Row | None
    ends: Outcome


def answer(summary: Summary, resolutions: Mapping[Way, Resolution]) -> str:
    """Say what streaming buys and costs over all cells whose numbers may be believed; then what else the run tells."""
    cells = summary.cells
    if not cells:
        return "Nothing was measured."
    if all(cell.unsupported for cell in cells):
        return "Nothing was measured: the target supports none of it."
    usable = [cell for cell in cells if not (cell.invalid or cell.saturated or cell.unsupported)]
    if summary.trust.verdict == "INVALID" or not usable:
        return NOT_TRUSTED
    steady = [cell for cell in usable if not is_overloaded(cell)]
    paired = [cell for cell in steady if not cell.unpaired]
    effects = []
    for cell in paired:
        resolution = resolutions.get(way(cell.key), NOT_CALIBRATED)
        effects.append(
            Effect(cell, *gain_of(summary.row, cell, resolution), *overhead_of(summary.row, cell, resolution))
        )
    compared = any(effect.gain for effect in effects)
    first = _comparison_sentence(summary, effects) if compared else usable[0].verdict if len(usable) == 1 else NO_PAIRS
    return " ".join(
        [
            first,
            *_unpaired_sentence(usable, compared),
            *_late_sentence(cells),
            *_overloaded_sentence(len(usable) - len(steady)),
            *fastest(summary.rankings),
        ]
    )


def _comparison_sentence(summary: Summary, effects: Sequence[Effect]) -> str:
    if all(effect.seen == "missing" for effect in effects):
        reasons = sorted({_plain(missing_reason(effect.gain)) for effect in effects})
        return f"Whether streaming helps cannot be said: {'; '.join(reasons)}."
    costs = [*_memory(summary, effects), *_failures(summary, effects)]
    return "; ".join([f"{_first_useful_words(effects)}{_whole_answer_cost(effects)}", *costs]) + "."


def _plain(reason: str) -> str:
    """Reword a reason of the tables for a reader of this sentence only."""
    if few := re.fullmatch(r"n=(\d+) < (\d+)", reason):
        return f"{few[1]} pair{'' if few[1] == '1' else 's'} with both answers are too few, it takes {few[2]}"
    if lost := re.fullmatch(r"NOT ENOUGH DATA: (\d+ of \d+) pairs excluded", reason):
        return (
            f"in {lost[1]} pairs a trial failed or gave nothing useful, which is more than {100 * MOST_EXCLUDED:.0f} %"
        )
    return reason


def _first_useful_words(effects: Sequence[Effect]) -> str:
    """Say how much sooner something useful is there."""
    early = [effect.gain for effect in effects if effect.gain and effect.seen == "more"]
    late = [negate(effect.gain) for effect in effects if effect.gain and effect.seen == "less"]
    untold = len(effects) - len(early) - len(late)
    if not early and not late:
        small = all(effect.seen == "unresolved" for effect in effects)
        told = ": the difference is too small for this instrument to see" if small else ", as far as this run can tell"
        return f"Streaming shows nothing useful sooner{told}"
    if not early:
        return f"Streaming does not help: something useful comes {_amount(late, LATER)}{_share(late, effects)}"
    if not late:
        return f"Streaming shows something useful {_amount(early, SOONER)}{_share(early, effects)}"
    rest = f", and in {untold} that cannot be told" if untold else ""
    many = f"{len(early)} of {_cell_count(effects)}"
    later = f"{_amount(late, LATER)} in {len(late)}"
    return f"Streaming shows something useful {_amount(early, SOONER)} in {many}, {later}{rest}"


def _amount(rows: Sequence[Row], word: str) -> str:
    """Write the amount: of one cell with its interval in words, of several the range."""
    return f"{span(rows)} {word}" if len(rows) > 1 else f"{value(rows[0])} {word} ({ends(rows[0])})"


def _share(rows: Sequence[Row], effects: Sequence[Effect]) -> str:
    """Say in how many of several cells; empty for one."""
    if len(effects) == 1:
        return ""
    rest = len(effects) - len(rows)
    if not rest:
        return f" in {'both' if len(rows) == 2 else f'all {len(rows)}'} {_cell_count(effects).partition(' ')[2]}"
    return f" in {len(rows)} of {_cell_count(effects)}" + (f" (in {rest} that cannot be told)" if rest else "")


def _cell_count(effects: Sequence[Effect]) -> str:
    """Write `3 modes`; where cells differ in more than the scenario they are called cells."""
    modes = len({effect.cell.key.scenario for effect in effects}) == len(effects)
    return f"{len(effects)} {'modes' if modes else 'cells'}"


_COSTS: Mapping[Outcome, str] = {"same": "none", "unresolved": "none", "more": "longer", "less": "less"}


def _whole_answer_cost(effects: Sequence[Effect]) -> str:
    """Say what streaming costs in time to the whole answer."""
    groups = {name: [e for e in effects if _COSTS.get(e.ends) == name] for name in ("none", "longer", "less")}
    longer, less = _longer(groups["longer"]), f"{_change(groups['less'])} less time"
    seen = " that this instrument could see" if any(e.ends == "unresolved" for e in effects) else ""
    phrases = {"none": "no longer", "longer": longer, "less": less}
    alone = {
        "none": f" and costs no time{seen} on the whole answer",
        "longer": f" but takes {longer} for the whole answer",
        "less": f" and takes {less} for the whole answer",
    }
    for name, group in groups.items():
        if len(group) == len(effects):
            return alone[name]
    told = [f"{phrases[name]} in {len(group)}" for name, group in groups.items() if group]
    if not told:
        return "; whether the whole answer takes longer cannot be told"
    rest = len(effects) - sum(map(len, groups.values()))
    more = f", and in {rest} that cannot be told" if rest else ""
    return f"; for the whole answer it takes {', '.join(told)}{more}"


def _longer(effects: Sequence[Effect]) -> str:
    """Write `3.5 % longer`, or `×12 as long`."""
    change = _change(effects)
    return f"{change} {'as long' if '×' in change else 'longer'}"


def _change(effects: Sequence[Effect]) -> str:
    """Write `2.0 to 3.5 %`, whatever the direction."""
    rows = [effect.overhead for effect in effects if effect.overhead]
    return span([row if (row.estimate or 0) >= 0 else negate(row) for row in rows])


def _memory(summary: Summary, effects: Sequence[Effect]) -> Iterator[str]:
    """Compare the peaks at the longest answer: of the process, or where that is missing of Python's own blocks."""
    for metric, which in (("memory_peak.rss", ""), ("memory_peak", ", of Python's own blocks")):
        ratios = sorted({ratio for effect in effects if (ratio := _peaks(summary, effect.cell, metric))})
        if not ratios:
            continue
        low, high = ratios[0], ratios[-1]
        times = " to ".join(dict.fromkeys((f"{low:.2g}", f"{high:.2g}")))
        where = f"{_length(summary, effects, metric)}{which}"
        if low > 1 + ALIKE:
            yield f"it takes more client memory ({times} times as much {where})"
        elif high < 1 - ALIKE:
            yield f"it takes less client memory ({times} times as much {where})"
        elif low >= 1 - ALIKE and high <= 1 + ALIKE:
            yield f"it takes as much client memory ({where})"
        else:
            yield f"it takes {times} times the client memory ({where})"
        return


def _length(summary: Summary, effects: Sequence[Effect], metric: str) -> str:
    """Write the length of the answer with these peaks.

    `at 8,000 tokens`, or `at the longest answer` where lengths differ.
    """
    rows = [summary.memory_row(effect.cell, "streamed", metric) for effect in effects]
    loads = {row.load.removeprefix("tokens=") for row in rows if row and row.estimate}
    tokens = loads.pop() if len(loads) == 1 else ""
    return f"at {int(tokens):,} tokens" if tokens.isdecimal() else "at the longest answer"


def _peaks(summary: Summary, cell: Cell, metric: str) -> float | None:
    """Return the streamed peak / the blocking peak; None where one is missing."""
    peaks = [summary.memory_row(cell, delivery, metric) for delivery in ("streamed", "blocking")]
    streamed, blocking = (row.estimate if row else None for row in peaks)
    return streamed / blocking if streamed and blocking and streamed > 0 and blocking > 0 else None


def _failures(summary: Summary, effects: Sequence[Effect]) -> Iterator[str]:
    """Say how many trials failed, where the deliveries differ in that."""
    counts = []
    for delivery in ("streamed", "blocking"):
        rows = [summary.row(effect.cell, delivery, "failures", "sum") for effect in effects]
        counts.append((sum(int(row.estimate or 0) for row in rows if row), sum(row.n for row in rows if row)))
    (streamed, of_s), (blocking, of_b) = counts
    if streamed != blocking:
        yield f"{streamed} of {of_s} streamed and {blocking} of {of_b} blocking calls failed"


def _unpaired_sentence(usable: Sequence[Cell], compared: bool) -> Iterator[str]:
    rest = sum(bool(cell.unpaired) for cell in usable)
    if rest and compared:
        counted = "1 cell, its own medians" if rest == 1 else f"{rest} cells, their own medians"
        yield f"No blocking counterpart: {counted} are in the table."


def _late_sentence(cells: Sequence[Cell]) -> Iterator[str]:
    if late := sum(bool(cell.saturated) for cell in cells):
        yield f"Left out: {late} {'cell' if late == 1 else 'cells'} in which the client was late."


def _overloaded_sentence(number: int) -> Iterator[str]:
    if number:
        yield f"Left out: {number} {'cell' if number == 1 else 'cells'} in which ever more were in flight."


def fastest(rankings: Sequence[Ranking]) -> Iterator[str]:
    """Name the fastest model or target, if there is one; of several scenarios in how many."""
    if len(rankings) == 1:
        yield f"{rankings[0].label}: {rankings[0].sentence}."
    if len(rankings) < 2:
        return
    first = Counter(filter(None, (ranking.fastest for ranking in rankings)))
    told = [f"{name} in {_scenario_count(number, len(rankings))}" for name, number in first.most_common()]
    close = len(rankings) - first.total()
    if not told:
        yield "Which is fastest streamed cannot be told in any scenario."
    else:
        yield f"Fastest streamed: {', '.join(told)}{f'; in {close} that cannot be told' if close else ''}."


def _scenario_count(number: int, of: int) -> str:
    if number < of:
        return f"{number} of {of} scenarios"
    return "both scenarios" if of == 2 else f"all {of} scenarios"
