"""What the doctor says: whole outputs against golden ones, advice told once, server text harmless, JSON as documented.

`python -m tests.unit.doctor.reports.test_reports` writes the golden files anew; look at the difference before
committing it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import altair as alt
import pytest
from altair.utils.schemapi import validate_jsonschema
from pydantic import ValidationError

from bench.doctor.diagnosis import Check, Curve, Diagnosis, Finding, Fix
from bench.doctor.reports.arrivals_chart import arrivals
from bench.doctor.reports.grouping import groups, mask_numbers, modes_label
from bench.doctor.reports.html import render_html
from bench.doctor.reports.json import render_json
from bench.doctor.reports.markdown import render_markdown
from bench.doctor.reports.terminal import render_terminal
from bench.reports.charts import style
from bench.reports.terminal.columns import columns_of
from tests.support.doctors import (
    DIRECT,
    EXAMPLES,
    GATEWAY,
    bursts,
    bursty,
    compared,
    fake,
    healthy,
    relayed,
    sent,
    streams,
)
from tests.support.paths import ROOT
from tests.unit.reports.test_reports import Page
from tools.docs.doctor_page import PARTS, SAID, doctor_markdown, doctor_model
from tools.docs.formats_page import field_docs, members_of

GOLDEN = ROOT / "tests/golden"
EVIL = "<script>alert(1)</script> | `x` [a](http://b) </details>\n```\n\x1b[2J\u202e"
Render = Callable[[Diagnosis], str]


@pytest.mark.parametrize("name", EXAMPLES)
def test_terminal_golden(name: str) -> None:
    """The whole output is as committed, at most 60 lines of 100 columns."""
    text = render_terminal(EXAMPLES[name]())
    assert text == (GOLDEN / f"doctor_{name}.txt").read_text("utf-8")
    assert len(text.splitlines()) <= 60
    assert max(map(columns_of, text.splitlines())) <= 100


@pytest.mark.parametrize("name", EXAMPLES)
def test_markdown_golden(name: str) -> None:
    """The same in Markdown."""
    assert render_markdown(EXAMPLES[name]()) == (GOLDEN / f"doctor_{name}.md").read_text("utf-8")


@pytest.mark.parametrize("render", [render_terminal, render_markdown])
def test_a_default_nginx_is_one_advice(render: Render) -> None:
    """Six findings that differ in numbers are told once, with one change and one command."""
    text = render(bursty())
    assert text.count("proxy_buffering off;") == 1
    assert text.count("responses and chat (text, tools, structured): BURSTY") == 1
    assert text.count("Check again") == 1
    assert "(The numbers are those of responses, text; the others are alike.)" in " ".join(text.split())


def test_what_is_not_the_same_is_told_apart() -> None:
    """Another verdict, cause, change or hop is another advice; another number is not."""
    one = bursts(GATEWAY, "responses", "text")
    assert len(groups([one, replace(one, api="chat", why=one.why.replace("4.0 KiB", "812 B"))])) == 1
    others: list[dict[str, Any]] = [
        {"verdict": "fake"},
        {"why": "A timer."},
        {"change": [*one.change, Fix(where="the app")]},
        {"change": [replace(one.change[0], lines=["proxy_buffers 8 16k;"]), one.change[1]]},
        {"hop": DIRECT.name},
    ]
    assert [len(groups([one, replace(one, **other)])) for other in others] == [2] * 5


def test_a_text_that_differs_in_kind_names_its_modes() -> None:
    """Where only one paragraph of an advice differs, each variant says of what it is, and the rest stands once."""
    found = [bursts(GATEWAY, "responses", mode) for mode in ("text", "tools")]
    found[1] = replace(found[1], costs="Tool calls start 76 ms later.")
    text = render_terminal(replace(bursty(), findings=found))
    assert text.count("How sure") == 1
    assert "What it costs  responses, text: The first token" in text
    assert "responses, tools: Tool calls start 76 ms later." in text
    assert "(The numbers are those of the first one named; the others are alike.)" in text


def test_the_worst_is_told_first() -> None:
    """Bad ones, then what is undecided, then a line for what is not offered and for what is healthy."""
    found = [
        streams(GATEWAY, "chat", "text"),
        replace(streams(GATEWAY, "chat", "tools"), verdict="not offered"),
        replace(streams(GATEWAY, "chat", "structured"), verdict="inconclusive"),
        bursts(GATEWAY, "responses", "text"),
    ]
    heads = re.findall(
        r"^gateway:8080 · (.+?)(?:\.|$)", render_terminal(replace(bursty(), findings=found)), re.MULTILINE
    )
    assert [head.rsplit(": ", 1)[1] for head in heads] == ["BURSTY", "INCONCLUSIVE", "not offered", "streaming"]


def test_labels_are_joined() -> None:
    """By API and mode, without losing which belong together."""
    cells = [streams(DIRECT, api, mode) for api in ("responses", "chat") for mode in ("text", "tools")]
    assert modes_label(cells[:1]) == "responses, text"
    assert modes_label(cells[:2]) == "responses (text, tools)"
    assert modes_label(cells) == "responses and chat (text, tools)"
    assert modes_label(cells[:3]) == "responses (text, tools) and chat, text"
    assert mask_numbers("15 to 17 pieces (each time 4 KiB ± 1 %)") == mask_numbers("16 pieces (each time 870 bytes)")
    assert mask_numbers("5 events in 1.2 s, 3 %") == mask_numbers("1 event in 812 ms, 0.5 %")


def test_healthy_modes_have_a_line_each() -> None:
    """Where nothing is to be mended there is room for all six; beside an advice they share one."""
    assert len(re.findall(r"^app:8000 · .*: streaming\.", render_terminal(healthy()), re.MULTILINE)) == 6
    assert len(re.findall(r"^app:8000 · .*: streaming\.", render_terminal(compared()), re.MULTILINE)) == 1


def test_what_is_to_be_copied_is_never_broken() -> None:
    """Config lines keep their indent, and neither they nor the command are wrapped, however narrow it is."""
    long = "    proxy_set_header X-Very-Long " + '"value";' * 9
    fixes = [Fix(where="nginx", lines=["location / {", long, "\tkeep;", "}"])]
    found = [replace(bursts(GATEWAY, "chat", "text"), change=fixes)]
    shown = replace(bursty(), findings=found, again="bench doctor " + "http://gateway:8080/v1 " * 6 + "end")
    for width in (40, 100):
        lines = render_terminal(shown, width=width).splitlines()
        assert any(line.endswith(long) for line in lines)
        assert any(re.fullmatch(r" +    keep;", line) for line in lines)
        assert shown.again in lines


@pytest.mark.parametrize("name", EXAMPLES)
@pytest.mark.parametrize("width", [40, 60, 80])
def test_a_narrow_terminal_has_no_longer_line(name: str, width: int) -> None:
    """Labels stand above their texts, rows become paragraphs; only what is copied may be longer."""
    one = EXAMPLES[name]()
    copied = {one.again, *(line for found in one.findings for fix in found.change for line in fix.lines)}
    lines = render_terminal(one, width=width).splitlines()
    assert not [line for line in lines if columns_of(line) > width and not line.endswith(tuple(copied))]


def test_colours_only_where_asked_for() -> None:
    """The words are the same with and without."""
    plain, colored = render_terminal(compared()), render_terminal(compared(), color=True)
    assert "\x1b" not in plain
    assert "\x1b[1;31m" in colored
    assert re.sub(r"\x1b\[[\d;]+m", "", colored) == plain


def evil() -> Diagnosis:
    """Markup and control characters wherever a server may have put them."""
    hop = replace(GATEWAY, name="h" + EVIL, server=EVIL, model="通义千问" * 30)
    fixes = [Fix(where=EVIL, lines=[EVIL], note=EVIL)]
    found = replace(bursts(hop, "chat", "text"), happens=EVIL, sure=EVIL * 400, why=EVIL, costs=EVIL, change=fixes)
    many = [replace(found, mode=mode) for mode in ("text", "tools", "structured")]
    absent = replace(found, api="responses", verdict="not offered")
    checks = [Check(hop=hop.name, name=EVIL, state=state, said=EVIL) for state in ("bad", "good")]
    return replace(bursty(), hops=[hop], findings=[*many, absent], checks=checks, answer=EVIL, notes=[EVIL], again=EVIL)


@pytest.mark.parametrize("render", [render_terminal, render_markdown])
def test_no_control_character_gets_out(render: Render) -> None:
    """Nothing that a server said can clear the screen or turn the text round."""
    assert not [char for char in render(evil()) if char != "\n" and not char.isprintable()]


def test_markdown_escapes_and_stays_small() -> None:
    """Server text becomes neither HTML nor a table cell nor a link, ends no fence, and does not fill an issue."""
    report = render_markdown(evil())
    assert len(report.encode()) < 60_000
    outside = re.sub(r"^(`{4,})\n.*?\n\1$", "", report, flags=re.MULTILINE | re.DOTALL)
    assert "<script" not in outside
    assert "](http" not in outside
    assert "<script" in report, "in a fence it is what is to be copied"
    assert {len(re.findall(r"(?<!\\)\|", line)) for line in outside.splitlines() if line.startswith("| chat")} == {6}


def test_html_escapes_everything_and_needs_no_network() -> None:
    """Only the page's own two scripts run; nothing refers to another file."""
    page = Page(render_html(evil()))
    assert len([one for one in page.all("script") if one.get("type") != "application/json"]) == 2
    assert not [attrs for _, attrs in page.found if attrs.keys() & {"src", "srcset", "action"}]
    assert all(str(attrs.get("href", "#")).startswith("#") for _, attrs in page.found)


