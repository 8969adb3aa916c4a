"""`report.html` in a real browser: it asks for nothing, draws, sorts, prints, and runs nothing that a server sent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench.analysis.build import build
from bench.core.results.summary import Outlier, Summary
from bench.reports.charts.built_in import chart_data
from bench.reports.html import render_html
from tests.support.chromium import HARMLESS, Page, chromium
from tests.support.synthetic import Truth, make_run

pytestmark = pytest.mark.chromium

EVIL = "<script>window.hurt = 1</script><img src=https://evil.example/x onerror='window.hurt = 2'>"
CELLS = (
    Truth(target="stable", model=EVIL, loop_lag_ms=0.1, send_lag_ms=0.1, new_connection=frozenset({3, 9})),
    Truth(
        target="canary",
        model=EVIL,
        useful_ms=150,
        fail={("streamed", pair): "malformed" for pair in (1, 2)} | {("blocking", 5): "timeout"},
        error=EVIL,
        loop_lag_ms=0.1,
        send_lag_ms=0.1,
    ),
    Truth(
        scenario="every_trial_failed",
        target="stable",
        fail={("streamed", pair): "http_5xx" for pair in range(36)},
        send_lag_ms=0.1,
    ),
)
OUTLIER = Outlier(7, "text canary", "streamed", "ttft", 900.0, 150.0, True, EVIL, "c" * 8, EVIL)
COLUMN, SOONER = 2, 6
"""First useful, streamed; seen sooner."""


def example(folder: Path) -> Summary:
    """Two targets, one of them the baseline; failures, retries, an outlier, and markup wherever a server can put it."""
    run = make_run(folder / "run", CELLS, aa=8, manifest={"baseline": {"target": "stable"}, "command": ["bench", EVIL]})
    summary = build(run, chart_data=chart_data)
    return replace(summary, outliers=(OUTLIER, *summary.outliers))


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The page."""
    folder = tmp_path_factory.mktemp("page")
    path = folder / "report.html"
    path.write_text(render_html(example(folder)), "utf-8")
    return path


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests."""
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


@pytest.fixture
def page(tab: Page, file: Path) -> Page:
    """The page, freshly loaded, on a desktop in the light."""
    tab.errors.clear()
    tab.requests.clear()
    tab.media()
    tab.size(1280)
    tab.open(file)
    return tab


def drawn(page: Page) -> None:
    """Wait until every chart is drawn, however far below, as for print."""
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.until("[...document.querySelectorAll('.chart')].every(box => box.querySelector('svg'))")


def column(page: Page, place: int) -> list[str]:
    """A column of the first table, in the order shown."""
    texts: Any = page.evaluate(
        f"[...document.querySelector('#buys tbody').rows].map(row => row.cells[{place}].dataset.sort)"
    )
    return list(texts)


def test_nothing_is_wrong_and_nothing_is_asked_for(page: Page, file: Path) -> None:
    """All charts are drawn without an error, a refusal of the policy, or one request beside the page itself."""
    drawn(page)
    assert page.evaluate("document.querySelectorAll('.chart svg').length") >= 2 * len(CELLS)
    assert not page.errors
    assert page.requests[0] == file.resolve().as_uri()
    assert not [url for url in page.requests[1:] if not url.startswith(HARMLESS)]


def test_what_a_server_sent_stays_text(page: Page) -> None:
    """Markup in a model's name, an error, a cause and the command line is shown as it is, and never runs."""
    drawn(page)
    assert page.evaluate("window.hurt") is None
    assert page.evaluate("document.querySelectorAll('body img').length") == 0
    assert page.evaluate("document.querySelector('#failures').textContent").count(EVIL) >= 1
    assert EVIL in page.evaluate("document.querySelector('header').textContent")
    assert EVIL in page.evaluate("document.querySelector('#outliers').textContent")


def test_the_policy_would_stop_it(page: Page) -> None:
    """A script that got in all the same may neither run nor load anything: the test above could fail."""
    page.evaluate(
        "void document.body.insertAdjacentHTML('beforeend', '<img src=https://evil.example/y onerror=\"hurt = 1\">')"
    )
    page.evaluate("new Promise(done => setTimeout(done, 100))")
    assert page.errors
    assert page.evaluate("window.hurt") is None


def test_charts_are_drawn_when_they_come_near(page: Page) -> None:
    """Those far below wait: a page of many modes opens fast."""
    assert page.evaluate("document.querySelectorAll('.chart:empty').length") > 0
    page.evaluate("document.querySelector('.chart').scrollIntoView()")
    page.until("document.querySelector('.chart svg')")


def test_a_click_sorts_and_another_turns_round(page: Page) -> None:
    """By the number and not by its text; ∞ is the largest, and n/a is last in both directions."""
    head = f"document.querySelectorAll('#buys th')[{COLUMN}]"
    page.evaluate(f"{head}.querySelector('button').click()")
    up = column(page, COLUMN)
    assert page.evaluate(f"{head}.getAttribute('aria-sort')") == "ascending"
    page.evaluate(f"{head}.querySelector('button').click()")
    down = column(page, COLUMN)
    assert page.evaluate(f"{head}.getAttribute('aria-sort')") == "descending"
    numbers = [float(text) for text in up if text]
    assert numbers == sorted(numbers)
    assert numbers[-1] == float("inf")
    assert [text for text in down if text] == [text for text in up if text][::-1]


