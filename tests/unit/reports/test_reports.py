"""The report files: whole outputs against golden ones, escaping, limits, and the same bytes every time.

`python -m tests.unit.reports.test_reports` writes the golden files anew; look at the difference before committing it.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.analysis.wording import value
from bench.core.results.row import COLUMNS, Row
from bench.core.results.summary import CALIBRATION, Claim, ClaimPart, Ecdf, Summary
from bench.reports.builtin import register_reporters
from bench.reports.charts.built_in import chart_data
from bench.reports.charts.ecdf import steps
from bench.reports.data_files import render_csv, render_json
from bench.reports.html import render_html
from bench.reports.markdown import render_markdown
from bench.reports.markdown import text as markdown_text
from bench.reports.page.charts import script_json
from bench.reports.tables.claims import in_short
from bench.reports.terminal.report import render_terminal
from tests.support.paths import ROOT
from tests.support.shelf import EXAMPLE, Shelf, example
from tests.support.synthetic import Truth, make_run

GOLDEN = ROOT / "tests/golden"
RENDERERS = {"terminal.txt": render_terminal, "report.md": render_markdown, "summary.csv": render_csv}
EVIL = "<script>alert(1)</script> | `x` [a](http://b) </details>"


@pytest.fixture(scope="module")
def summary(shelf: Shelf) -> Summary:
    """The example run."""
    return shelf.summary("example")


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A run in which the server's error text is markup, and so is a model's name."""
    fail = {("streamed", pair): "http_5xx" for pair in range(80)}
    run = tmp_path_factory.mktemp("run") / "evil"
    return build(
        make_run(run, [Truth(fail=fail, error=EVIL, model="<b>m</b>")], pairs=80, memory=False), chart_data=chart_data
    )


@pytest.mark.parametrize("name", RENDERERS)
def test_golden(name: str, summary: Summary) -> None:
    """The whole output is as committed."""
    assert RENDERERS[name](summary) == (GOLDEN / name).read_text("utf-8")


@pytest.mark.parametrize("reporter", tuple(register_reporters()), ids=lambda r: r.name)
def test_rebuilt_byte_for_byte(reporter: object, summary: Summary, tmp_path: Path) -> None:
    """A second build of the same records gives the same bytes, Parquet or journal."""
    example(tmp_path / "example", finish=False)
    again = build(tmp_path / "example", chart_data=chart_data)
    render = reporter.render  # type: ignore[attr-defined]
    assert render(again) == render(summary)


def test_a_claim_is_two_lines_at_most_and_says_the_most_telling_part_first() -> None:
    """Clauses of the reason follow the number as far as there is room; one that stands alone is shortened."""
    part = ClaimPart("text", "REFUTED", "+70 %", 36, f"true for 8 to 17 tokens; more than said; {'read off ' * 20}")
    claim = Claim("sooner", "It is sooner.", "REFUTED", "", (part,))
    assert in_short(claim, 80) == ["It is sooner", "+70 %, n=36; true for 8 to 17 tokens; more than said"]
    assert in_short(claim, 40)[1] == "+70 %, n=36; true for 8 to 17 tokens"
    untold = replace(claim, verdict="NOT TESTABLE HERE", parts=(replace(part, estimate="", reason="so " * 40),))
    assert len(in_short(untold, 80)[1]) <= 80


def test_a_claim_of_many_cells_has_few_charts(claimed: Summary) -> None:
    """The page stays small: all parts are listed, some are drawn."""
    part = CLAIMS[0].parts[1]
    parts = tuple(replace(part, subject=f"cell {number}") for number in range(30))
    many = replace(CLAIMS[0], name="by_length", parts=parts)
    html = render_html(replace(claimed, claims=(many,)))
    assert len([a for a in Page(html).all("div") if str(a.get("data-chart", "")).startswith("claim-")]) == 6
    assert "cell 29" in html


