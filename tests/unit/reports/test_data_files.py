"""The formats for programs are what docs/formats.md says: real files are held against the model that the page shows."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from bench.core.results.comparison import Ranking, RankingEntry
from bench.core.results.row import COLUMNS, CellKey
from bench.core.results.summary import Knee, Outlier, Summary
from bench.reports.data_files import render_csv, render_json
from tests.support.paths import ROOT
from tests.support.shelf import Shelf
from tests.unit.reports.terminal.test_report import compared
from tests.unit.reports.test_reports import CLAIMS
from tools.docs.formats_page import PARTS, TOP, members_of, summary_model

PAGE = ROOT / "docs" / "formats.md"
MODEL = summary_model()
KEY = set(CellKey._fields)


@pytest.fixture(scope="module")
def summary(shelf: Shelf) -> Summary:
    """A summary in which no list is empty, and with an infinite number."""
    made = shelf.summary("example")
    key = made.cells[0].key
    endless = replace(made.rows[0], low=float("-inf"), high=float("inf"))
    return replace(
        made,
        claims=CLAIMS,
        rows=(endless, *made.rows),
        knees=(Knee(key._replace(load="c"), "streamed", "", None, "n/a", 0),),
        rankings=(Ranking("text", (RankingEntry(key, "m", ()),), "m is alone"),),
        comparisons=(compared(2),),
        outliers=(Outlier(1, "text", "streamed", "ttft", 900.0, 120.0, True, "a stall", "c", "s"),),
    )


def test_summary_json_is_as_documented(summary: Summary) -> None:
    """Members and types, exactly; every part is there to be held against its own table."""
    text = render_json(summary)
    MODEL.model_validate_json(text)
    read = json.loads(text)
    assert list(read) == list(TOP)
    assert all(read[name] for name in TOP if name not in {"name", "failures_unlisted", "outliers_unlisted"})


def test_an_empty_run_is_as_documented_too(summary: Summary) -> None:
    """Nothing of it need be there: lists are empty, names are null."""
    bare = replace(summary, claims=(), rows=(), knees=(), rankings=(), comparisons=(), failures=(), outliers=())
    manifest = {**summary.manifest, "ended": None}
    MODEL.model_validate_json(render_json(replace(bare, manifest=manifest)))


def _unknown(read: dict[str, Any]) -> None:
    read["rows"][0]["mean"] = 1.0


def _missing(read: dict[str, Any]) -> None:
    del read["claims"][0]["parts"][0]["n"]


def _text_for_number(read: dict[str, Any]) -> None:
    read["rows"][0]["estimate"] = "120"


def _number_for_text(read: dict[str, Any]) -> None:
    read["failures"][0]["status"] = 7


@pytest.mark.parametrize("change", [_unknown, _missing, _text_for_number, _number_for_text])
def test_another_form_is_refused(summary: Summary, change: Callable[[dict[str, Any]], None]) -> None:
    """A member more or less, or of another type, is no summary.json."""
    read = json.loads(render_json(summary))
    change(read)
    with pytest.raises(ValidationError):
        MODEL.model_validate_json(json.dumps(read))


def test_every_member_is_on_the_page() -> None:
    """Each has a line, and one that says something."""
    page = PAGE.read_text("utf-8")
    for name, (_, said) in TOP.items():
        assert f"| `{name}` |" in page
        assert said in page
    for title, class_ in PARTS:
        assert f"\n### {title}\n" in page
        part = page.split(f"\n### {title}\n")[1].split("\n### ")[0]
        assert all(f"| `{name}` |" in part for name, _ in members_of(class_) if name not in KEY or title == "knees")
    assert not [line for line in page.splitlines() if line.startswith("| `") and line.endswith("|  |")]


def test_summary_csv_is_as_documented(summary: Summary) -> None:
    """The columns in the order of the page, numbers where it says so, empty where there is none."""
    page = PAGE.read_text("utf-8").split("## summary.csv")[1].split("## summary.json")[0]
    named = [line.split("`")[1] for line in page.splitlines() if line.startswith("| `")]
    rows = list(csv.DictReader(io.StringIO(render_csv(summary))))
    assert named == list(COLUMNS) == list(rows[0])
    for row in rows:
        assert row["n"].isdecimal()
        assert row["failed"].isdecimal()
        assert all(float(row[name]) is not None for name in ("estimate", "low", "high") if row[name])
    assert {"inf", "-inf"} <= {row[name] for row in rows for name in ("low", "high")}
