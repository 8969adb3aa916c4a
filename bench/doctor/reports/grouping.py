"""Group what says the same, to say it once: a proxy that buffers does it to every API and mode."""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeVar

from bench.core.scenario import Api
from bench.doctor.diagnosis import ABSENT, HEALTHY, UNDECIDED, Finding, Verdict, group_by

_UNITS = "ms|s|µs|[KMk]?i?B|%|bytes?|characters?|tokens?|events?|deltas?|lumps?|pieces?|answers?|beats?"
_NUMBER = re.compile(rf"[+-]?\d[\d.,]*(?: ?(?:{_UNITS})(?!\w))?")
_RANGE = re.compile("#(?: (?:to|±|of) #)+")


class HasMode(Protocol):
    """A finding, a difference or a delay: each is of one API and mode."""

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
        """The finding whose numbers are told."""
        return self.members[0]

    @property
    def hop(self) -> str:
        """The hop of all members."""
        return self.first.hop

    @property
    def verdict(self) -> Verdict:
        """The verdict of all members."""
        return self.first.verdict

    @property
    def label(self) -> str:
        """The APIs and modes of all members."""
        return modes_label(self.members)


def groups(findings: Iterable[Finding]) -> list[FindingGroup]:
    """Group findings: bad ones first, then those that are undecided, those that are not offered, and healthy ones."""
    found = [FindingGroup(members=members) for members in group_by(findings, _key).values()]
    return sorted(found, key=lambda group: rank(group.verdict))


def rank(verdict: Verdict) -> int:
    """Return the place of a verdict in the order of reading: 0 is first."""
    return {UNDECIDED: 1, ABSENT: 2, HEALTHY: 3}.get(verdict, 0)


def _key(finding: Finding) -> Hashable:
    # What to change must be the same to the letter; numbers in the cause were measured, and never are.
    change = tuple((fix.where, *fix.lines, mask_numbers(fix.note)) for fix in finding.change)
    return finding.hop, finding.verdict, mask_numbers(finding.why), change


def mask_numbers(text: str) -> str:
    """Replace the numbers of a text, their units and what they count, by #; a range is a number."""
    return _RANGE.sub("#", _NUMBER.sub("#", text))


def distinct_texts(things: Sequence[Entry], text: Callable[[Entry], str]) -> list[tuple[str, str]]:
    """Return (APIs and modes, text) of each text, once for all that differ in numbers only.

    Where a text is said of all things, its APIs and modes are "".
    """
    known = [*group_by((one for one in things if text(one)), lambda one: mask_numbers(text(one))).values()]
    alone = len(known) == 1 and len(known[0]) == len(things)
    return [("" if alone else modes_label(some), text(some[0])) for some in known]


def modes_label(things: Iterable[HasMode]) -> str:
    """`responses, text`; `responses (text, tools)`; `responses and chat (text, tools, structured)`."""
    by_api = group_by(things, lambda one: one.api)
    by_modes = group_by(by_api, lambda api: tuple(one.mode for one in by_api[api]))
    return " and ".join(
        f"{apis[0]}, {modes[0]}" if len(apis) == len(modes) == 1 else f"{' and '.join(apis)} ({', '.join(modes)})"
        for modes, apis in by_modes.items()
    )


def own_numbers(group: FindingGroup) -> str:
    """Say whose numbers are told, where those of the others are not the same."""
    texts = [(one.happens, one.sure, one.why, one.costs) for one in group.members]
    if len(set(texts)) == 1:
        return ""
    alike = len({tuple(map(mask_numbers, some)) for some in texts}) == 1
    return f"(The numbers are those of {group.first.label if alike else 'the first one named'}; the others are alike.)"
