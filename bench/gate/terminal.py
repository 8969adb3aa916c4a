"""The verdicts for people: one line each, and a line for all of them together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO, cast

from rich.console import Console
from rich.text import Text

from bench.core.text.terminal import escape_control, to_devnull
from bench.gate.condition import Decision

STYLES = {"PASS": "green", "FAIL": "bold red", "UNDECIDED": "yellow"}
EXIT_FAILED, EXIT_NOTHING, EXIT_UNDECIDED = 1, 2, 4


class _Console(Console):
    """Goes on where nobody reads it: rich would end the process, with the exit code of a failed condition."""

    def on_broken_pipe(self) -> None:
        self.quiet = True
        to_devnull(cast("TextIO", self.file))


def write(judged: Sequence[Decision], errors: Sequence[str], stream: TextIO, *, allow_undecided: bool) -> None:
    """Print the verdicts in the order of the conditions, in colours on a terminal; nothing without conditions."""
    if not (judged or errors):
        return
    console = _Console(file=stream, soft_wrap=True, highlight=False, color_system="auto" if stream.isatty() else None)
    console.print()
    wide = max((len(one.condition) for one in judged), default=0)
    for one in judged:
        verdict = Text(f"{one.verdict:<9}", style=STYLES[one.verdict])
        said = escape_control(
            f"  {one.condition:<{wide}}  {one.subject}: {one.sentence}", " "
        )  # a server's text may be in it
        console.print(Text.assemble(verdict, said))
    for error in errors:
        console.print(Text.assemble(Text("ERROR    ", style=STYLES["FAIL"]), escape_control(f"  {error}", " ")))
    console.print(Text(f"gate: {outcome(judged, errors, allow_undecided=allow_undecided)}"))
    stream.flush()


def outcome(judged: Sequence[Decision], errors: Sequence[str], *, allow_undecided: bool) -> str:
    """Count the verdicts: `1 failed, 2 undecided, 3 passed`, and what that means."""
    counts = {verdict: sum(one.verdict == verdict for one in judged) for verdict in STYLES}
    words = {"FAIL": "failed", "UNDECIDED": "undecided", "PASS": "passed"}
    said = [f"{counts[verdict]} {word}" for verdict, word in words.items() if counts[verdict]]
    said += [f"{len(errors)} about nothing that was measured"] if errors else []
    allowed = counts["UNDECIDED"] and allow_undecided
    return ", ".join(said) + (" (undecided ones are allowed)" if allowed else "")


def exit_code(judged: Sequence[Decision], errors: Sequence[str], *, allow_undecided: bool) -> int:
    """Return 2 if a condition is a mistake, else 1 if one failed, else 4 if one is open and that is not allowed."""
    verdicts = {one.verdict for one in judged}
    if errors:
        return EXIT_NOTHING
    if "FAIL" in verdicts:
        return EXIT_FAILED
    return EXIT_UNDECIDED if "UNDECIDED" in verdicts and not allow_undecided else 0


def worst_first(judged: Sequence[Decision]) -> list[Decision]:
    """Sort failed before undecided before passed; of the failed the farthest beyond its limit first."""
    places = {"FAIL": 0, "UNDECIDED": 1, "PASS": 2}
    return sorted(judged, key=lambda one: (places[one.verdict], -one.excess))
