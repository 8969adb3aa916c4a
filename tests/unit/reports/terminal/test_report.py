"""The table on the terminal: at most 40 lines of 100 columns for any run, and what is left out is counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.analysis.build import build
from bench.core.results.comparison import Change, Comparison, Ranking, RankingEntry, Side
from bench.core.results.row import Row
from bench.core.results.summary import Summary
from bench.reports.tables.times import ColumnHead
from bench.reports.terminal.columns import columns_of, paragraph, table
from bench.reports.terminal.fit import TextLine, TextSection, fit
from bench.reports.terminal.report import render_terminal
from tests.support.shelf import Shelf
from tests.support.synthetic import Truth, make_run
from tests.unit.reports.test_reports import CLAIMS

COUNTED = re.compile(r"^… and (\d+) more ", re.MULTILINE)


@pytest.fixture(scope="module")
def summary(shelf: Shelf) -> Summary:
    """Three scenarios, some failures, and a run that checked itself."""
    return shelf.summary("example")


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """31 cells, every third with a failure."""
    cells = [
        Truth(scenario=f"scenario_number_{i}", fail={("streamed", 1): "http_5xx"} if i % 3 == 0 else {})
        for i in range(31)
    ]
    return build(make_run(tmp_path_factory.mktemp("run") / "many", cells, pairs=6, memory=False))


@pytest.fixture(scope="module")
def swept(shelf: Shelf) -> Summary:
    """Six loads in both deliveries, the highest too much."""
    return shelf.summary("swept")


def fits(text: str, width: int = 100) -> bool:
    """Whether the text is small enough, and plain."""
    lines = text.splitlines()
    return len(lines) <= 40 and max(map(len, lines)) <= width and "\x1b" not in text


def change(number: int, ratio: float | None = 0.1) -> Change:
    """Of a cell called by that number."""
    key = (f"scenario_{number}", "", "responses", "sim", "m", "sdk", "c=1")
    row = Row(*key, "streamed", "ttft", "ms", "p50", 36, 0, 120.0, 118.0, 122.0, "")
    low, high = (None, None) if ratio is None else (ratio - 0.02, ratio + 0.02)
    return Change(
        key=row.key,
        label=row.scenario,
        delivery=row.delivery,
        metric=row.metric,
        unit=row.unit,
        statistic=row.statistic,
        better="lower",
        method="unpaired",
        baseline=row,
        current=row,
        ratio=ratio,
        low=low,
        high=high,
        difference=None,
        difference_low=None,
        difference_high=None,
        n=36,
        note="not measured in the baseline" if ratio is None else "",
    )


def compared(changes: int) -> Comparison:
    """With a stored run."""
    found = tuple(change(number) for number in range(changes))
    return Comparison("runs", Side("before", ""), Side("after", ""), found, ("another machine",))


def with_everything(summary: Summary) -> Summary:
    """All kinds of sections at once, each as long as it gets."""
    ranked = RankingEntry(summary.cells[0].key, "m", ())
    rankings = tuple(Ranking(f"scenario_{i}", (ranked,), "a is faster than b " * 9) for i in range(9))
    comparisons = (compared(90), compared(90))
    return replace(summary, rankings=rankings, comparisons=comparisons, claims=CLAIMS * 3, notes=("a note " * 40,) * 9)


def test_terminal_fits(summary: Summary, many: Summary, swept: Summary) -> None:
    """Few cells, many cells, a sweep, and with everything that there is: 40 lines of 100 columns, plain if asked."""
    for one in (summary, many, swept):
        assert fits(render_terminal(one, where="reports/r"))
        assert fits(render_terminal(with_everything(one), where="reports/r", compared=[compared(200)]))
    assert "\x1b[1m" in render_terminal(summary, color=True)


@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_has_no_longer_line(summary: Summary, width: int) -> None:
    """Where the table is too wide each row is a paragraph, whose numbers have their names."""
    text = render_terminal(summary, width)
    assert fits(text, width)
    assert "pairs: 36; whole, blocking: " in text


@pytest.mark.parametrize("model", ["通义千问-超长的模型名称" * 5, "m" * 300, "e\u0301" * 60])
def test_names_of_any_kind_fit(tmp_path: Path, model: str) -> None:
    """Wide characters count as the two columns that they take, so numbers stand below their heads; long names fold."""
    truth = Truth(model=model, host="h:1", simulated=False, target="lab", error="服务器忙" * 60)
    failed = replace(truth, model="b", fail={("streamed", 1): "http_5xx"})
    shown = build(make_run(tmp_path / "r", [truth, failed], pairs=8, memory=False))
    for width in (100, 80, 40):
        text = render_terminal(shown, width)
        assert len(text.splitlines()) <= 40
        assert max(map(columns_of, text.splitlines())) <= width
    lines = render_terminal(shown).splitlines()
    head = next(line for line in lines if line.startswith("scenario"))
    names = [line for line in lines if line.startswith("text ") and line.endswith(" of 8")]
    assert [columns_of(line) for line in names] == [len(head)] * 2
    assert lines.count("…") <= 2, "the middle of a long name is left out, and marked"


def test_no_control_character_reaches_the_terminal(summary: Summary) -> None:
    """A model's name that would clear the screen or turn the text round does neither; colours stay where asked for."""
    hostile = replace(summary, headline="real: model \x1b[2Jm\x9b2J\u202e\x07")
    assert not [char for char in render_terminal(hostile) if char != "\n" and not char.isprintable()]
    colored = render_terminal(hostile, color=True)
    assert "\x1b[1m" in colored
    assert "\x1b[2J" not in colored


