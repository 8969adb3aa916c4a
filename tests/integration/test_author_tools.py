"""`bench try`, `bench check`, `bench new` and `bench.testing`, as a plugin's author uses them."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bench import Ask, Scenario
from bench.core.errors import BenchError
from bench.core.plugins.loader import load as load_plugins
from bench.simulator.process import Simulator
from bench.testing import check, load
from bench.testing.plugin.check import examine, logged_simulator
from bench.testing.plugin.findings import Finding
from tests.integration import test_install as install
from tests.support.cli import bench, environment, invoke, started
from tests.support.paths import ROOT
from tests.unit.test_docs import FENCE

PROMPTS = [{"prompt": "Say something.", "output_tokens": 30}]
SHORT = [{"prompt": "Say little.", "output_tokens": 6}]
LINE = re.compile(r"^ +([\d.]+) ms  '(.*)'$", re.MULTILINE)
PARAMS = {"long_output": '{"tokens": 40}'}
KEPT: list[Any] = []
"""Streams and tasks that the garbage collector must not end."""

Site = tuple[Simulator, Path]


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    """A simulator and its log."""
    with logged_simulator() as found:
        yield found


def findings(scenario: Scenario, site: Site) -> dict[str, Finding]:
    """By the question."""
    return {finding.name: finding for finding in examine(scenario, *site)}


def failed(scenario: Scenario, site: Site) -> set[str]:
    """The questions with a bad answer."""
    return {name for name, finding in findings(scenario, site).items() if finding.verdict == "FAIL"}


async def streamed(client: Any, ask: Ask) -> AsyncIterator[str]:
    """As it should be."""
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta


async def blocking(client: Any, ask: Ask) -> str:
    """As it should be."""
    return str((await client.responses.create(**ask.request, stream=False)).output_text)


def not_blank(text: str) -> None:
    """There is text."""
    if not text.strip():
        raise ValueError("blank")


@pytest.mark.slow
def test_a_sound_scenario_passes(site: Site) -> None:
    """Every question is answered with PASS; the line says which scenario and which question."""
    found = findings(Scenario("sound", streamed, blocking, check=not_blank, prompts=PROMPTS), site)
    assert {finding.verdict for finding in found.values()} == {"PASS"}
    assert len(found) == 10
    assert str(found["pieces"]) == "PASS sound pieces: 30 pieces"


async def lazy(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Blocks the loop, and gives everything at the end."""
    text = "".join([piece async for piece in streamed(client, ask)])
    time.sleep(0.5)  # noqa: ASYNC251
    yield text.upper()


@pytest.mark.slow
def test_what_is_wrong_with_the_result_is_found(site: Site) -> None:
    """One piece, at the end, another result, a `check` that takes anything, and a loop that stands still: all FAIL."""
    scenario = Scenario("lazy", lazy, blocking, check=lambda _: None, prompts=SHORT)
    assert failed(scenario, site) == {"pieces", "early", "same", "rejects", "loop"}