def test_the_order_is_trust_answer_table(summary: Summary) -> None:
    """After the title come whether to trust the run, then the answer, then the numbers, wherever people read."""
    for render in (render_terminal, render_markdown, render_html):
        report = render(summary)
        report = " ".join(report[max(report.find("<body>"), 0) :].replace("*", "").split())
        places = [report.index(text) for text in ("SIMULATED", "CAUTION", "Streaming shows", "seen sooner")]
        assert places == sorted(places)


CURVE = ((5.0, 0.1, 0.05, 0.15), (10.0, 0.3, 0.25, 0.35), (60.0, 0.7, 0.65, math.inf))
CLAIMS = (
    Claim(
        "sooner",
        "The first token comes 20 to 40 % sooner",
        "REFUTED",
        "95 % interval within 20 to 40 %",
        (
            ClaimPart("a short one", "HOLDS", "30.0 % [25, 35]", 12, "inside"),
            ClaimPart("text", "REFUTED", "71.4 % [71.1, 71.8]", 36, f"larger {EVIL}", CURVE),
        ),
    ),
    Claim("usage", "Usage is the same", "HOLDS", "exact", (ClaimPart("text", "HOLDS", "0 differ", 36, "equal"),)),
    Claim("packets", "Smaller packets are sooner", "NOT TESTABLE HERE", "trend", ()),
)


@pytest.fixture
def claimed(summary: Summary) -> Summary:
    """The example with claims, one cell in which the client was late, and a floor."""
    late = replace(summary.cells[1], saturated="loop lag p99 61 ms")
    key = (CALIBRATION, "", "responses", CALIBRATION, "m", "sdk", "c=1", "streamed")
    floor = Row(*key, "floor_ttfu", "ms", "p50", 36, 0, 0.41, 0.37, 0.45, "")
    cells = (summary.cells[0], late, summary.cells[2])
    return replace(summary, claims=CLAIMS, cells=cells, rows=(*summary.rows, floor))


def test_claims_are_a_table_in_markdown(claimed: Summary) -> None:
    """A line for a claim, one below it for each of several parts; the rule of the test once; no markup of a server."""
    lines = [line for line in render_markdown(claimed).splitlines() if "REFUTED" in line or "HOLDS" in line]
    assert len(lines) == 4
    assert lines[0] == "| The first token comes 20 to 40 % sooner | all together | REFUTED |  |  |  |"
    assert lines[1].startswith("|  | a short one | HOLDS | 30.0 % [25, 35] | 12 |")
    assert lines[3].startswith("| Usage is the same | text | HOLDS | 0 differ | 36 |")
    assert "<script" not in render_markdown(claimed)


def test_a_claim_of_many_cells_is_cut_in_markdown(claimed: Summary) -> None:
    """A comment has room for some parts of a claim, and says how many there are more."""
    part = CLAIMS[0].parts[0]
    many = replace(CLAIMS[0], parts=tuple(replace(part, subject=f"cell {number}") for number in range(30)))
    report = render_markdown(replace(claimed, claims=(many,)))
    assert "| cell 11 |" in report
    assert "| cell 12 |" not in report
    assert "… and 18 more, in `summary.json`" in report


def test_claims_are_cards_with_their_curve_in_html(claimed: Summary) -> None:
    """A card for each claim; a part that depends on the length has a chart, and its words for those who do not see."""
    by_length = replace(CLAIMS[0], name="by_length")
    page = Page(render_html(replace(claimed, claims=(by_length, *CLAIMS[1:]))))
    assert len([a for a in page.all("article") if str(a.get("class")).startswith("card")]) == len(CLAIMS)
    charts = [a for a in page.all("div") if str(a.get("data-chart", "")).startswith("claim-")]
    assert len(charts) == 1
    assert "30.0 % [25.0, 35.0] at 10 output tokens" in str(charts[0]["aria-label"])


