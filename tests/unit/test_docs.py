"""The documentation says what the code does: generated pages, hooks, commands, links."""

from __future__ import annotations

import inspect
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import get_args

import click
import pytest

import bench
from bench.cli.main import cli
from bench.core.plugins import hookspecs
from bench.core.plugins.loader import HOOKS, load
from bench.doctor.diagnosis import Verdict
from bench.doctor.verdict import path
from bench.doctor.verdict import properties as checks
from bench.doctor.verdict.votes import Vote
from bench.simulator.control import Control
from bench.simulator.timing.profiles import MODELS, PROFILES
from tests.support.paths import ROOT
from tools.docs import doctor_reference, generate, scenario_page

PAGES = [ROOT / name for name in ("README.md", "CHANGELOG.md", "CONTRIBUTING.md")] + sorted(ROOT.glob("docs/**/*.md"))
PLUGIN_PAGE = (ROOT / "docs/writing-a-plugin.md").read_text("utf-8")
FENCE = re.compile(r"^```(\w*)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\(([^)\s]+)\)")
COMMAND = re.compile(r"^(?:\$ )?bench ([^#\n]*)", re.MULTILINE)
REDIRECTED = re.compile(r" 2>| > (?=[\w.]+$)")
INLINE = re.compile(r"`bench ([^`]+)`")
PLACEHOLDERS = {"NAME", "FILE", "DIR", "N", "RUN", "COMMAND"}


def commands(page: Path) -> Iterator[str]:
    """Every command line of a page, in blocks and in the text, without `bench` in front."""
    text = page.read_text("utf-8")
    blocks = "\n".join(match[3] for match in FENCE.finditer(text) if match[1] in {"", "console"})
    yield from (REDIRECTED.split(match[1])[0].rstrip("…\\ ") for match in COMMAND.finditer(blocks))
    yield from (match[1].rstrip("… ") for match in INLINE.finditer(FENCE.sub("", text).replace("\n", " ")))


@pytest.mark.parametrize("path", generate.pages(), ids=lambda path: path.name)
def test_generated_pages_are_up_to_date(path: Path) -> None:
    """`python -m tools.docs.generate` would change nothing."""
    assert path.read_text("utf-8") == generate.pages()[path]


BUILT_IN = [pytest.param(scenario, id=name) for name, (scenario, _) in load().scenarios.items()]


@pytest.mark.parametrize("scenario", BUILT_IN)
def test_every_built_in_says_what_it_is(scenario: bench.Scenario) -> None:
    """Its file says what is useful, what a blocking call gives and what to expect; each parameter what it is."""
    doc = sys.modules[scenario.streamed.__module__].__doc__ or ""
    for word in ("Useful", "Blocking", "Expect"):
        assert len(re.findall(rf"^{word}: \w*", doc, re.MULTILINE)) == 1, word
    assert scenario.expect.endswith(".")
    assert all(field.description for field in (scenario.params.model_fields.values() if scenario.params else ()))


@pytest.mark.parametrize("scenario", BUILT_IN)
def test_every_number_of_its_own_is_named(scenario: bench.Scenario) -> None:
    """Every `record("name", …)` and `mark("name")` of a built-in's file stands in its paragraph `Records: …`."""
    source = inspect.getsource(sys.modules[scenario.streamed.__module__])
    found = re.findall(r"ask\.(record|mark)\(\s*\"([\w.]+)\"", source)
    names = [f"`mark.{name}`" if kind == "mark" else f"`{name}`" for kind, name in found]
    said = re.search(r"^Records: (.*?)\n\n", source, re.MULTILINE | re.DOTALL)
    assert [name for name in names if name not in (said[1] if said else "")] == []


def test_the_scenarios_of_a_file_are_alike() -> None:
    """What docs/scenarios.md says of a file's scenarios together is so: their API, tags and parameters."""
    for plugin in scenario_page.built_in():
        assert len({(scenario.api, tuple(scenario.tags), scenario.params) for scenario in plugin.scenarios}) == 1


def test_every_mode_has_its_section() -> None:
    """Each built-in has a heading in docs/scenarios.md and a link in the README, and each tag a row in both."""
    page, readme = (ROOT / "docs/scenarios.md").read_text("utf-8"), (ROOT / "README.md").read_text("utf-8")
    headings = " ".join(re.findall(r"^## (.*)$", page, re.MULTILINE))
    for name, tag in [(str(p.id), tag) for p in BUILT_IN for tag in p.values[0].tags]:  # type: ignore[union-attr]
        assert f"`{name}`" in headings
        assert re.search(rf"^\| `{tag}` \|.*\[`{name}`\]\(docs/scenarios.md#", readme, re.MULTILINE)


@pytest.mark.parametrize("hook", HOOKS)
def test_every_hook_has_its_heading(hook: str) -> None:
    """The tutorial has a section for each hook, under its signature."""
    signature = str(inspect.signature(getattr(hookspecs, hook))).replace("'", "")
    assert f"\n### `{hook}{signature}`\n" in PLUGIN_PAGE


def test_no_heading_is_of_a_hook_that_is_gone() -> None:
    """The hooks of the tutorial are those there are."""
    assert sorted(re.findall(r"^### `(\w+)", PLUGIN_PAGE, re.MULTILINE)) == sorted(HOOKS)


