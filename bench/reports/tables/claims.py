"""The claims put to the test, as text: the same words in the terminal, in Markdown and in HTML."""

from __future__ import annotations

import textwrap

from bench.core.summary import Claim, ClaimPart

TITLE = "What is said about streaming, put to the test"
HEADS = ("claim", "case", "verdict", "estimate", "n", "why")
UNTESTED = "NOT TESTABLE HERE"


def lead(claim: Claim) -> ClaimPart | None:
    """The part that decided: the first with the verdict of the whole."""
    return next((part for part in claim.parts if part.verdict == claim.verdict), next(iter(claim.parts), None))


def in_short(claim: Claim, room: int) -> list[str]:
    """The statement; where it does not simply hold, in a second line of `room` characters the number, and why."""
    part, said = lead(claim), claim.statement.rstrip(".")
    if part is None:
        return [said]
    if claim.verdict == "HOLDS":
        return [f"{said} (n={part.n})"]
    return [said, _fitting(_number(claim, part), part.reason, room)]


def in_a_line(claim: Claim, room: int) -> str:
    """The statement, shortened where need be, and the number that decided behind it."""
    part, said = lead(claim), claim.statement.rstrip(".")
    if claim.verdict == "HOLDS" or part is None or not part.estimate:
        return said if part is None or not part.n else f"{said} (n={part.n})"
    number = _number(claim, part)
    return f"{textwrap.shorten(said, max(20, room - len(number) - 2), placeholder=' …')}: {number}"


def _number(claim: Claim, part: ClaimPart) -> str:
    """`text: +70.3 % [+69.9, +70.8], n=36`, the case only where there are several; empty without an estimate."""
    if not part.estimate:
        return ""
    case = f"{part.subject}: " if len(claim.parts) > 1 else ""
    return f"{case}{part.estimate}, n={part.n}"


def _fitting(number: str, reason: str, room: int) -> str:
    """The number and as many clauses of the reason as there is room for: the first ones say most."""
    first, *rest = [number, *reason.split("; ")] if number else reason.split("; ")
    line = textwrap.shorten(first, room, placeholder=" …")
    for clause in rest:
        if len(line) + len(clause) + 2 > room:
            break
        line += f"; {clause}"
    return line


def rows(claim: Claim) -> list[tuple[str, str, str, str, str, str]]:
    """Texts under HEADS: a line for each part, and where there are several one for the whole above them."""
    if not claim.parts:
        return [(claim.statement, "", claim.verdict, "", "", "")]
    parts = [
        ("", part.subject, part.verdict, part.estimate, str(part.n) if part.n else "", part.reason)
        for part in claim.parts
    ]
    whole = (claim.statement, "all together", claim.verdict, "", "", "")
    return [whole, *parts] if len(parts) > 1 else [(claim.statement, *parts[0][1:])]
