"""The doctor's page in a real browser: on a desktop and a phone, light and dark, without network or complaint."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path

import pytest

from bench.doctor.reports.html import render_html
from tests.support.chromium import HARMLESS, Page, chromium
from tests.support.doctors import EXAMPLES, bursty

pytestmark = pytest.mark.chromium

EVIL = "<script>window.hurt = 1</script><img src=https://evil.example/x onerror='window.hurt = 2'>"
DRAWN = "[...document.querySelectorAll('.chart')].every(box => box.querySelector('svg'))"
TOO_WIDE = (
    "[...document.querySelectorAll('body *')].filter(e => !e.closest('.scroll, .copy, .chart, table, .unseen') && "
    "e.getBoundingClientRect().right > innerWidth + 1).map(e => e.outerHTML)"
)


@pytest.fixture(scope="module")
def tab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    """One browser for all tests."""
    with chromium(tmp_path_factory.mktemp("profile")) as page:
        yield page


def shown(tab: Page, file: Path, width: int, scheme: str) -> None:
    """The page with everything open and drawn."""
    tab.errors.clear()
    tab.requests.clear()
    tab.media(scheme=scheme)
    tab.size(width)
    tab.open(file)
    tab.evaluate("dispatchEvent(new Event('beforeprint'))")
    tab.until(DRAWN)


@pytest.mark.slow
@pytest.mark.parametrize("name", EXAMPLES)
def test_every_page_is_quiet_and_fits(tab: Page, tmp_path: Path, name: str) -> None:
    """At 1280 and 390 pixels, light and dark: no error, no request, no width that needs scrolling."""
    (file := tmp_path / "doctor.html").write_text(render_html(EXAMPLES[name]()), "utf-8")
    for width, scheme in product((1280, 390), ("light", "dark")):
        shown(tab, file, width, scheme)
        assert tab.evaluate("document.querySelectorAll('.chart svg').length") >= 1
        assert not tab.errors
        assert not [url for url in tab.requests[1:] if not url.startswith(HARMLESS)]
        assert tab.evaluate("document.documentElement.scrollWidth") <= width
        assert tab.evaluate(TOO_WIDE) == []


@pytest.mark.slow
def test_what_a_server_sent_stays_text(tab: Page, tmp_path: Path) -> None:
    """Markup in a text, a config line and a hop's name is shown as it is, in the legend too, and never runs."""
    found = [replace(one, happens=EVIL, change=[replace(one.change[0], lines=[EVIL])]) for one in bursty().findings]
    named = [replace(one, curve=replace(one.curve, hop=EVIL)) for one in found if one.curve]
    (file := tmp_path / "doctor.html").write_text(render_html(replace(bursty(), findings=named)), "utf-8")
    shown(tab, file, 1280, "light")
    assert tab.evaluate("window.hurt") is None
    assert tab.evaluate("document.querySelectorAll('body img').length") == 0
    assert EVIL in tab.evaluate("document.querySelector('.copy').textContent")
    assert "<script>" in tab.evaluate("document.querySelector('.chart svg').textContent")
    assert not tab.errors