def test_what_a_plugin_author_imports() -> None:
    """`bench.__all__` is exactly what the tutorial's plugins import, and each name is there."""
    imported = {
        name.strip()
        for block in FENCE.finditer(PLUGIN_PAGE)
        for line in re.findall(r"^from bench import (.*)$", block[3], re.MULTILINE)
        for name in line.split(",")
    }
    assert imported == set(bench.__all__)
    assert all(hasattr(bench, name) for name in bench.__all__)


def test_every_part_of_an_ask_is_explained() -> None:
    """The tutorial names every field of `Ask` that a scenario reads, and every method."""
    parts = {field.name for field in fields(bench.Ask)} - {"recorder"}
    methods = {name for name, value in vars(bench.Ask).items() if inspect.isfunction(value) and name[0] != "_"}
    section = PLUGIN_PAGE[PLUGIN_PAGE.index("What an `Ask` holds") :]
    assert [name for name in parts | methods if not re.search(rf"`(Ask\.)?{name}[`(]", section)] == []


def test_every_option_of_a_scenario_is_explained() -> None:
    """The tutorial names every field of `Scenario`; `api` has one value so far."""
    names = {field.name for field in fields(bench.Scenario)} - {"name", "api"}
    assert [name for name in names if not re.search(rf"`{name}[`(=]", PLUGIN_PAGE)] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_command_can_be_typed(page: Path) -> None:
    """Every `bench …` of the documentation is a command with options that exist and values that they take."""
    for line in commands(page):
        arguments = [("1" if word in PLACEHOLDERS else word) for word in shlex.split(line)]
        command = cli.get_command(click.Context(cli), arguments[0])
        assert command or arguments[0].startswith("-") or arguments[0] == "1", f"bench {line}"
        if command and arguments[1:] and "--help" not in arguments:  # a name alone only names the command
            command.make_context("bench", arguments[1:]).close()


def test_commands_are_found() -> None:
    """The reader of commands above reads commands: the README's first example is among them."""
    found = list(commands(ROOT / "README.md"))
    assert "run --base-url http://127.0.0.1:8000/v1 --model my-model" in [line.strip() for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    """Every link to a file of this project, and to a heading in it, finds it."""
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        name, _, anchor = link.partition("#")
        if "://" in link:
            continue
        target = page.parent / name if name else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


def anchors(page: Path) -> set[str]:
    """The headings of a page as GitHub spells them in links."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_tour_shows_the_table_of_this_version() -> None:
    """Each line of the tour's tables without figures, such as the heads of columns, is one the reporter writes."""
    (tour,) = [match[3] for match in FENCE.finditer((ROOT / "README.md").read_text("utf-8")) if match[1] == "text"]
    golden = (ROOT / "tests/golden/terminal.txt").read_text("utf-8")
    written = {" ".join(line.split()) for line in golden.splitlines()}
    tables = tour[tour.index("\nscenario") :].partition("\nclaims")[0]
    heads = [" ".join(line.split()) for line in tables.splitlines() if line.strip() and not re.search(r"\d", line)]
    assert len(heads) >= 4
    assert [line for line in heads if line not in written] == []


def test_the_readmes_scenario_is_the_tutorials() -> None:
    """The README shows the plugin that the tutorial's test runs."""
    readme = [match[3] for match in FENCE.finditer((ROOT / "README.md").read_text("utf-8")) if match[1] == "python"]
    tutorial = {match[2]: match[3] for match in FENCE.finditer(PLUGIN_PAGE)}
    assert readme == [tutorial["haiku.py"]]


def test_the_simulators_page_names_its_numbers() -> None:
    """Profiles with their values, models, and every key of the control field."""
    page = (ROOT / "docs/simulator.md").read_text("utf-8")
    for name, profile in PROFILES.items():
        events = "–".join(map(str, dict.fromkeys(profile.tokens_per_event)))
        times = f"{profile.ttft_ms:g} | {profile.token_ms:g} | {profile.tokens}"
        assert f"| `{name}` | {times} | {events} | {profile.jitter:g} |" in page
    section = page.split("## The control field")[1].split("\n## ")[0]
    assert re.findall(r"^\| `(\w+)` \| ", section, re.MULTILINE) == list(Control.model_fields)
    assert all(f"`{model}`" in page for model in MODELS)


def test_the_doctors_page_has_every_rule() -> None:
    """Each verdict, each thing that an answer may say, and each check has its row; its numbers are the code's."""
    assert set(doctor_reference.RULES) == set(get_args(Verdict))
    assert set(doctor_reference.VOTES) == set(get_args(Vote))
    assert list(doctor_reference.CHECKS) == list(checks.CHECKS)
    asked = path.UpstreamResponse(t_received=0, t_sent=[], types=[], chars=[], sizes=[])
    seen = {check.name for check in path.gateway_checks("hop", [asked])} | {"cancel", "retry headers"}
    assert set(doctor_reference.BEHIND) == seen


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_no_page_names_a_machine(page: Path) -> None:
    """No absolute path of somebody's machine stands in the documentation."""
    assert not re.search(r"(?<![\w.:/])/(home|work|tmp|root|Users|opt)/", page.read_text("utf-8"))
