"""Make a claim from its parts: what all claims have in common."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from bench.core.results.summary import Cell, Claim, ClaimPart, ClaimVerdict
from bench.stats.hypotheses import holm_adjusted
from bench.stats.intervals import ALPHA

HOLDS: ClaimVerdict = "HOLDS"
REFUTED: ClaimVerdict = "REFUTED"
UNDECIDED: ClaimVerdict = "NOT ENOUGH DATA"
UNTESTABLE: ClaimVerdict = "NOT TESTABLE HERE"
DECIDED = (HOLDS, REFUTED)


@dataclass(frozen=True)
class Draft:
    """A part before it is known how many others were tested."""

    part: ClaimPart
    p: float | None = None
    """Two-sided, of the test that decides its verdict; None: no test, or an exact count."""


def make_claim(name: str, statement: str, test: str, drafts: Sequence[Draft]) -> Claim:
    """Build the claim. Parts whose Holm-adjusted p exceeds 5 % become UNDECIDED."""
    parts = correct_parts(drafts)
    return Claim(name, statement, overall(parts), test, parts)


def correct_parts(drafts: Sequence[Draft]) -> tuple[ClaimPart, ...]:
    """Correct the parts for each other: a part whose Holm-adjusted p exceeds 5 % is not decided."""
    tested = [draft.p for draft in drafts if draft.p is not None]
    adjusted = iter(holm_adjusted(tested))
    return tuple(
        _correct_part(draft, next(adjusted), len(tested)) if draft.p is not None else draft.part for draft in drafts
    )


def _correct_part(draft: Draft, p: float, tests: int) -> ClaimPart:
    part = draft.part
    if part.verdict not in DECIDED or p <= ALPHA:
        return part
    doubt = f"it would be {part.verdict}, but not beyond doubt where {tests} are tested (Holm p = {p:.2f})"
    return ClaimPart(part.subject, UNDECIDED, part.estimate, part.n, f"{doubt}; {part.reason}", part.curve)


def overall(parts: Sequence[ClaimPart]) -> ClaimVerdict:
    """Return the verdict of all parts: one refuted part refutes the claim; it holds only where every part does."""
    found = {part.verdict for part in parts}
    if REFUTED in found:
        return REFUTED
    if found <= {UNTESTABLE}:
        return UNTESTABLE
    return HOLDS if found == {HOLDS} else UNDECIDED


def untestable(subject: str, reason: str) -> Draft:
    """Draft a part of which nothing can be seen in this run."""
    return Draft(ClaimPart(subject, UNTESTABLE, "", 0, reason))


def unusable(cell: Cell) -> str:
    """Return why nothing may be concluded from this cell; empty where something may."""
    if cell.unsupported:
        return f"the target does not do it: {cell.unsupported}"
    if cell.invalid:
        return f"its numbers are invalid: {cell.invalid}"
    return f"the client was late, so it shows the client: {cell.saturated}" if cell.saturated else ""


def number(x: float) -> str:
    """Write three digits, never in powers of ten."""
    return f"{x:.0f}" if abs(x) >= 100 else f"{x:.1f}" if abs(x) >= 10 else f"{x:.2f}"


def count_text(n: int, what: str) -> str:
    """Write a number with its noun: `1 pair`, `1,200 pairs`."""
    return f"{n:,} {what}{'' if n == 1 else 's'}"


def trial_list(trial_ids: Sequence[int], shown: int = 5) -> str:
    """List the first trials: `trials 3, 8 and 12 more`."""
    more = f" and {len(trial_ids) - shown} more" if len(trial_ids) > shown else ""
    return f"trial{'' if len(trial_ids) == 1 else 's'} {', '.join(map(str, trial_ids[:shown]))}{more}"
