"""A checkout, an editable install and a wheel are the same tool, and it starts quickly."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
import sysconfig
from collections.abc import Mapping, Sequence
from pathlib import Path
from zipfile import ZipFile

import pyarrow.parquet as pq
import pytest

from bench import __version__
from tests.support.paths import ROOT

PLACES = ("checkout", "editable", "wheel")
QUICK = ("--pairs", "1", "--warmup", "0", "--no-memory", "--profile", "flood")

PLUGIN_PROJECT = """
[build-system]
requires = ["hatchling"]
build-backend = "hatchling.build"
[project]
name = "bench-haiku"
version = "4.2"
[project.entry-points.bench]
haiku = "haiku"
[tool.hatch.build.targets.wheel]
only-include = ["haiku.py"]
"""

PLUGIN = '''
"""A poem of three lines."""
from bench import Scenario, hookimpl

async def streamed(client, ask):
    async with await client.responses.create(**ask.request, stream=True) as stream:
        async for event in stream:
            if event.type == "response.output_text.delta":
                yield event.delta

async def blocking(client, ask):
    return (await client.responses.create(**ask.request, stream=False)).output_text

@hookimpl
def register_scenarios():
    yield Scenario("haiku", streamed, blocking)
'''

SPY = '''
"""Records which modules are there before and after each trial."""
import sys
from contextlib import asynccontextmanager
from bench import hookimpl

NAMES = ("openai", "pandas", "scipy", "altair", "pyarrow")

@asynccontextmanager
async def watched(trial):
    for when in ("before", "after"):
        for name in NAMES:
            trial.record(f"{name} {when}", name in sys.modules, "")
        if when == "before":
            yield

@hookimpl
def observe(trial):
    return watched(trial)
'''


def call(command: Sequence[str | Path], cwd: Path, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that must succeed, in a folder, without this process's own PYTHONPATH."""
    clean = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    done = subprocess.run(command, cwd=cwd, env=clean | env, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def environment(folder: Path, *packages: str) -> Path:
    """A fresh virtual environment with these packages, their dependencies borrowed. The folder of its commands."""
    call([sys.executable, "-m", "venv", "--without-pip", folder], folder.parent)
    commands = folder / "bin"
    site = next(folder.glob("lib/python*/site-packages"))
    borrowed = dict.fromkeys(sysconfig.get_path(name) for name in ("purelib", "platlib"))
    (site / "borrowed.pth").write_text("\n".join(borrowed))
    python = str(commands / "python")
    pip = [sys.executable, "-m", "pip", "--python", python, "install", "--quiet", "--no-deps", "--ignore-installed"]
    call([*pip, *packages], folder.parent)
    return commands


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from this checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    call([sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder, ROOT], folder)
    (built,) = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def wheel_bin(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An environment with the wheel and somebody else's plugin."""
    folder = tmp_path_factory.mktemp("installed")
    project = folder / "bench-haiku"
    project.mkdir()
    (project / "pyproject.toml").write_text(PLUGIN_PROJECT)
    (project / "haiku.py").write_text(PLUGIN)
    return environment(folder / "venv", str(wheel), str(project))


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Sequence[str]]:
    """How `bench` is called, by the place it is in."""
    folder = tmp_path_factory.mktemp("places")
    return {
        "checkout": (sys.executable, "-m", "bench"),
        "editable": (str(environment(folder / "editable", f"--editable={ROOT}") / "bench"),),
        "wheel": (str(environment(folder / "wheel", str(wheel)) / "bench"),),
    }


def bench(commands: Mapping[str, Sequence[str]], place: str, cwd: Path, *arguments: str) -> str:
    """What a command prints, run in an empty folder."""
    env = {"PYTHONPATH": str(ROOT)} if place == "checkout" else {}
    return call([*commands[place], *arguments], cwd, **env).stdout


@pytest.mark.slow
def test_every_place_lists_the_same(commands: Mapping[str, Sequence[str]], tmp_path: Path) -> None:
    """Scenarios, targets and reporters are the same in a checkout, an editable install and a wheel."""
    listings = {place: bench(commands, place, tmp_path, "list") for place in PLACES}
    assert len(set(listings.values())) == 1
    for name in ("text", "function_call", "structured_output"):
        assert re.search(rf"^  {name} .*\n .* built in \({name}.py\)$", listings["wheel"], re.MULTILINE)


@pytest.mark.paced
@pytest.mark.slow
@pytest.mark.parametrize("place", PLACES)
def test_every_place_can_run(commands: Mapping[str, Sequence[str]], place: str, tmp_path: Path) -> None:
    """A run works in an empty folder and leaves its reports in `reports` there."""
    assert "text" in bench(commands, place, tmp_path, "run", "text", *QUICK)
    (run,) = (tmp_path / "reports").iterdir()
    assert {"report.html", "report.md", "summary.csv", "summary.json"} <= {file.name for file in run.iterdir()}
    assert [path.name for path in tmp_path.iterdir()] == ["reports"]


@pytest.mark.slow
def test_the_wheel_holds_everything(wheel: Path) -> None:
    """Built-in scenarios, templates, the mark of a typed package, and beside it the pytest plugin; no tests."""
    names = set(ZipFile(wheel).namelist())
    patterns = ("**/*.py", "reports/templates/*", "testing/plugin/templates/*", "simulator/conformance_streams/*/*")
    for folder, pattern in [*(("bench", pattern) for pattern in patterns), ("plugins", "*.py")]:
        inside = Path("bench/plugins") if folder == "plugins" else Path(folder)
        found = [file for file in (ROOT / folder).glob(pattern) if file.parent.name != "beside"]
        files = {(inside / file.relative_to(ROOT / folder)).as_posix() for file in found}
        assert files
        assert files <= names
    assert "bench/py.typed" in names
    beside = {file.name for file in (ROOT / "bench/gate/pytest/beside").glob("*.py")}
    assert {name.split("/")[0] for name in names} == {"bench", f"streambench-{__version__}.dist-info", *beside}


@pytest.mark.slow
def test_an_installed_plugin_is_found(wheel_bin: Path, tmp_path: Path) -> None:
    """A distribution with an entry point in group `bench` is listed with name and version, and its scenario runs."""
    listing = call([wheel_bin / "bench", "list"], tmp_path).stdout
    assert re.search(
        r"^  haiku +A poem of three lines\.\n .* entry point haiku \(bench-haiku 4\.2\)$", listing, re.MULTILINE
    )
    assert "haiku" in call([wheel_bin / "bench", "run", "haiku", *QUICK], tmp_path).stdout


@pytest.mark.slow
def test_all_three_names_are_one_command(wheel_bin: Path, tmp_path: Path) -> None:
    """`bench`, `streambench` and `python -m bench` do the same."""
    called: list[list[str | Path]] = [
        [wheel_bin / "bench"],
        [wheel_bin / "streambench"],
        [wheel_bin / "python", "-m", "bench"],
    ]
    assert len({call([*command, "list"], tmp_path).stdout for command in called}) == 1
    versions = {call([*command, "--version"], tmp_path).stdout for command in called}
    assert versions == {f"bench, version {__version__}\n"}


def test_help_is_quick(tmp_path: Path) -> None:
    """`bench --help` takes less than 0.3 s of CPU: what only one command needs is imported inside it."""
    spent = []
    for _ in range(5):
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        call([sys.executable, "-m", "bench", "--help"], tmp_path, PYTHONPATH=str(ROOT))
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        spent.append(after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime)
    assert min(spent) < 0.3


def test_help_imports_nothing_heavy(tmp_path: Path) -> None:
    """`bench --help` loads click, but neither the SDK nor anything of the analysis or the simulator."""
    command = [sys.executable, "-X", "importtime", "-m", "bench", "--help"]
    lines = call(command, tmp_path, PYTHONPATH=str(ROOT)).stderr.splitlines()
    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in lines if line.startswith("import time:")}
    assert "click" in loaded
    heavy = {"openai", "httpx2", "numpy", "pandas", "pyarrow", "scipy", "altair", "pydantic", "starlette", "uvicorn"}
    assert not heavy & loaded


@pytest.mark.slow
def test_nothing_heavy_is_loaded_while_trials_run(tmp_path: Path) -> None:
    """Before and after every trial the measuring process has openai, but no pandas, scipy, altair or pyarrow."""
    spy = tmp_path / "spy.py"
    spy.write_text(SPY)
    command = [sys.executable, "-m", "bench", "run", "text", "--plugin", str(spy), *QUICK]
    call(command, tmp_path, PYTHONPATH=str(ROOT))
    (run,) = (tmp_path / "reports").iterdir()
    rows = pq.read_table(run / "metrics.parquet").to_pylist()
    assert len(rows) == 2 * 10
    assert {row["name"].split()[0] for row in rows if row["value"]} == {"openai"}
    assert len([row for row in rows if row["value"]]) == 4
