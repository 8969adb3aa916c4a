"""Put a comparison in words, the same in every report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import NamedTuple

from bench.analysis.comparison.effects import in_points, outcome, pairs_for, size
from bench.analysis.wording import NA, interval, value, with_interval
from bench.core.results.comparison import Change, Comparison
from bench.core.results.metrics.registry import BY_NAME

LEADING = {
    ("ttft", "streamed"): "first token",
    ("total", "streamed"): "whole answer streamed",
    ("total", "blocking"): "blocking",
}
"""Medians that the sentence is about, in its order, with the phrase for each."""
SMALL = 0.05
"""A change that a comparison should be able to see, where nobody says which."""
MOST_CELLS = 3
HEADS = ("", "baseline", "current", "change [95 %]", "n", "verdict")
"""Of a table in text."""
TIMES = ("ms", "ms/token", "ms/event")
RATES = ("/s", "tokens/s")


class Counts(NamedTuple):
    """How many of the numbers shown came out how."""

    worse: int
    better: int
    changed: int
    unclear: int
    unknown: int


def select_shown(comparison: Comparison) -> Comparison:
    """Keep the changes that reports show, in their order. Fractions are told in points and lose their ratio."""
    shown = filter(_is_shown, comparison.changes)
    return replace(
        comparison,
        changes=tuple(replace(one, ratio=None, low=None, high=None) if in_points(one) else one for one in shown),
    )


def _is_shown(change: Change) -> bool:
    if change.metric == "ttfu" and change.delivery == "blocking":  # it is the total
        return False
    if change.baseline.estimate is None and change.current.estimate is None:
        return False
    metric = BY_NAME.get(change.metric)
    units = metric.unit.split(", ") if metric else []  # of a metric in two units the last is shown
    return metric is not None and change.statistic in metric.compared and (len(units) == 1 or change.unit == units[-1])


def counts(changes: Sequence[Change]) -> Counts:
    """Count the changes by outcome."""
    found = [outcome(change) for change in changes]
    return Counts(*(sum(one == name for one in found) for name in Counts._fields))


def counts_text(found: Counts) -> str:
    """Return `2 worse, 1 better, 14 without a difference that can be seen`."""
    words = ("worse", "better", "changed", "without a difference that can be seen", "n/a")
    return ", ".join(f"{number} {word}" for number, word in zip(found, words, strict=True) if number) or "nothing"


def chance_text(found: Counts) -> str:
    """Say how many numbers would look changed by chance."""
    told = sum(found) - found.unknown
    return f"of {told} numbers that did not change, about {math.ceil(told / 20)} would look changed by chance"


def name(change: Change) -> str:
    """Return the name of a change, as `text ttft p50 streamed`."""
    return f"{change.label} {metric(change)} {change.delivery}"


def metric(change: Change) -> str:
    """Return metric and statistic; `hl`, the shift over pairs, goes without saying."""
    return change.metric if change.statistic in {"hl", "slope", "rate"} else f"{change.metric} {change.statistic}"


def change_text(change: Change) -> str:
    """Return `+9.8 % [+7.1, +12.6]`, of fractions `+2.0 points […]`, without a ratio the difference; or `n/a`."""
    if change.ratio is not None and not in_points(change):
        estimate, low, high = change.ratio, change.low, change.high
        row = replace(change.current, unit="ratio", statistic="hl", failed=0, estimate=estimate, low=low, high=high)
        return with_interval(row)
    if change.difference is None:
        return NA
    estimate, low, high = change.difference, change.difference_low, change.difference_high
    if in_points(change):
        middle, *ends = (f"{100 * x:+.1f}" if x is not None else "" for x in (estimate, low, high))
        return f"{middle} points [{', '.join(ends)}]"
    row = replace(change.current, failed=0, estimate=estimate, low=low, high=high)
    return f"{'+' if estimate > 0 else ''}{value(row)} {interval(row)}"


def verdict(change: Change) -> str:
    """Return `slower`, `more (worse)`, `no difference seen (±3.1 %)`, `undecided (±12 %)`, or why there is none."""
    found, said = size(change), outcome(change)
    if found is None:
        return change.note or NA
    if said == "unclear":
        half = (found.high - found.low) / 2
        text = f"±{percent(half)}" if math.isfinite(half) else "its interval is open"
        return f"{'no difference seen' if half <= SMALL else 'undecided'} ({text})"
    up = found.low > 0
    if change.unit in TIMES and change.better == "lower":
        return "slower" if up else "faster"
    if change.unit in RATES and change.better == "higher":
        return "faster" if up else "slower"
    return f"{'more' if up else 'less'}{f' ({said})' if said != 'changed' else ''}"


def percent(x: float) -> str:
    """Return a fraction as `3.1 %` or `12 %`."""
    return f"{100 * x:.{1 if x < 0.1 else 0}f} %"


def sentence(comparison: Comparison) -> str:
    """Say how the leading medians changed, of the cells that changed most; or that no difference was seen."""
    if not comparison.changes:
        return "Nothing is compared: no cell is in both."
    leads = list(filter(lead_phrase, comparison.changes))
    told: dict[str, list[Change]] = {}
    for change in leads:
        if outcome(change) in {"worse", "better"}:
            told.setdefault(change.label, []).append(change)
    if not told:
        return _no_difference(leads, _failure_text(comparison))
    parts = [f"{cell}: {_cell_text(changes)}" for cell, changes in list(told.items())[:MOST_CELLS]]
    more = [f"{len(told) - MOST_CELLS} more cells differ"] if len(told) > MOST_CELLS else []
    return "; ".join([*parts, *more, *_not_compared(leads), *_failure_text(comparison)]) + "."


def _no_difference(leads: Sequence[Change], failed: Sequence[str]) -> str:
    """Say that no median was seen to differ, and which of them could not be compared at all."""
    known = [change for change in leads if size(change)]
    more = "".join(f"; {text}" for text in (*_not_compared(leads), *failed))
    if not known:
        return f"No median of a first token or of a whole answer can be compared{more}."
    half = max(_half(size(change)) for change in known)
    which = "of first token and whole answer" if len(known) == len(leads) else "that can be compared"
    smaller = f"; one below {percent(half)} would not be seen" if math.isfinite(half) else ""
    return f"No difference seen in the medians {which}{smaller}{more}."


def _not_compared(leads: Sequence[Change]) -> list[str]:
    """Name the first median without a change, with its reason, and how many more there are."""
    found = [change for change in leads if not size(change)]
    more = f" (and {len(found) - 1} more)" if len(found) > 1 else ""
    return [f"not compared: {name(found[0])}{more}, {found[0].note.removeprefix('n/a ').strip('()')}"] if found else []


def _failure_text(comparison: Comparison) -> list[str]:
    """Say where the share of failures changed, which times alone would hide."""
    changes = [one for one in comparison.changes if (one.metric, one.statistic) == ("failures", "share")]
    told = [one for one in changes if outcome(one) in {"worse", "better"}]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return [f"{name(told[0])}{more}: {change_text(told[0])}"] if told else []


def _half(found: tuple[float, float, float] | None) -> float:
    return (found[2] - found[1]) / 2 if found else 0.0


def _scale(change: Change) -> float:
    """Return by what factor an interval is wider than that of equal sides: a ratio's grows with the ratio itself."""
    return 1.0 if change.ratio is None or in_points(change) else 1 + change.ratio


