"""Write `compare.md`: a comparison where Markdown is read."""

from __future__ import annotations

from collections.abc import Iterator

from bench.core.results.comparison import Comparison
from bench.reports.markdown import text
from bench.reports.tables import changes as words

MOST_ROWS = 100
MOST_NOTES = 30


def render_markdown(comparison: Comparison) -> str:
    """Write the comparison in Markdown, at most `MOST_ROWS` changes."""
    return "\n".join(_lines(comparison)) + "\n"


def _lines(comparison: Comparison) -> Iterator[str]:
    yield f"# {text(comparison.current.name)} against {text(comparison.baseline.name)}"
    yield ""
    for side, what in ((comparison.baseline, "baseline"), (comparison.current, "current")):
        yield f"- {what} **{text(side.name)}**: {text(side.detail)}"
    yield ""
    yield from (f"> **Careful:** {text(mark)}\n" for mark in comparison.watermarks)
    yield from (text(words.sentence(comparison)), "")
    shown = words.select_shown(comparison).changes
    yield from (f"| {' | '.join(words.HEADS)} |", "| --- | ---: | ---: | ---: | ---: | --- |")
    yield from (f"| {' | '.join(map(text, words.fields(change)))} |" for change in shown[:MOST_ROWS])
    yield ""
    if len(shown) > MOST_ROWS:
        yield f"… and {len(shown) - MOST_ROWS} more, in `compare.json`."
    found = words.counts(shown)
    yield f"{words.counts_text(found)}; {words.chance_text(found)}. {words.capital(words.resolution_text(comparison))}."
    yield ""
    yield from (f"- {text(line)}" for line in comparison.unmatched)
    yield from (f"- {text(line)}" for line in list(words.notes(shown))[:MOST_NOTES])