def test_html_has_each_picture_once() -> None:
    """One for each API and mode, with all hops in it; where it is needed again there is a link to it."""
    both = [replace(one, why="", change=()) for one in compared().findings]
    page = Page(render_html(replace(compared(), findings=[*map(_also_bursty, both[:6]), *both[6:]])))
    charts = [attrs for attrs in page.all("div") if "data-chart" in attrs]
    assert len(charts) == 6
    assert all("app:8000" in str(one["aria-label"]) and "gateway:8080" in str(one["aria-label"]) for one in charts)
    assert [one["href"] for one in page.all("a")] == ["#finding-1"] * 6


def _also_bursty(finding: Finding) -> Finding:
    return replace(finding, verdict="bursty")


def test_a_page_without_a_curve_is_small() -> None:
    """Then Vega is not in it."""
    found = [replace(one, curve=None) for one in bursty().findings]
    assert len(render_html(replace(bursty(), findings=found)).encode()) < 60_000


def curve_of(number: int, **changes: Any) -> Curve:
    """An answer of so many reads."""
    points = [(10.0 * place + 10, 5 * place + 5) for place in range(number)]
    made = Curve(
        label="chat, text", hop="h", verdict="streaming", arrivals=points, headers_ms=4, end_ms=10.0 * number + 12
    )
    return replace(made, **changes)