def _smallest_visible(change: Change) -> float:
    """Return the smallest change that two equal sides would have shown, as a fraction."""
    return _half(size(change)) / _scale(change)


def lead_phrase(change: Change) -> str:
    """Return the phrase for this median, or "" if the sentence is not about it."""
    return LEADING.get((change.metric, change.delivery), "") if change.statistic == "p50" else ""


def most_telling(changes: Sequence[Change]) -> list[Change]:
    """Order for reports with few lines: differences first, worst first; then medians, which show what was compared."""
    told = [change for change in changes if outcome(change) in {"worse", "better", "changed"}]
    rest = [change for change in changes if outcome(change) in {"unclear", "unknown"}]
    return [*told, *sorted(rest, key=lambda change: not lead_phrase(change))]


def _cell_text(changes: Sequence[Change]) -> str:
    """Return `first token 9.8 % slower [7.1, 12.6], …`: the direction is in the word."""
    texts = []
    for change in sorted(changes, key=lambda change: list(LEADING.values()).index(lead_phrase(change))):
        number, _, ends = change_text(change).partition(" [")
        how = f"{number} as long" if number.startswith("×") else f"{number.lstrip('+-')} {verdict(change)}"
        texts.append(f"{lead_phrase(change)} {how} [{ends}")
    return ", ".join(texts)


def resolution_text(comparison: Comparison, limit: float = SMALL) -> str:
    """Say which change of the median TTFT this comparison can detect, and how many pairs `limit` would take."""
    known = [one for one in comparison.changes if lead_phrase(one) and size(one) and math.isfinite(_half(size(one)))]
    if not known:
        return "what it is able to see cannot be said: no median with an interval on both sides"
    change = max(known, key=lambda one: (one.metric == "ttft", _smallest_visible(one)))
    half, need = _smallest_visible(change), pairs_for(change, limit * _scale(change))
    told = f"sees changes of {name(change)} from ±{percent(half)} on (n={change.n})"
    if half <= limit or need is None:
        return told
    return f"{told}; ±{100 * limit:g} % needs --pairs {need}"


def capital(sentence: str) -> str:
    """Return the sentence with a capital first letter."""
    return sentence[:1].upper() + sentence[1:]


def fields(change: Change) -> list[str]:
    """Return the texts of a change under `HEADS`."""
    paired = " (paired)" if change.method == "paired" else ""
    sides = with_interval(change.baseline), with_interval(change.current)
    return [name(change), *sides, f"{change_text(change)}{paired}", str(change.n), verdict(change)]


def notes(changes: Sequence[Change]) -> Iterator[str]:
    """Yield reasons and remarks, each once, with what it is about."""
    found: dict[str, list[Change]] = {}
    for change in changes:
        if change.note:
            found.setdefault(change.note, []).append(change)
    for note, about in found.items():
        more = f" and {len(about) - 1} more" if len(about) > 1 else ""
        yield f"{name(about[0])}{more}: {note}"
