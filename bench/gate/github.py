"""Show the verdicts in GitHub Actions: the step's summary, and annotations of the workflow run."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from bench.core.results.summary import Summary
from bench.core.text.terminal import say
from bench.gate.condition import Decision
from bench.gate.terminal import outcome, worst_first
from bench.reports.markdown import render_markdown, text

SUMMARY, ACTIONS = "GITHUB_STEP_SUMMARY", "GITHUB_ACTIONS"
MOST_ANNOTATIONS = 10
"""GitHub shows no more of each kind for a step."""
LARGEST = 2**20
"""Bytes of a step's summary; GitHub drops a larger one as a whole."""
MOST_ROWS = 200
LONGEST = 1000
"""Characters of an annotation."""


def tell(
    summary: Summary, judged: Sequence[Decision], errors: Sequence[str], stream: TextIO, *, allow_undecided: bool
) -> None:
    """Tell GitHub the verdicts where GitHub runs this. A summary that cannot be written is said, and fails nothing."""
    if os.environ.get(ACTIONS) == "true":
        stream.writelines(f"{line}\n" for line in commands(judged, errors, allow_undecided=allow_undecided))
        stream.flush()
    if file := os.environ.get(SUMMARY):
        _append(Path(file), step_summary(summary, judged, errors, allow_undecided=allow_undecided))


def _append(file: Path, markdown: str) -> None:
    try:
        room = LARGEST - (file.stat().st_size if file.exists() else 0)
        if len(markdown.encode()) >= room:
            say(f"{SUMMARY}: the report does not fit below the 1 MiB that a step may have; it was left out")
            return
        with file.open("a", encoding="utf-8") as stream:
            stream.write(markdown)
    except OSError as error:
        say(f"{SUMMARY}: {file} cannot be written ({error.strerror}); the verdicts are not in the step's summary")


def step_summary(summary: Summary, judged: Sequence[Decision], errors: Sequence[str], *, allow_undecided: bool) -> str:
    """Write Markdown: the gate's table, worst first, then the report."""
    return "\n".join([*_table(judged, errors, allow_undecided=allow_undecided), render_markdown(summary), ""])


def _table(judged: Sequence[Decision], errors: Sequence[str], *, allow_undecided: bool) -> Iterator[str]:
    if not (judged or errors):
        return
    yield from (f"## Gate: {outcome(judged, errors, allow_undecided=allow_undecided)}", "")
    yield from ("| verdict | condition | of | why |", "| --- | --- | --- | --- |")
    for error in errors:
        yield f"| **ERROR** | {text(error)} | | |"
    for one in worst_first(judged)[:MOST_ROWS]:
        yield f"| **{one.verdict}** | {text(one.condition)} | {text(one.subject)} | {text(one.sentence)} |"
    yield ""
    if len(judged) > MOST_ROWS:
        yield from (f"… and {len(judged) - MOST_ROWS} more.", "")


def commands(judged: Sequence[Decision], errors: Sequence[str], *, allow_undecided: bool) -> list[str]:
    """List workflow commands for conditions that did not pass: at most ten, worst first."""
    told = [_command("error", "streambench gate", error) for error in errors]
    for one in worst_first(judged):
        if one.verdict == "FAIL" or (one.verdict == "UNDECIDED" and not allow_undecided):
            kind = "error" if one.verdict == "FAIL" else "warning"
            told.append(_command(kind, f"{one.verdict} {one.condition}", f"{one.subject}: {one.sentence}"))
    return told[:MOST_ANNOTATIONS]


def _command(kind: str, title: str, message: str) -> str:
    title, message = (
        text[:LONGEST].replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A") for text in (title, message)
    )
    return f"::{kind} title={title.replace(':', '%3A').replace(',', '%2C')}::{message}"