def drawn(curves: list[Curve]) -> dict[str, Any]:
    """The specification, which follows the schema of Vega-Lite."""
    chart = arrivals(curves)
    assert chart
    spec = dict(chart.spec)
    assert validate_jsonschema(spec, alt.load_schema(), raise_error=False) is None
    assert re.search(r"\d", chart.alternative)
    assert 0 < len(chart.rows) <= style.MOST_ROWS
    assert {len(row) for row in chart.rows} == {len(chart.heads)}
    return spec


def points_of(spec: dict[str, Any], line: str) -> list[tuple[float, float]]:
    """What is drawn of a line."""
    rows = [row for rows in spec["datasets"].values() for row in rows]
    return [(row["x"], row["y"]) for row in rows if row.get("line") == line]


def test_the_staircase_is_the_data() -> None:
    """It starts at nothing, has a step at each read, and stands until the end; seconds from 10 s on."""
    assert points_of(drawn([curve_of(3)]), "h") == [(0, 0), (10, 5), (20, 10), (30, 15), (42.84, 15)]
    slow = curve_of(2, arrivals=[(4000.0, 1), (16_000.0, 2)], end_ms=20_000.0)
    assert points_of(drawn([slow]), "h") == [(0, 0), (4, 1), (16, 2), (20.4, 2)]