def test_missing_numbers_are_last_in_both_directions(page: Page) -> None:
    """Where too many pairs are missing there is no shift: such lines stay at the end."""
    for _ in range(2):
        page.evaluate(f"document.querySelectorAll('#buys th')[{SOONER}].querySelector('button').click()")
        assert [bool(text) for text in column(page, SOONER)] == [True, False, False]


def test_the_keyboard_sorts(page: Page) -> None:
    """A head takes the focus, and Enter does what a click does."""
    page.evaluate("document.querySelector('#buys th button').focus()")
    page.press("Enter")
    assert page.evaluate("document.querySelector('#buys th').getAttribute('aria-sort')") == "ascending"
    page.press("Enter")
    assert column(page, 0) == sorted(column(page, 0), reverse=True)


@pytest.mark.parametrize("width", [360, 1280])
def test_no_width_needs_to_be_scrolled_sideways(page: Page, width: int) -> None:
    """Neither on a phone nor on a desktop, with every detail open and all charts drawn."""
    page.size(width)
    drawn(page)
    wide = "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, nav, .chart, table, .unseen') && "
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert page.evaluate(wide + "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)") == []


def test_every_picture_says_what_it_shows(page: Page) -> None:
    """Each has a label with numbers, and its data as a table below it."""
    labels: Any = page.evaluate("[...document.querySelectorAll('[role=img]')].map(e => e.getAttribute('aria-label'))")
    assert labels
    assert all(any(char.isdigit() for char in label) for label in labels)
    assert page.evaluate("document.querySelectorAll('figure table').length") == len(labels)


def test_dark_is_dark(page: Page) -> None:
    """Text and background change places with the reader's system, in charts too."""
    colors = {}
    page.evaluate("document.querySelector('.chart').scrollIntoView()")
    page.until("document.querySelector('.chart svg')")
    for scheme in ("light", "dark"):
        page.media(scheme=scheme)
        shown = ("document.body", "document.querySelector('.chart svg text')")
        colors[scheme] = [
            page.evaluate(f"getComputedStyle({one}).{name}")
            for one, name in zip(shown, ("backgroundColor", "fill"), strict=True)
        ]
    assert sum(map(int, colors["light"][0][4:-1].split(", "))) > 700
    assert sum(map(int, colors["dark"][0][4:-1].split(", "))) < 100
    assert colors["light"][1] != colors["dark"][1]


CLOSED, OPEN = (f"document.querySelectorAll('details{state}').length" for state in (":not([open])", "[open]"))


def test_print_is_black_on_white_and_complete(page: Page) -> None:
    """In the dark too: every detail is open while it prints and every chart drawn; afterwards it is as before."""
    drawn(page)
    assert page.evaluate(CLOSED) == 0
    page.media("print", scheme="dark")
    assert page.evaluate("getComputedStyle(document.body).color") == "rgb(0, 0, 0)"
    assert page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    assert page.evaluate(OPEN) == 0


@pytest.mark.slow
def test_what_is_printed_has_all_charts(page: Page, tmp_path: Path) -> None:
    """The browser prints as it is told before it does: also of a page that nobody scrolled through."""
    page.evaluate(f"addEventListener('beforeprint', () => {{ window.closed_ = {CLOSED} }})")
    page.pdf(tmp_path / "page.pdf")
    assert (tmp_path / "page.pdf").read_bytes().startswith(b"%PDF")
    assert page.evaluate("window.closed_") == 0
    assert page.evaluate("document.querySelectorAll('.chart:empty').length") == 0


def test_links_lead_somewhere(page: Page) -> None:
    """Every link is to a part of this page that is there; nothing leads away."""
    targets: Any = page.evaluate("[...document.querySelectorAll('a')].map(e => e.getAttribute('href'))")
    assert all(target.startswith("#") for target in targets)
    assert page.evaluate("[...document.querySelectorAll('a')].every(e => document.getElementById(e.hash.slice(1)))")
    ids: Any = page.evaluate("[...document.querySelectorAll('[id]')].map(e => e.id)")
    assert len(ids) == len(set(ids))


@pytest.mark.slow
def test_a_page_of_many_cells_is_small_and_opens_fast(tab: Page, tmp_path: Path) -> None:
    """Thirty modes: below 2 MB, each with its first chart, what is left out said, and none drawn before it is near."""
    cells = [Truth(scenario=f"mode_{number}", send_lag_ms=0.1) for number in range(30)]
    (path := tmp_path / "many.html").write_text(
        render_html(build(make_run(tmp_path / "run", cells, pairs=12), chart_data=chart_data)), "utf-8"
    )
    assert path.stat().st_size < 2_000_000
    tab.size(1280)
    tab.open(path)
    modes = "[...document.querySelectorAll('section.mode')]"
    assert tab.evaluate(f"{modes}.length") == 30
    assert tab.evaluate(f"{modes}.every(mode => mode.querySelector('.chart'))")
    assert tab.evaluate(f"{modes}.some(mode => mode.textContent.includes('no room here'))")
    assert tab.evaluate("document.querySelectorAll('.chart svg').length") <= 6
