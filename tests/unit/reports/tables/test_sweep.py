"""The tables of loads and of clients, in every report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.core.results.summary import Summary
from bench.reports.html import render_html
from bench.reports.markdown import render_markdown
from bench.reports.tables import sweep
from bench.reports.terminal.report import render_terminal
from tests.support.loaded import Loaded, make_loaded
from tests.support.synthetic import Truth, make_run


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """Closed and open loop by the lean client, one load above what it bears with a cap; one load by the SDK too."""
    cells = [Loaded(load=load, cap=10) for load in ("rate=30", "c=8", "rate=5", "c=1")]
    run = tmp_path_factory.mktemp("runs") / "run"
    return build(make_loaded(run, [*cells, Loaded(load="rate=5", client="sdk")], slos=["ttft=400ms"], requests=120))


def test_loads_stand_in_order(summary: Summary) -> None:
    """Closed loop first, then open loop, each by its size, with a line for each delivery; clients stand apart."""
    wire, sdk = sweep.sweeps(summary)
    assert [(line.name, line.delivery) for line in wire.lines[:4]] == [
        ("c=1", "streamed"),
        ("c=1", "blocking"),
        ("c=8", "streamed"),
        ("c=8", "blocking"),
    ]
    assert [line.name for line in wire.lines[4::2]] == ["rate=5", "rate=30"]
    assert (wire.label, sdk.label) == ("text wire", "text sdk")


def test_every_line_fills_its_columns(summary: Summary) -> None:
    """A column for what was shed is there only where something was."""
    wire, sdk = sweep.sweeps(summary)
    assert wire.columns[-1] == sweep.SHED
    assert sdk.columns == sweep.COLUMNS
    for shown in (wire, sdk):
        assert {len(line.entries) for line in shown.lines} == {len(shown.columns)}
    assert int(wire.lines[-2].entries[-1].main) > 0
    assert wire.lines[0].entries[-1].main == "0"


def test_terminal_fits_and_says_the_knee(summary: Summary) -> None:
    """At most 100 columns; each delivery has its knee, and open and closed loop are said not to be comparable."""
    text = render_terminal(summary)
    assert max(map(len, text.splitlines())) <= 100
    words = " ".join(text.split())
    assert "knee in open loop, streamed: " in words
    assert "rate=30 fails: " in words
    assert sweep.TITLE_SDK in text
    report = render_markdown(summary)  # what the terminal has no room for
    assert "not comparable with open loop" in report
    assert "times count from the intended time" in report


def test_markdown_and_html_have_the_same_tables(summary: Summary) -> None:
    """Both have a section for the loads and one for the SDK, with the intervals, and the page needs no network."""
    page, report = render_html(summary), render_markdown(summary)
    for title in (sweep.TITLE, sweep.TITLE_SDK):
        assert f"## {title}" in report
        assert f"<h2>{title}</h2>" in page
    assert re.search(r"\| rate=5 \| streamed \| 120 \| [\d.]+ ms<br>\[", report)
    assert re.search(r'<th scope=row class="left key" data-head="load">\s*<span>rate=30</span>', page)


def test_a_late_client_shows_no_times(tmp_path: Path) -> None:
    """SATURATED stands in place of the numbers; how many failed is still there."""
    summary = build(make_loaded(tmp_path / "r", [Loaded(load="c=8", loop_lag_ms=30)], requests=80))
    (shown,) = sweep.sweeps(summary)
    assert [entry.main for entry in shown.lines[0].entries] == ["80", "SATURATED", *["–"] * 6, "0"]
    assert shown.knees[0].startswith("knee, both deliveries: n/a at c=8, the lowest load: SATURATED: ")


def test_one_at_a_time_has_neither_table(tmp_path: Path) -> None:
    """A run without load and with one client reads as before."""
    summary = build(make_run(tmp_path / "r", [Truth()]))
    assert not sweep.sweeps(summary)
    assert not sweep.sdk_costs(summary)
    assert "under load" not in render_terminal(summary)
    assert sweep.TITLE not in render_markdown(summary)


def test_a_late_sdk_has_no_difference_and_blocking_no_first_token(tmp_path: Path) -> None:
    """Where one client was late the table says so; what a delivery does not have is a dash."""
    late = Loaded(load="rate=5", client="sdk", loop_lag_ms=30)
    streamed, blocking = sweep.sdk_costs(build(make_loaded(tmp_path / "r", [Loaded(load="rate=5"), late], requests=60)))
    assert {entry.main for entry in streamed.entries[:3]} == {sweep.LATE_CLIENT}
    assert [entry.main for entry in blocking.entries[:2]] == ["–", sweep.LATE_CLIENT]
