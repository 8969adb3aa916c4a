"""The tables of a diagnosis as texts: the same on the terminal, in Markdown and on the page."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from bench.analysis.wording import NA
from bench.doctor.diagnosis import Diagnosis, Difference, Finding, Shift, Verdict, group_by
from bench.doctor.reports.grouping import distinct_texts
from bench.doctor.reports.words import NONE, as_sentence, time, with_labels, word

NAMED = "API and mode"
FIRST, WHOLE, LUMPS = "first_ms", "whole_ms", "lumps"
"""Numbers of a finding that are in the table of verdicts."""
ONE_HOP = ("verdict", "first piece", "whole", "lumps")
BOTH_TIMES = "Beside each verdict: when the first piece of the answer had arrived, and when the whole of it."
DIFFERENCE = ("first piece later by", "whole answer later by", "n")
ADDED = ("deltas", "p50", "p90", "p99", "most")


class Sheet(NamedTuple):
    """A table, and what is said of its numbers."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: int = 1
    """How many columns are words."""
    said: Sequence[str] = ()
    """Below the table."""
    verdicts: Sequence[Sequence[Verdict | None]] = ()
    """The verdicts in the words of each row; None where nothing was examined."""


def verdict_sheet(diagnosis: Diagnosis) -> Sheet:
    """Make a row for each API and mode: with one hop its numbers, with several a column for each."""
    hops = [hop.name for hop in diagnosis.hops]
    by_label = group_by(diagnosis.findings, lambda one: one.label)
    found = {label: {one.hop: one for one in some} for label, some in by_label.items()}
    known = [[row[hop].verdict if hop in row else None for hop in hops] for row in found.values()]
    if len(hops) == 1:
        rows = [[label, *_number_texts(row[hops[0]])] for label, row in found.items()]
        return Sheet("Verdicts", [NAMED, *ONE_HOP], rows, 2, (), known)
    rows = [
        [label, *(_short_verdict(row[hop]) if hop in row else NONE for hop in hops)] for label, row in found.items()
    ]
    return Sheet("Verdicts", [NAMED, *hops], rows, 1 + len(hops), [BOTH_TIMES], known)


def _number_texts(finding: Finding) -> list[str]:
    lumps = finding.numbers.get(LUMPS)
    return [word(finding), time(_first_ms(finding)), time(_whole_ms(finding)), NONE if lumps is None else str(lumps)]


def _short_verdict(finding: Finding) -> str:
    """Write the verdict and its times, the unit once: `BURSTY 197 / 540 ms`."""
    (one, _, unit), (other, _, last) = (time(ms).partition(" ") for ms in (_first_ms(finding), _whole_ms(finding)))
    if one == other == NONE:
        return word(finding)
    return " ".join([word(finding), one, *([unit] if unit not in {last, ""} else []), "/", other, last]).rstrip()


def _first_ms(finding: Finding) -> float | None:
    arrivals = finding.curve.arrivals if finding.curve else ()
    return _number(finding, FIRST, arrivals[0][0] if arrivals else None)


def _whole_ms(finding: Finding) -> float | None:
    return _number(finding, WHOLE, finding.curve.end_ms if finding.curve else None)


def _number(finding: Finding, name: str, otherwise: float | None) -> float | None:
    """Return a number of all answers, else `otherwise`, that of the answer that was drawn."""
    value = finding.numbers.get(name, otherwise)
    return value if isinstance(value, int | float) else None


def difference_sheets(diagnosis: Diagnosis) -> Iterator[Sheet]:
    """Make a table for each hop that was compared; what has no number has a sentence only."""
    for some in group_by(diagnosis.differences, lambda one: (one.baseline, one.hop)).values():
        known = [one for one in some if one.first.value is not None or one.whole.value is not None]
        rows = [[f"{one.api}, {one.mode}", *_difference_texts(one)] for one in known]
        said = [
            *with_labels(distinct_texts(some, lambda one: one.sentence)),
            *with_labels(distinct_texts(some, _missing)),
        ]
        yield Sheet(f"{some[0].hop} against {some[0].baseline}", [NAMED, *DIFFERENCE], rows, said=said)


def _difference_texts(one: Difference) -> list[str]:
    numbers = dict.fromkeys((one.first.n, one.whole.n))
    return [_shift(one.first), _shift(one.whole), " / ".join(map(str, numbers))]


def _shift(one: Shift) -> str:
    """Write `+75.2 ms [+74.8, +75.6]`; `n/a` where the data do not carry it."""
    if one.value is None:
        return NA
    ends = "" if one.low is None or one.high is None else f" [{one.low:+.1f}, {one.high:+.1f}]"
    return f"{one.value:+.1f} ms{ends}"


def _missing(one: Difference) -> str:
    """Say why there is no number, where that is not in the sentence."""
    notes = [part.note.removeprefix("n/a ").strip("()") for part in (one.first, one.whole) if part.value is None]
    reasons = [note for note in dict.fromkeys(notes) if note and note not in one.sentence]
    return f"How much later cannot be told ({'; '.join(reasons)})." if reasons else ""


def delay_sheets(diagnosis: Diagnosis) -> Iterator[Sheet]:
    """Make a table for each hop on the way to the simulator."""
    for some in group_by(diagnosis.added, lambda one: one.hop).values():
        rows = [
            [f"{one.api}, {one.mode}", f"{one.n:,}", *map(time, (one.p50_ms, one.p90_ms, one.p99_ms, one.most_ms))]
            for one in some
        ]
        said = with_labels(distinct_texts(some, lambda one: f"{one.sentence} {as_sentence(one.note)}".strip()))
        yield Sheet(f"What {some[0].hop} adds to each delta", [NAMED, *ADDED], rows, said=said)