async def careless(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Leaves its stream open, sends something afterwards, and does not let itself be cancelled."""
    stream = await client.responses.create(**ask.request, stream=True)
    KEPT.extend([stream, asyncio.create_task(later(client, ask))])
    pause = 0.3
    async for event in stream:
        if event.type == "response.output_text.delta":
            yield event.delta
            try:
                await asyncio.sleep(pause)
            except asyncio.CancelledError:
                return
            pause = 0


async def later(client: Any, ask: Ask) -> None:
    """A request that nobody waits for."""
    await asyncio.sleep(1)
    await client.responses.create(**ask.request, stream=False)


@pytest.mark.slow
def test_what_is_wrong_with_leaving_is_found(site: Site) -> None:
    """A stream that stays open, a caught cancellation and a request after the end: each is a FAIL."""
    scenario = Scenario("careless", careless, check=not_blank, prompts=PROMPTS)
    assert failed(scenario, site) == {"closing", "cancelling", "requests"}


async def broken(client: Any, ask: Ask) -> AsyncIterator[str]:
    """Stumbles."""
    async for piece in streamed(client, ask):
        if piece:
            raise KeyError(piece)
        yield piece


def test_the_function_for_tests() -> None:
    """`check` raises with the lines that are a FAIL; an exception has its file and line, and no result is compared."""
    scenario = Scenario("broken", broken, blocking, check=not_blank, prompts=SHORT)
    with pytest.raises(AssertionError) as raised:
        check(scenario)
    lines = str(raised.value).splitlines()
    assert re.match(r"FAIL broken ends: .* scenario_error: KeyError: .*test_author_tools\.py:\d+", lines[0])
    assert {line.split()[2] for line in lines} == {"ends:", "again:"}


def test_loading_a_file_for_tests() -> None:
    """`load` gives the scenarios of one file, and says when there is none."""
    assert [one.name for one in load(ROOT / "plugins/early_break.py")] == ["early_break", "early_break_bare"]
    with pytest.raises(BenchError, match="no such file"):
        load("nowhere.py")


@pytest.mark.slow
def test_try_shows_each_piece(tmp_path: Path) -> None:
    """Pieces with rising times, then the table of both trials; nothing is written."""
    done = bench("try", "text", "--output-tokens", "8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    pieces = LINE.findall(done.stdout)
    times = [float(time) for time, _ in pieces]
    assert len(pieces) == 9  # eight of the stream, and the whole of the blocking trial
    assert times[:8] == sorted(times[:8])
    assert "".join(text for _, text in pieces[:8]) == pieces[8][1]
    assert re.search(r"^status +ok +ok$", done.stdout, re.MULTILINE)
    assert done.stdout.endswith("results: equal\n")
    assert list(tmp_path.iterdir()) == []


def test_try_asks_before_it_spends(tmp_path: Path) -> None:
    """A target that is not this machine is not asked before somebody said yes; the estimate is of two trials."""
    done = invoke("try", "text", "--base-url", "http://192.0.2.1/v1", "--model", "m", cwd=tmp_path)
    assert done.returncode == 2
    assert "2 requests" in done.stderr
    assert "--yes" in done.stderr


@pytest.mark.slow
def test_try_says_what_failed(tmp_path: Path) -> None:
    """A failed trial is shown with what came of it, and its reason; exit 4."""
    done = invoke("try", "text", "--fault", "cut:0.5=1", "--max-retries", "0", cwd=tmp_path)
    assert done.returncode == 4
    assert LINE.search(done.stdout)
    assert "streamed: APIConnectionError" in done.stdout
    assert "2 of 2 trials failed" in done.stderr


@pytest.mark.slow
def test_try_is_live(tmp_path: Path) -> None:
    """The first pieces are printed while the others are still to come."""
    process = started("try", "text", "--profile", "typical", "--delivery", "streamed", cwd=tmp_path)
    seen = [time.monotonic() for line in process.stdout or () if LINE.match(line)]
    process.communicate(timeout=60)
    assert process.returncode == 0
    assert seen[-1] - seen[0] > 1


@pytest.mark.slow
def test_check_exits_with_1(tmp_path: Path) -> None:
    """The command prints a line for each finding; one FAIL makes it exit 1, what is no plugin 2."""
    text = (ROOT / "plugins/text.py").read_text().replace('"text", streamed', '"mine", streamed')
    (tmp_path / "mine.py").write_text(text)
    (tmp_path / "bad.py").write_text(text.replace('"mine"', '"bad"').replace("if not text.strip()", "if text is None"))
    good, bad, none = (bench("check", f"./{name}.py", cwd=tmp_path) for name in ("mine", "bad", "none"))
    assert (good.returncode, bad.returncode, none.returncode) == (0, 1, 2), good.stdout + bad.stdout + none.stderr
    assert re.fullmatch(r"((PASS|SKIP) mine \w+: .+\n){10}", good.stdout)
    assert "FAIL bad rejects: " in bad.stdout
    assert "no such file" in none.stderr


def shorter(scenario: Scenario) -> Scenario:
    """The same with short answers, where nothing but the prompt says how long they are."""
    texts = [prompt for prompt in scenario.prompts if isinstance(prompt, str)]
    return replace(scenario, prompts=[{"prompt": text, "output_tokens": 40} for text in texts] or scenario.prompts)


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_every_built_in_scenario_is_sound(site: Site) -> None:
    """The examples that people copy pass their own check."""
    registry = load_plugins()
    found = [
        finding
        for name, (scenario, _) in registry.scenarios.items()
        for finding in examine(shorter(scenario), *site, params=PARAMS.get(name), hooks=registry.manager)
    ]
    assert len({finding.scenario for finding in found}) == len(registry.scenarios) > 15
    assert [str(finding) for finding in found if finding.verdict == "FAIL"] == []


@pytest.mark.slow
def test_an_own_stack_is_checked_too(tmp_path: Path) -> None:
    """The worked example with an app of its own passes; what cannot be seen of it is skipped."""
    done = bench("check", ROOT / "docs/examples/fastapi_chat.py", cwd=tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    verdicts = {(line.split()[0], line.split()[2]) for line in done.stdout.splitlines()}
    assert {("PASS", "closing:"), ("PASS", "cancelling:"), ("PASS", "early:"), ("SKIP", "requests:")} <= verdicts


@pytest.mark.slow
def test_a_new_plugin_is_green_as_written(tmp_path: Path) -> None:
    """`bench new` writes a plugin and a test that passes, and refuses to write over them."""
    done = bench("new", "My RAG", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.iterdir()} == {"my_rag.py", "test_my_rag.py"}
    assert {f"bench {word} ./my_rag.py" for word in ("try", "check", "run")} <= set(
        re.findall(r"bench \w+ \./my_rag\.py", done.stdout)
    )
    again = invoke("new", "my_rag", cwd=tmp_path)
    assert again.returncode == 2
    assert "my_rag.py is there already" in again.stderr


@pytest.mark.paced
@pytest.mark.slow
def test_the_new_test_and_run_pass(tmp_path: Path) -> None:
    """What `bench new` wrote passes its own test, and can be run."""
    assert invoke("new", "mine", cwd=tmp_path).returncode == 0
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_mine.py"]
    tested = subprocess.run(command, cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stdout
    assert "1 passed" in tested.stdout
    run = bench("run", "./mine.py", "--pairs", "1", "--warmup", "0", "--no-memory", cwd=tmp_path)
    assert run.returncode == 0, run.stderr


@pytest.mark.slow
def test_a_new_package_can_be_installed(tmp_path: Path) -> None:
    """`bench new --package`, with the tutorial's plugin in it, is a distribution that `bench` finds and runs."""
    assert invoke("new", "rag", "--package", cwd=tmp_path).returncode == 0
    page = (ROOT / "docs/writing-a-plugin.md").read_text("utf-8")
    (plugin,) = [text for _, name, text in FENCE.findall(page) if name == "rag.py"]
    (tmp_path / "rag/rag.py").write_text(plugin)
    commands = install.environment(tmp_path / "venv", str(ROOT), str(tmp_path / "rag"))
    listed = install.call([commands / "bench", "list"], tmp_path).stdout
    assert re.search(r"^  rag +Questions .*\n .* entry point rag \(bench-rag 0\.1\.0\)$", listed, re.MULTILINE)
    assert "equal" in install.call([commands / "bench", "try", "rag"], tmp_path).stdout