def test_a_long_answer_has_few_points() -> None:
    """At most 300 and the two ends of each curve, however many reads there were."""
    points = points_of(drawn([curve_of(9000)]), "h")
    assert 200 < len(points) <= 302
    assert points[-1][1] == 45_000


def test_what_was_sent_is_a_line_of_its_own() -> None:
    """With one hop it is called so; with several each has its own; the caption says how it looks."""
    one = relayed().findings[0].curve
    assert one
    assert len(points_of(drawn([one]), "sent")) == len(sent("text")) + 2
    both = drawn([one, replace(one, hop="other")])
    assert points_of(both, "sent, other")
    chart, bare = arrivals([one]), arrivals([curve_of(3)])
    assert chart
    assert bare
    assert "Dotted" in chart.caption
    assert "Dotted" not in bare.caption


def test_headers_are_marked_once_for_each_hop_that_had_them() -> None:
    """And in words; a curve without any arrival is left out, which the caption says."""
    bare = curve_of(3, headers_ms=None, hop="bare")
    spec = drawn([curve_of(3), bare])
    assert len([row for rows in spec["datasets"].values() for row in rows if row.get("text") == "headers"]) == 1
    chart = arrivals([curve_of(3), bare, curve_of(0, hop="none")])
    assert chart
    assert "no headers" in chart.alternative
    assert "1 without an arrival" in chart.caption
    assert arrivals([curve_of(0)]) is None


@pytest.mark.parametrize("name", EXAMPLES)
def test_json_is_as_documented(name: str) -> None:
    """Members and types, exactly, the version first; the values are those of the diagnosis."""
    one = EXAMPLES[name]()
    text = render_json(one)
    doctor_model().model_validate_json(text)
    read = json.loads(text)
    assert list(read)[:2] == ["schema_version", "created"]
    assert [found["verdict"] for found in read["findings"]] == [found.verdict for found in one.findings]
    assert read["exit_code"] == one.exit_code
    for found, told in zip(one.findings, read["findings"], strict=True):
        assert found.curve is None or len(told["curve"]["arrivals"]) == len(found.curve.arrivals)


def test_json_of_another_form_is_refused() -> None:
    """A member more is no such file: the test above can fail."""
    read = {**json.loads(render_json(fake())), "more": 1}
    with pytest.raises(ValidationError):
        doctor_model().model_validate_json(json.dumps(read))


def test_json_has_round_numbers_and_no_nan() -> None:
    """Three decimals; what is no number is null, infinity is text."""
    numbers: dict[str, float | int | str | None] = {
        "first_ms": 1.23456,
        "share": float("nan"),
        "most_ms": float("inf"),
        "n": 3,
        "cause": "timer",
    }
    found = replace(bursts(GATEWAY, "chat", "text"), numbers=numbers)
    read = json.loads(render_json(replace(bursty(), findings=[found])))
    expected = {"first_ms": 1.235, "share": None, "most_ms": "inf", "n": 3, "cause": "timer"}
    assert read["findings"][0]["numbers"] == expected


def test_every_member_says_what_it_is() -> None:
    """In docs/formats.md each has a line that says something."""
    page = doctor_markdown()
    for class_ in PARTS:
        part = page.split(f"\n### doctor: {class_.__name__.lower()}\n")[1].split("\n### ")[0]
        assert all(f"| `{name}` |" in part for name, _ in members_of(class_))
    named = {name for class_ in PARTS for name, _ in members_of(class_) if name not in field_docs(class_)}
    assert named == set(SAID)


def write_golden() -> None:
    """Write the golden files from the examples."""
    for name, make in EXAMPLES.items():
        (GOLDEN / f"doctor_{name}.txt").write_text(render_terminal(make()), "utf-8")
        (GOLDEN / f"doctor_{name}.md").write_text(render_markdown(make()), "utf-8")


if __name__ == "__main__":
    write_golden()
