"""The words that every report of the doctor uses."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from bench.analysis.wording import duration
from bench.doctor.diagnosis import ABSENT, HEALTHY, MEANS, Check, Diagnosis, Finding, Fix, Hop, State, Verdict, group_by
from bench.doctor.reports.grouping import FindingGroup, distinct_texts, mask_numbers, own_numbers, rank

NONE = "–"
HAPPENS, SURE, WHY, COSTS = "What happens", "How sure", "Why", "What it costs"
CHANGE, AGAIN = "Change", "Check again"
STATES: Mapping[State, str] = {"bad": "BAD  {}", "unknown": "{}, not seen", "note": "{}"}
"""How checks that are not in order are called, the first to be read first."""


class Paragraph(NamedTuple):
    """Some texts behind a label."""

    label: str
    texts: Sequence[str]


def request_summary(diagnosis: Diagnosis) -> str:
    """Say who was asked, for which model, and what that took."""
    models = list(dict.fromkeys(hop.model for hop in diagnosis.hops))
    alone = len(models) == 1
    names = " and ".join(_hop(hop, model=not alone) for hop in diagnosis.hops)
    model = f", model {models[0]}" if alone else ""
    tokens = "tokens not told" if diagnosis.tokens is None else count_text(diagnosis.tokens, "output token")
    return f"{names}{model}: {count_text(diagnosis.requests, 'request')}, {tokens}"


def _hop(hop: Hop, *, model: bool) -> str:
    about = ", ".join(filter(None, [hop.server, f"model {hop.model}" if model else ""]))
    return f"{hop.name} ({about})" if about else hop.name


def count_text(number: int, name: str) -> str:
    """Write a number of things: `1 request`, `3,120 requests`."""
    return f"{number:,} {name}{'' if number == 1 else 's'}"


def time(ms: float | None) -> str:
    """Write a time: `0.35 ms`, `120 ms`, `1.23 s`."""
    return NONE if ms is None else duration(ms)


def word(finding: Finding) -> str:
    """Write the verdict, in capitals where it is bad or undecided: seen without colours too."""
    return finding.verdict if is_brief(finding.verdict) else finding.verdict.upper()


def is_brief(verdict: Verdict) -> bool:
    """Return True where there is nothing to advise."""
    return verdict in {HEALTHY, ABSENT}


def is_bad(verdict: Verdict) -> bool:
    """Return True where there is something to mend."""
    return rank(verdict) == 0


def heading(group: FindingGroup) -> str:
    """Write the heading of a group: `gateway:8080 · responses, text: BURSTY`."""
    return f"{group.hop} · {group.label}: {word(group.first)}"


def brief(found: Iterable[FindingGroup], *, each: bool) -> list[tuple[Verdict, str]]:
    """Return (verdict, line) of findings that need no advice: one for each text, or with `each` one for each mode."""
    few = [
        FindingGroup(members=some)
        for group in found
        if is_brief(group.verdict)
        for some in group_by(group.members, lambda one: one.label if each else mask_numbers(one.happens)).values()
    ]
    return [(group.verdict, f"{heading(group)}. {' '.join(_happens_texts(group))}") for group in few]


def _happens_texts(group: FindingGroup) -> list[str]:
    means = as_sentence(MEANS[group.verdict])
    return [*(_field_texts(group, "happens") or [means]), *filter(None, [own_numbers(group)])]


def all_healthy(diagnosis: Diagnosis) -> bool:
    """Return True where all is healthy: then there is room for a line about each mode."""
    return all(one.verdict == HEALTHY for one in diagnosis.findings)


def advice(group: FindingGroup) -> list[Paragraph]:
    """Return the paragraphs that stand above a change to make: what happens, how sure that is, why, what it costs."""
    parts = (
        Paragraph(HAPPENS, _happens_texts(group)),
        Paragraph(SURE, _field_texts(group, "sure")),
        Paragraph(WHY, _field_texts(group, "why")),
        Paragraph(COSTS, _field_texts(group, "costs")),
    )
    return [part for part in parts if part.texts]


def _field_texts(group: FindingGroup, name: str) -> list[str]:
    return with_labels(distinct_texts(group.members, lambda one: str(getattr(one, name))))


def with_labels(found: Iterable[tuple[str, str]]) -> list[str]:
    """Write (label, text) pairs, each text behind its label."""
    return [f"{about}: {text}" if about else text for about, text in found]


def as_sentence(text: str) -> str:
    """Make a clause a sentence."""
    return f"{text[:1].upper()}{text[1:].rstrip('.')}." if text else ""


def in_words(fix: Fix) -> str:
    """Write a change that has no lines to copy."""
    return ": ".join(filter(None, [fix.where, fix.note]))


def checks(diagnosis: Diagnosis) -> Iterator[tuple[State, str]]:
    """Yield (state, line) of checks, bad ones first. A line that several hops share comes once, with their names."""
    alone = len(diagnosis.hops) == 1
    for state, template in STATES.items():
        mine = [one for one in diagnosis.checks if one.state == state]
        for some in group_by(mine, lambda one: (one.name, mask_numbers(one.said))).values():
            yield state, f"{_check_name(some, template, alone=alone)}: {some[0].said}"


def good_checks(diagnosis: Diagnosis) -> str:
    """Name all checks that are in order, in one line; "" where none is."""
    by_name = group_by((one for one in diagnosis.checks if one.state == "good"), lambda one: one.name)
    names = [_check_name(some, "{}", alone=len(some) == len(diagnosis.hops)) for some in by_name.values()]
    return f"In order: {', '.join(names)}." if names else ""


def _check_name(some: Sequence[Check], template: str, *, alone: bool) -> str:
    name = template.format(some[0].name)
    return name if alone else f"{name} ({', '.join(one.hop for one in some)})"


def measurement_notes(diagnosis: Diagnosis) -> list[str]:
    """Say how far the numbers can be believed, and by what and when they were made."""
    made = f"streambench {diagnosis.version}, {diagnosis.created}"
    return [line for line in (diagnosis.floor.sentence, *diagnosis.notes, made) if line]
