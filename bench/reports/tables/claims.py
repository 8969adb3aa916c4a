"""Put the claims and their verdicts in words, the same in the terminal, in Markdown and in HTML."""

from __future__ import annotations

import textwrap

from bench.core.results.summary import Claim, ClaimPart

TITLE = "What is said about streaming, put to the test"
HEADS = ("claim", "case", "verdict", "estimate", "n", "why")
UNTESTED = "NOT TESTABLE HERE"


def lead(claim: Claim) -> ClaimPart | None:
    """Return the part that decided: the first with the verdict of the whole claim."""
    return next((part for part in claim.parts if part.verdict == claim.verdict), next(iter(claim.parts), None))


def in_short(claim: Claim, room: int) -> list[str]:
    """Return the statement and, unless the claim holds, a line of `room` characters with the number and the reason."""
    part, said = lead(claim), claim.statement.rstrip(".")
    if part is None:
        return [said]
    if claim.verdict == "HOLDS":
        return [f"{said} (n={part.n})"]
    return [said, _fitting(_number(claim, part), part.reason, room)]


def in_a_line(claim: Claim, room: int) -> str:
    """Return the statement, shortened to fit, with the number that decided behind it."""
    part, said = lead(claim), claim.statement.rstrip(".")
    if claim.verdict == "HOLDS" or part is None or not part.estimate:
        return said if part is None or not part.n else f"{said} (n={part.n})"
    number = _number(claim, part)
    return f"{textwrap.shorten(said, max(20, room - len(number) - 2), placeholder=' …')}: {number}"


def _number(claim: Claim, part: ClaimPart) -> str:
    """Return `text: +70.3 % [+69.9, +70.8], n=36`, the case only where there are several; "" without an estimate."""
    if not part.estimate:
        return ""
    case = f"{part.subject}: " if len(claim.parts) > 1 else ""
    return f"{case}{part.estimate}, n={part.n}"


def _fitting(number: str, reason: str, room: int) -> str:
    """Join the number and as many clauses of the reason as fit; the first ones say most."""
    first, *rest = [number, *reason.split("; ")] if number else reason.split("; ")
    line = textwrap.shorten(first, room, placeholder=" …")
    for clause in rest:
        if len(line) + len(clause) + 2 > room:
            break
        line += f"; {clause}"
    return line


def rows(claim: Claim) -> list[tuple[str, str, str, str, str, str]]:
    """Return the texts under HEADS: a line for each part, above several of them one for the whole claim."""
    if not claim.parts:
        return [(claim.statement, "", claim.verdict, "", "", "")]
    parts = [
        ("", part.subject, part.verdict, part.estimate, str(part.n) if part.n else "", part.reason)
        for part in claim.parts
    ]
    whole = (claim.statement, "all together", claim.verdict, "", "", "")
    return [whole, *parts] if len(parts) > 1 else [(claim.statement, *parts[0][1:])]
