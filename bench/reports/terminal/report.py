"""Write the report for a terminal: at most 100 columns and 40 lines, plain when piped."""

from __future__ import annotations

from collections.abc import Sequence

from bench.core.results.comparison import Comparison
from bench.core.results.summary import Summary
from bench.core.text.terminal import escape_control
from bench.reports.terminal.columns import paragraph
from bench.reports.terminal.fit import TextLine, fit
from bench.reports.terminal.sections import sections, title

__all__ = ["render_terminal", "styled_line", "title"]
WIDEST = 100
MOST_LINES = 40
NARROWEST = 40
STYLES = {"bold": "1", "dim": "2", "green": "1;32", "yellow": "1;33", "red": "1;31"}
"""What the terminal is told for a style."""


def render_terminal(
    summary: Summary,
    width: int = WIDEST,
    *,
    color: bool = False,
    where: str = "",
    compared: Sequence[Comparison] = (),
) -> str:
    """Render the answer first, then the cells side by side, then what to know about them.

    `where`: the folder that has the whole report, for the last line. `compared`: with other runs.
    """
    width = max(NARROWEST, min(width, WIDEST))
    last = paragraph(f"more: {where}/report.html, report.md", width, most=2) if where else []
    room = MOST_LINES - len(last)
    lines = fit(sections(summary, compared, width, brief=False), MOST_LINES * 10, width)
    if len(lines) > room:
        lines = fit(sections(summary, compared, width, brief=True), room, width)
    return "".join(f"{styled_line(line, color=color)}\n" for line in (*lines, *last))


def styled_line(line: TextLine, *, color: bool) -> str:
    """Return the line with its colours, without control characters that a server may have put in."""
    text = escape_control(line.text).rstrip()
    return f"\x1b[{STYLES[line.style]}m{text}\x1b[0m" if color and line.style and text else text
