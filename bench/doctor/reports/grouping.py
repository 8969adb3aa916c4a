"""What says the same is told once: a proxy that buffers does it to every API and mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench.core.scenario import Api
from bench.doctor.diagnosis import ABSENT, HEALTHY, UNDECIDED, Finding, Verdict

_UNITS = "ms|s|µs|[KMk]?i?B|%|bytes?|characters?|tokens?|events?|deltas?|lumps?|pieces?|answers?|beats?"
_NUMBER = re.compile(rf"[+-]?\d[\d.,]*(?: ?(?:{_UNITS})(?!\w))?")
_RANGE = re.compile("#(?: (?:to|±|of) #)+")


class HasMode(Protocol):
    """A finding, a difference, or what was added: each is of one API and mode."""

    @property
    def api(self) -> Api: ...
    @property
    def mode(self) -> str: ...


Thing = TypeVar("Thing")
Entry = TypeVar("Entry", bound=HasMode)


@dataclass(frozen=True, kw_only=True)
class FindingGroup:
    """Findings of one hop with the same verdict, cause and change."""

    members: Sequence[Finding]

    @property
    def first(self) -> Finding:
        """The one whose numbers are told."""
        return self.members[0]

    @property
    def hop(self) -> str:
        """All are of it."""
        return self.first.hop

    @property
    def verdict(self) -> Verdict:
        """All have it."""
        return self.first.verdict

    @property
    def label(self) -> str:
        """All their APIs and modes."""
        return modes_label(self.members)


def groups(findings: Iterable[Finding]) -> list[FindingGroup]:
    """Bad ones first, then those that are undecided, those that are not offered, and the healthy ones."""
    found = [FindingGroup(members=members) for members in group_by(findings, _key)]
    return sorted(found, key=lambda group: rank(group.verdict))


def rank(verdict: Verdict) -> int:
    """What is to be read first."""
    return {UNDECIDED: 1, ABSENT: 2, HEALTHY: 3}.get(verdict, 0)


def _key(finding: Finding) -> Hashable:
    """What to change must be the same to the letter; numbers in the cause were measured, and never are."""
    change = tuple((fix.where, *fix.lines, mask_numbers(fix.note)) for fix in finding.change)
    return finding.hop, finding.verdict, mask_numbers(finding.why), change


def mask_numbers(text: str) -> str:
    """Without its numbers, their units and what they count; a range is a number."""
    return _RANGE.sub("#", _NUMBER.sub("#", text))


def group_by(things: Iterable[Thing], key: Callable[[Thing], Hashable]) -> list[list[Thing]]:
    """Those with the same key, in the order of the first of each."""
    found: dict[Hashable, list[Thing]] = {}
    for thing in things:
        found.setdefault(key(thing), []).append(thing)
    return list(found.values())


def distinct_texts(things: Sequence[Entry], text: Callable[[Entry], str]) -> list[tuple[str, str]]:
    """What is said of some and the APIs and modes that it is said of, once for all that differ in numbers only.

    Where it is said of all alike, nothing is named.
    """
    known = group_by((one for one in things if text(one)), lambda one: mask_numbers(text(one)))
    alone = len(known) == 1 and len(known[0]) == len(things)
    return [("" if alone else modes_label(some), text(some[0])) for some in known]


def modes_label(things: Iterable[HasMode]) -> str:
    """`responses, text`; `responses (text, tools)`; `responses and chat (text, tools, structured)`."""
    modes: dict[str, list[str]] = {}
    for thing in things:
        modes.setdefault(thing.api, []).append(thing.mode)
    alike = group_by(modes, lambda api: tuple(modes[api]))
    return " and ".join(_label(apis, modes[apis[0]]) for apis in alike)


def _label(apis: Sequence[str], modes: Sequence[str]) -> str:
    single = len(apis) == len(modes) == 1
    return f"{apis[0]}, {modes[0]}" if single else f"{' and '.join(apis)} ({', '.join(modes)})"


def own_numbers(group: FindingGroup) -> str:
    """Whose numbers are told, where those of the others are not the same."""
    texts = [(one.happens, one.sure, one.why, one.costs) for one in group.members]
    if len(set(texts)) == 1:
        return ""
    alike = len({tuple(map(mask_numbers, some)) for some in texts}) == 1
    return f"(The numbers are those of {group.first.label if alike else 'the first one named'}; the others are alike.)"
