"""Plugins: found, loaded by path, checked, and every mistake one line that names the file."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from textwrap import dedent

import pytest

from bench.core.errors import BenchError
from bench.core.plugins.loader import HOOKS, builtin_folder, load
from tests.support.paths import ROOT

GOOD = """
    from __future__ import annotations
    from dataclasses import dataclass
    from bench import Scenario, hookimpl

    @dataclass
    class Settings:  # with postponed annotations this needs the module in sys.modules
        name: str = "mine"

    async def streamed(client, ask):
        yield "x"

    @hookimpl
    def register_scenarios():
        yield Scenario(Settings().name, streamed)
"""


def plugin(folder: Path, text: str, name: str = "mine.py") -> Path:
    path = folder / name
    path.write_text(dedent(text))
    return path


def scenario(text: str) -> str:
    """A plugin whose scenario is made by this expression."""
    return f"""
        from bench import Scenario, hookimpl

        async def streamed(client, ask):
            yield "x"

        async def blocking(client, ask):
            return "x"

        def plain(client, ask):
            return "x"

        @hookimpl
        def register_scenarios():
            yield {text}
    """


def test_the_built_ins_come_through_the_same_hooks() -> None:
    """Without anything named there are the built-in scenarios and reporters, each with where it is from."""
    registry = load()
    assert {"text", "function_call", "structured_output"} <= set(registry.scenarios)
    assert registry.scenarios["text"][1].source == "built in (text.py)"
    assert {"terminal", "markdown", "csv", "json", "html", "pytest-benchmark"} == set(registry.reporters)
    assert list(registry.scenarios) == sorted(registry.scenarios)


def test_a_file_is_loaded_by_path(tmp_path: Path) -> None:
    """A named file is a plugin; it can be named twice, and cannot be imported by its name."""
    path = plugin(tmp_path, GOOD)
    registry = load([path, path.parent / "." / "mine.py"])
    assert registry.scenarios["mine"][1].path == path.resolve()
    assert "mine" not in sys.modules


def test_files_of_one_name_do_not_hide_each_other(tmp_path: Path) -> None:
    """Two files called alike in two folders are two plugins."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        plugin(tmp_path / name, GOOD.replace("mine", name), "mine.py")
    registry = load([tmp_path / "one" / "mine.py"], [tmp_path / "two"])
    assert {"one", "two"} <= set(registry.scenarios)


def test_a_folder_of_plugins(tmp_path: Path) -> None:
    """Every .py file of a named folder is loaded, but those that begin with an underscore."""
    plugin(tmp_path, GOOD)
    plugin(tmp_path, "raise RuntimeError", "_helper.py")
    assert "mine" in load(folders=[tmp_path]).scenarios


def test_the_current_folder_is_not_loaded(tmp_path: Path) -> None:
    """Code that lies around is never run unasked."""
    plugin(tmp_path, "raise SystemExit('this must not run')")
    done = subprocess.run(
        [sys.executable, "-m", "bench", "list"],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PATH": "/usr/bin:/bin"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("import no_such_module", r"mine\.py fails to import: ModuleNotFoundError: .*mine\.py:1"),
        ("def broken(:", r"mine\.py fails to import: SyntaxError: .*mine\.py, line 1"),
        ("x = 1\n\ny = 1 / 0", r"mine\.py fails to import: ZeroDivisionError: .*mine\.py:3"),
        ("x = 1", r"mine\.py: no hook found; decorate one of observe"),
        (
            "from bench import hookimpl\n\n@hookimpl\ndef register_scenario():\n    return []",
            r"mine\.py: unknown hook 'register_scenario'.*the hooks: observe, register_reporters",
        ),
        (
            "from bench import hookimpl\n\n@hookimpl\ndef observe(trail):\n    return None",
            r"mine\.py: .*observe.*trail",
        ),
        (
            "from bench import hookimpl\n\n@hookimpl\ndef register_scenarios():\n    yield 'text'",
            r"mine\.py: register_scenarios gave 'text'; it must yield Scenarios",
        ),
        (
            "from bench import hookimpl\n\n@hookimpl\ndef register_scenarios():\n    raise OSError('disk')",
            r"mine\.py: register_scenarios fails: OSError: disk .*mine\.py:5",
        ),
        (scenario('Scenario("text", streamed)'), r"two scenarios are called 'text': built in \(text\.py\) and .*mine"),
        (scenario('Scenario("Mine!", streamed)'), r"a name is lower-case letters"),
        (scenario('Scenario("mine", plain)'), r"`streamed` must be a generator"),
        (scenario('Scenario("mine", blocking)'), r"`streamed` must be a generator"),
        (scenario('Scenario("mine", streamed, plain)'), r"`streamed` is async def but `blocking` is def"),
        (scenario('Scenario("mine", streamed, api="soap")'), r"`api` is 'responses' or 'chat', not 'soap'"),
        (scenario('Scenario("mine", streamed, prompts=[])'), r"`prompts` is empty"),
        (scenario('Scenario("mine", streamed, prompts=[{"text": "x"}])'), r"each of `prompts` is a text"),
        ("import sys\nsys.exit('bye')", r"mine\.py fails to import: SystemExit: bye"),
    ],
)
def test_mistakes_are_one_line_with_the_file(tmp_path: Path, text: str, says: str) -> None:
    """Whatever is wrong with a plugin is one line that names its file and what to do."""
    path = plugin(tmp_path, text)
    with pytest.raises(BenchError, match=says) as caught:
        load([path])
    assert "\n" not in str(caught.value)


def test_a_file_or_folder_that_is_not_there(tmp_path: Path) -> None:
    """A path that does not exist is said as it was typed."""
    with pytest.raises(BenchError, match=r"nowhere\.py: no such file"):
        load([tmp_path / "nowhere.py"])
    with pytest.raises(BenchError, match=r"--plugins-dir .*nowhere: not a folder"):
        load(folders=[tmp_path / "nowhere"])


def test_targets_say_which_plugin_they_are_from(tmp_path: Path) -> None:
    """A plugin's target is known by name with its plugin as source."""
    path = plugin(
        tmp_path,
        """
        from bench import Target, hookimpl

        @hookimpl
        def register_targets():
            yield Target(name="lab", base_url="http://lab.example/v1")
        """,
    )
    (target,) = load([path]).plugin_targets()
    assert (target.name, target.source) == ("lab", str(path.resolve()))


def test_every_hook_is_listed() -> None:
    """The names that error messages offer are the hooks there are."""
    from bench.core.plugins import hookspecs

    specified = [name for name, value in vars(hookspecs).items() if hasattr(value, "bench_spec")]
    assert sorted(HOOKS) == sorted(specified)


def test_the_built_in_folder_is_the_checkouts() -> None:
    """In a checkout the built-ins are the files of `plugins/`, which a user can copy."""
    assert builtin_folder() == ROOT / "plugins"
