"""The report files: whole outputs against golden ones, escaping, limits, and the same bytes every time.

`python -m tests.unit.test_reporters` writes the golden files anew; look at the difference before committing it.
"""

from __future__ import annotations

import csv
import io
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.reporters import register_reporters
from bench.reporters.charts import steps
from bench.reporters.html import render_html, script_json
from bench.reporters.markdown import render_markdown
from bench.reporters.markdown import text as markdown_text
from bench.reporters.tables import render_csv, render_json
from bench.reporters.terminal import render_terminal
from bench.summary import COLUMNS, Ecdf, Summary
from tests.synthetic import Truth, make_run

GOLDEN = Path(__file__).parent.parent / "golden"
CELLS = (
    Truth(),
    Truth(scenario="function_call", slower_by=0.03, fail={("blocking", 3): "timeout"}, error="no answer in 60 s"),
    Truth(scenario="structured_output", tokens_per_delta=3, fail={("streamed", pair): "malformed" for pair in (1, 2)}),
)
RENDERERS = {"terminal.txt": render_terminal, "report.md": render_markdown, "summary.csv": render_csv}
EVIL = "<script>alert(1)</script> | `x` [a](http://b) </details>"


def example(folder: Path) -> Summary:
    """Three scenarios, some failures."""
    return build(make_run(folder / "example", CELLS))


@pytest.fixture(scope="module")
def summary(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """The example run, built once."""
    return example(tmp_path_factory.mktemp("run"))


@pytest.fixture(scope="module")
def evil(tmp_path_factory: pytest.TempPathFactory) -> Summary:
    """A run in which the server's error text is markup, and so is a model's name."""
    fail = {("streamed", pair): "http_5xx" for pair in range(80)}
    run = tmp_path_factory.mktemp("run") / "evil"
    return build(make_run(run, [Truth(fail=fail, error=EVIL, model="<b>m</b>")], pairs=80, memory=False))


@pytest.mark.parametrize("name", RENDERERS)
def test_golden(name: str, summary: Summary) -> None:
    """The whole output is as committed."""
    assert RENDERERS[name](summary) == (GOLDEN / name).read_text("utf-8")


@pytest.mark.parametrize("reporter", tuple(register_reporters()), ids=lambda r: r.name)
def test_rebuilt_byte_for_byte(reporter: object, summary: Summary, tmp_path: Path) -> None:
    """A second build of the same records gives the same bytes, Parquet or journal."""
    again = build(make_run(tmp_path / "example", CELLS, finish=False))
    render = reporter.render  # type: ignore[attr-defined]
    assert render(again) == render(summary)


def test_terminal_fits(summary: Summary) -> None:
    """Three cells, and a number that each recorded, take at most 45 lines of at most 100 columns, plain when asked."""
    lines = render_terminal(summary).splitlines()
    assert len(lines) <= 45
    assert max(map(len, lines)) <= 100
    assert "\x1b" not in "".join(lines)
    assert "\x1b[1m" in render_terminal(summary, color=True)


def test_terminal_says_where_it_was_measured(summary: Summary) -> None:
    """The first two lines name the run, the host, the model, and that it was simulated."""
    first, second, *_ = render_terminal(summary).splitlines()
    assert "run example" in first
    assert second == "SIMULATED: embedded simulator, model sim-1, profile quick"


def test_terminal_at_60_columns_loses_no_number(summary: Summary) -> None:
    """On a narrow terminal the table folds; no line is longer."""
    lines = render_terminal(summary, 60).splitlines()
    assert max(map(len, lines)) <= 60


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
    assert [verdict["scenario"] for verdict in read["verdicts"]] == [cell.scenario for cell in CELLS]


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
    """No element refers to another file, the policy forbids the network, and the page is below 2 MB."""
    html = render_html(summary)
    page = Page(html)
    assert not [attrs for _, attrs in page.found if attrs.keys() & {"src", "href", "srcset", "action"}]
    policy = next(a["content"] for a in page.all("meta") if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None
    assert "default-src 'none'" in policy
    assert "unsafe-eval" not in policy
    assert len(html.encode()) < 2_000_000


def test_html_has_a_chart_and_its_words_for_each_cell(summary: Summary) -> None:
    """Three charts per scenario, each with a text for those who do not see it and data that parse."""
    html = render_html(summary)
    charts = [attrs for attrs in Page(html).all("div") if "data-chart" in attrs]
    assert len(charts) == 9
    assert all("arrived" in str(c["aria-label"]) or "slope" in str(c["aria-label"]) for c in charts)
    specs = re.findall(r'<script type="application/json"[^>]*>(.*?)</script>', html)
    assert len([json.loads(spec) for spec in specs]) == 9


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
    code = f"import sys, bench.reporters, bench.report; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=GOLDEN.parent.parent
    )
    assert done.stdout == "[]\n"


def write_golden() -> None:
    """Write the golden files from the example run."""
    with tempfile.TemporaryDirectory() as folder:
        summary = example(Path(folder))
        for name, render in RENDERERS.items():
            (GOLDEN / name).write_text(render(summary), "utf-8")


if __name__ == "__main__":
    write_golden()
