"""What scenarios record is shown side by side in every report, and numbers read as what they are."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.analysis.wording import with_interval
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from bench.records import journal as records
from bench.records.journal import Journal, columns_of
from bench.reports.html import render_html
from bench.reports.markdown import render_markdown
from bench.reports.tables.recorded import natural, recorded_lines
from bench.reports.terminal.columns import fold
from bench.reports.terminal.report import render_terminal
from tests.support.synthetic import Truth, make_run

LONG = "chat_structured_output"


def run_with(folder: Path, numbers: dict[str, tuple[str, float]]) -> Summary:
    """A run whose streamed trials recorded these, by name: unit and value."""
    run = make_run(folder / "run", [Truth(scenario=LONG)], pairs=8, finish=False, memory=False)
    trials = records.read(run)["trials"].to_pylist()
    streamed = [trial["trial_id"] for trial in trials if trial["delivery"] == "streamed"]
    journal = Journal(run)
    for name, (unit, value) in numbers.items():
        rows = [{"trial_id": trial, "name": name, "unit": unit, "value": value} for trial in streamed]
        journal.write({"metrics": columns_of("metrics", rows)})
    journal.close()
    return build(run)


@pytest.mark.slow
def test_what_was_recorded_is_in_every_report(tmp_path: Path) -> None:
    """Name, both deliveries and n, in the terminal, Markdown and HTML; turn 2 stands before turn 10."""
    summary = run_with(tmp_path, {"turn10.wait": ("ms", 9.0), "turn2.wait": ("ms", 1500.0), "rounds": ("requests", 3)})
    lines = {line.name: line for line in recorded_lines(summary)}
    assert list(lines) == ["mark.searched", "rounds", "turn2.wait", "turn10.wait"]
    assert lines["turn2.wait"].texts == ("turn2.wait", "1.50 s [1.50, 1.50]", "", "8")
    assert lines["rounds"].streamed == "3 requests [3, 3]"
    assert lines["mark.searched"].blocking.endswith("]")
    for text in (render_terminal(summary), render_markdown(summary), render_html(summary)):
        assert "1.50 s [1.50, 1.50]" in text


def test_a_yes_or_no_is_a_share(tmp_path: Path) -> None:
    """Of a number with the unit `0 or 1` the share of yes is shown, for a median would hide the few."""
    [line] = [line for line in recorded_lines(run_with(tmp_path, {"resumed": ("0 or 1", 1)})) if line.name == "resumed"]
    assert line.streamed == "100.0 % [63.1, 100.0]"


def test_the_name_of_a_metric_of_ours_is_told_apart(tmp_path: Path) -> None:
    """A number recorded under such a name is shown as recorded, and neither hides the other."""
    assert "recorded.total" in {line.name for line in recorded_lines(run_with(tmp_path, {"total": ("ms", 7)}))}


def test_the_terminal_shows_the_first_lines_only(tmp_path: Path) -> None:
    """What does not fit is counted, and Markdown has it."""
    summary = run_with(tmp_path, {f"number{i}": ("ms", i) for i in range(1, 40)})
    text = render_terminal(summary)
    shown = len(re.findall(r"\bnumber\d+ ", text))
    assert 0 < shown < 39
    assert f"… and {39 - shown} more recorded numbers: report.md lists them" in text  # mark.searched is shown
    assert "number39 " in render_markdown(summary)


def test_a_long_name_is_broken_where_its_words_end(tmp_path: Path) -> None:
    """No name is cut, and none is broken inside of a word; where there is no room beside it, numbers stand below."""
    summary = run_with(tmp_path, {})
    assert f"\n{LONG}  " in render_terminal(summary, 100)
    assert f"\n{LONG}\n  pairs: 8; " in render_terminal(summary, 80)
    assert fold(LONG, 20) == "chat_structured_\noutput"


def test_only_a_word_without_an_end_is_broken_inside() -> None:
    """At the longest that is allowed."""
    assert fold("x" * 25, 20) == "x" * 20 + "\n" + "x" * 5
    assert fold("text tokens=100, 36 pairs", 20) == "text tokens=100, 36\npairs"


def test_names_are_in_the_order_of_their_numbers() -> None:
    """Letters by letters, numbers by size."""
    assert sorted(["b", "a10", "a9", "a"], key=natural) == ["a", "a9", "a10", "b"]


def row(unit: str, estimate: float, low: float, high: float) -> Row:
    """A paired number."""
    key = ("s", "", "responses", "sim", "m", "sdk", "c=1", "paired")
    return Row(*key, "overhead", unit, "hl", 36, 0, estimate, low, high, "")


@pytest.mark.parametrize(
    ("ratio", "text"),
    [
        ((0.02, 0.01, 0.03), "+2.0 % [+1.0, +3.0]"),
        ((8.5, 8.0, 9.5), "+850.0 % [+800.0, +950.0]"),
        ((11.0, 10.5, 12.25), "×12 [×11.5, ×13.2]"),
    ],
)
def test_more_than_ten_times_as_long_is_a_factor(ratio: tuple[float, float, float], text: str) -> None:
    """A percentage of four digits says little."""
    assert with_interval(row("ratio", *ratio)) == text