def test_terminal_says_where_it_was_measured(summary: Summary) -> None:
    """The first two lines name the run, the host, the model, and that it was simulated; the last where the rest is."""
    first, second, *_, last = render_terminal(summary, where="reports/r").splitlines()
    assert "run example" in first
    assert second == "SIMULATED: embedded simulator, model sim-1, profile quick"
    assert last == "more: reports/r/report.html, report.md"


def test_each_cell_is_a_line(summary: Summary) -> None:
    """Scenario, pairs, whole, first useful, both differences with their intervals, and what failed of either."""
    lines = [line for line in render_terminal(summary).splitlines() if line.startswith("function_call ")]
    found = re.split(r"  +", lines[0])
    assert found[:4] == ["function_call", "36", "421 ms", "119 ms"]
    assert re.fullmatch(r"302 ms \[\d+, \d+\]", found[4])
    assert re.fullmatch(r"\+2\.2 % \[\+\S+, \+\S+\]", found[5])
    assert found[6] == "0 / 1 of 36"


def test_cells_left_out_are_counted(many: Summary) -> None:
    """Shown and counted make all of them."""
    text = render_terminal(many)
    table_ = text.split("seen sooner", 1)[1].split("… and", 1)[0]
    counted = re.search(r"… and (\d+) more cells: report.md lists them", text)
    assert counted
    assert len(re.findall(r"^scenario_number_\d+ ", table_, re.MULTILINE)) + int(counted[1]) == 31


def test_what_ended_the_run_is_always_shown(many: Summary) -> None:
    """However much there is to say, the line with the cost is on the terminal; the rest is counted."""
    lines = tuple(f"line {number}" for number in range(30))
    trusted = replace(many, trust=replace(many.trust, lines=(*lines, "ended: budget of 10s; cost: 3 tokens")))
    text = render_terminal(with_everything(trusted))
    assert "\ntrust: ended: budget of 10s; cost: 3 tokens\n" in text
    shown = len(re.findall(r"^trust: line", text, re.MULTILINE))
    left = f"{30 - shown} more lines of evidence" if shown else "30 lines of evidence"
    assert left in " ".join(text.split())


def test_a_sweep_keeps_its_loads_and_knees(swept: Summary) -> None:
    """Every load has a line of its own, and each knee is said."""
    lines = render_terminal(swept, where="reports/r").splitlines()
    assert [line.split()[0] for line in lines if re.match(r"rate=\d+ +streamed", line)] == [
        f"rate={rate}" for rate in (1, 2, 5, 10, 20, 40)
    ]
    assert len([line for line in lines if line.startswith("knee, ")]) == 2


def test_claims_are_lines_on_the_terminal(summary: Summary) -> None:
    """Verdict and statement; where it does not simply hold, the number that decided."""
    lines = render_terminal(replace(summary, claims=CLAIMS)).splitlines()
    place = lines.index("claims")
    assert lines[place + 1].startswith("REFUTED")
    assert "text: 71.4 % [71.1, 71.8], n=36" in " ".join(lines[place + 1 : place + 3]), "the part that decided"