def test_json_has_claims_trust_and_what_was_late(claimed: Summary) -> None:
    """For programs: every part, with infinity as text, the verdict on the run, and the reason in each cell."""
    read = json.loads(render_json(claimed))
    assert read["claims"][0]["parts"][1]["curve"][2] == [60.0, 0.7, 0.65, "inf"]
    assert [verdict["saturated"] for verdict in read["verdicts"]] == ["", "loop lag p99 61 ms", ""]
    assert read["trust"]["verdict"] == claimed.trust.verdict


@pytest.mark.parametrize("render", [render_terminal, render_markdown, render_html])
def test_a_late_cell_shows_the_word_and_no_time(render: Callable[[Summary], str], claimed: Summary) -> None:
    """Its timed numbers are out of the tables; what is counted stays; how it was late is below."""
    report = render(claimed)
    assert "SATURATED" in report
    assert "loop lag p99 61 ms" in report
    assert "1 of 36" in report, "failures are counted all the same"
    assert value(claimed.row(claimed.cells[1], "paired", "overhead", "hl", "ratio")) not in visible(report)


def visible(report: str) -> str:
    """The report up to the details of the cells."""
    return report.split("<details>", maxsplit=1)[0]


def test_a_late_cell_is_grey(claimed: Summary) -> None:
    """Dim on a terminal with colours, a class of its own in HTML."""
    assert "\x1b[2m" in render_terminal(claimed, color=True)
    assert len([a for a in Page(render_html(claimed)).all("tr") if a.get("class") == "unfit"]) == 4


@pytest.mark.parametrize("render", [render_markdown, render_html])
def test_the_floor_is_a_table_of_its_own(render: Callable[[Summary], str], claimed: Summary) -> None:
    """What the instrument adds stands by load, and is no cell."""
    report = render(claimed)
    assert "What the instrument adds" in report
    assert "0.41 ms" in report
    assert "(calibration)" not in report


@pytest.mark.parametrize("render", [render_terminal, render_markdown, render_html])
def test_what_never_came_is_below_the_table(render: Callable[[Summary], str], tmp_path: Path) -> None:
    """Answers without anything useful, and those left out of a latency, have a footnote wherever people read."""
    truth = Truth(useless=frozenset(range(6)), invisible=frozenset({7}))
    report = " ".join(render(build(make_run(tmp_path / "r", [truth], pairs=12))).split())
    assert "6 of 12 ok answers never gave anything useful" in report
    assert "1 of 12 ok trials had none: left out" in report


def test_csv_is_tidy(summary: Summary) -> None:
    """The columns are the public ones, one row per number; a number that may not be printed has a note."""
    rows = list(csv.DictReader(io.StringIO(render_csv(summary))))
    assert list(rows[0]) == list(COLUMNS)
    assert all(row["estimate"] or row["note"] for row in rows)
    names = ("scenario", "params", "target", "model", "client", "load", "delivery", "metric", "unit", "statistic")
    assert len({tuple(row[name] for name in names) for row in rows}) == len(rows)


def test_json_holds_the_rows_of_the_csv(summary: Summary) -> None:
    """Both tell the same numbers; JSON has null for missing and "inf" for infinity."""
    read = json.loads(render_json(summary))
    rows = list(csv.DictReader(io.StringIO(render_csv(summary))))
    assert [str(row["estimate"] if row["estimate"] is not None else "") for row in read["rows"]] == [
        row["estimate"] for row in rows
    ]
    assert [verdict["scenario"] for verdict in read["verdicts"]] == [cell.scenario for cell in EXAMPLE]


def test_json_says_inf_as_text(evil: Summary) -> None:
    """Infinity is no JSON number: it is the string "inf", never null."""
    rows = json.loads(render_json(evil))["rows"]
    assert {row["estimate"] for row in rows if row["metric"] == "ttfu" and row["delivery"] == "streamed"} >= {"inf"}


def test_markdown_escapes_and_stays_small(evil: Summary) -> None:
    """Server text becomes neither HTML nor a table cell nor a link, and many failures do not fill a comment."""
    report = render_markdown(evil)
    assert "<script" not in report
    assert "<b>" not in report
    assert "](http" not in report
    assert "… and 60 more" in report
    assert len(report.encode()) < 60_000
    widths = {
        len(re.findall(r"(?<!\\)\|", line))
        for line in report.splitlines()
        if "http\\_5xx" in line or "http_5xx |" in line
    }
    assert widths == {8}


