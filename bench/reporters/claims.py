"""The claims put to the test, as text: the same words in the terminal, in Markdown and in HTML."""

from __future__ import annotations

from bench.summary import Claim, ClaimPart

TITLE = "What is said about streaming, put to the test"
HEADS = ("claim", "verdict", "estimate", "n", "why")


def lead(claim: Claim) -> ClaimPart | None:
    """The part that decided: the first with the verdict of the whole."""
    return next((part for part in claim.parts if part.verdict == claim.verdict), next(iter(claim.parts), None))


def in_short(claim: Claim) -> list[str]:
    """The statement; where it does not simply hold also the number of the part that decided, and why."""
    part, said = lead(claim), claim.statement.rstrip(".")
    if part is None:
        return [said]
    if claim.verdict == "HOLDS":
        return [f"{said} (n={part.n})"]
    if not part.estimate:
        return [f"{said}: {part.reason}"]
    several = f"{part.subject}: " if len(claim.parts) > 1 else ""
    return [f"{said}: {several}{part.estimate}, n={part.n}", part.reason]


def rows(claim: Claim) -> list[tuple[str, str, str, str, str]]:
    """Texts under HEADS: a line for each part."""
    if not claim.parts:
        return [(claim.statement, claim.verdict, "", "", "")]
    subjects = [claim.statement.rstrip("."), *[""] * (len(claim.parts) - 1)]
    return [
        (f"{said} ({part.subject})".strip(), part.verdict, part.estimate, str(part.n) if part.n else "", part.reason)
        for said, part in zip(subjects, claim.parts, strict=True)
    ]