def test_claims_of_which_none_can_be_tested_are_one_line(summary: Summary) -> None:
    """A run that tells nothing of them does not list them."""
    untested = tuple(replace(claim, verdict="NOT TESTABLE HERE") for claim in CLAIMS)
    lines = render_terminal(replace(summary, claims=untested)).splitlines()
    assert lines[lines.index("claims") + 1] == "NOT TESTABLE HERE  none of the 3; report.md says why"


def test_a_change_has_its_interval_or_says_why_not(summary: Summary) -> None:
    """Of a comparison with another run each line has interval and n, or n/a with the reason."""
    changes = (change(1), change(2, ratio=None))
    beside = replace(compared(0), changes=changes)
    text = render_terminal(replace(summary, claims=()), compared=[beside])
    assert "120 ms → 120 ms, +10.0 % [+8.0, +12.0], n=36: slower" in text
    assert "not measured in the baseline" in text
    assert "another machine" in text


def test_failures_of_every_class_come_first(summary: Summary) -> None:
    """Two malformed ones and a timeout: the timeout is not behind both."""
    words = [line.split(", ")[1].split(":")[0] for line in render_terminal(summary).splitlines() if "failed: " in line]
    assert words[:2] == ["malformed", "timeout"]


sections = st.lists(
    st.builds(
        lambda n, rank, least, most, apart: TextSection(
            "parts", [[TextLine("x")]] * n, [TextLine("head")], rank=rank, least=least, most=most, apart=apart
        ),
        st.integers(1, 30),
        st.integers(0, 9),
        st.integers(0, 5),
        st.integers(1, 40),
        st.booleans(),
    ),
    max_size=9,
)


@given(sections, st.integers(3, 60))
def test_lines_shown_and_counted_make_all(found: Sequence[TextSection], room: int) -> None:
    """Whatever the sections: they fit, and no item is lost unsaid."""
    shown = [line.text for line in fit(found, room)]
    assert len(shown) <= room
    said = [
        int(number) for line in shown if "…" in line or line.startswith("not") for number in re.findall(r"\d+", line)
    ]
    assert shown.count("x") + sum(said) == sum(len(section.items) for section in found)


def test_the_lowest_rank_gives_way_first() -> None:
    """One section is cut to its least before the next gives anything."""
    found = [TextSection(str(rank), [[TextLine(f"{rank}")]] * 5, rank=rank, least=2, apart=False) for rank in (2, 1)]
    assert [line.text[0] for line in fit(found, 8)] == ["2", "2", "2", "2", "2", "1", "1", "…"]


def test_a_table_folds_its_names_and_stacks_where_it_must() -> None:
    """The first column takes what is left; below 16 columns for it each row is a paragraph."""
    columns = (ColumnHead("name", ""), ColumnHead("a", "ms"), ColumnHead("b", ""))
    rows = [(["a_long_name_of_a_cell", "1", "2"], ""), (["x", "10", "20"], "dim")]
    head, items = table(columns, rows, 24)
    assert [line.text for line in head] == ["name               a   b", "                  ms"]
    assert [[line.text for line in item] for item in items] == [
        ["a_long_name_of_    1   2", "a_cell"],
        ["x                 10  20"],
    ]
    head, items = table(columns, rows, 18)
    assert [line.text for line in head] == ["name"]
    assert [line.text for line in items[0]] == ["a_long_name_of_", "  a_cell", "  a, ms: 1; b: 2"]


def test_a_paragraph_that_is_cut_says_so() -> None:
    """The last line has a mark, and where the whole is."""
    (first, last) = paragraph("word " * 40, 50, most=2, lead="TRUST")
    assert first.text.startswith("TRUST   word")
    assert last.text.endswith("… (report.md)")
    assert max(len(first.text), len(last.text)) <= 50


def test_two_failures_of_one_run_are_not_lost(tmp_path: Path) -> None:
    """More failures than lines are counted."""
    fail = {("streamed", pair): "http_5xx" for pair in range(30)}
    text = render_terminal(build(make_run(tmp_path / "r", [Truth(fail=fail)], memory=False)))
    shown = len(re.findall(r"^failed: ", text, re.MULTILINE))
    assert f"… and {30 - shown} more failures: report.md lists them" in text