@pytest.mark.slow
def test_markdown_of_many_cells_stays_below_60_kb(tmp_path: Path) -> None:
    """Sixty cells still make a report that a pull request takes."""
    cells = [Truth(scenario=f"scenario_{number}", tokens=4) for number in range(60)]
    assert len(render_markdown(build(make_run(tmp_path / "r", cells, pairs=6))).encode()) < 60_000


def test_markdown_text_is_one_line() -> None:
    """Line breaks and pipes of a server cannot break a table."""
    assert markdown_text("a\n| b") == "a \\| b"


class Page(HTMLParser):
    """Elements and their attributes, as a browser sees them."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Remember it."""
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """The attributes of every such element."""
        return [attrs for name, attrs in self.found if name == tag]


def test_html_is_one_file_without_network(summary: Summary) -> None:
    """Links stay on the page, no element refers to a file, the policy forbids the network; it is below 2 MB."""
    html = render_html(summary)
    page = Page(html)
    assert not [attrs for _, attrs in page.found if attrs.keys() & {"src", "srcset", "action"}]
    assert all(str(attrs.get("href", "#")).startswith("#") for _, attrs in page.found)
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert len(html.encode()) < 2_000_000


def test_html_has_a_chart_and_its_words_for_each_cell(summary: Summary) -> None:
    """Several for each scenario, with a text of numbers for those who do not see it, and data that parse."""
    html = render_html(replace(summary, claims=()))
    charts = [attrs for attrs in Page(html).all("div") if "data-chart" in attrs]
    for number in range(len(EXAMPLE)):
        mine = [chart for chart in charts if str(chart["data-chart"]).startswith(f"chart-{number + 1}-")]
        assert len(mine) >= 3
        assert all(re.search(r"\d", str(chart["aria-label"])) for chart in mine)
    specs = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html)
    assert len([json.loads(spec) for spec in specs]) == len(charts)


def test_html_escapes_everything(evil: Summary) -> None:
    """Only the page's own scripts are there, whatever server and model are called."""
    html = render_html(evil)
    page = Page(html)
    assert len([s for s in page.all("script") if s.get("type") != "application/json"]) == 2
    assert not page.all("b")
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html


def test_script_json_cannot_end_its_element() -> None:
    """A closing tag in the data is written so that a browser does not see one."""
    assert "<" not in script_json({"a": "</script><!--"})
    assert json.loads(script_json({"a": "</script>"})) == {"a": "</script>"}


def test_ecdf_ends_below_one_with_failures() -> None:
    """Of four offered, one failed: the curve ends at three quarters, at the right edge."""
    assert list(steps(Ecdf(4, (1.0, 2.0, 3.0)), 10)) == [(0, 0), (1, 0.25), (2, 0.5), (3, 0.75), (10, 0.75)]
    assert list(steps(Ecdf(0, ()), 10)) == []
    assert len(list(steps(Ecdf(9000, tuple(map(float, range(9000)))), 9000))) <= 402


def test_reporters_are_light_to_load() -> None:
    """Loading the reporters, as every command may, loads no heavy library: a measuring process stays lean."""
    heavy = "('pandas', 'numpy', 'scipy', 'pyarrow', 'altair', 'jinja2', 'rich', 'vl_convert')"
    code = f"import sys, bench.reports.builtin, bench.reports.files; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=GOLDEN.parent.parent
    )
    assert done.stdout == "[]\n"


def write_golden() -> None:
    """Write the golden files from the example run."""
    with tempfile.TemporaryDirectory() as folder:
        summary = Shelf(Path(folder)).summary("example")
        for name, render in RENDERERS.items():
            (GOLDEN / name).write_text(render(summary), "utf-8")


if __name__ == "__main__":
    write_golden()
