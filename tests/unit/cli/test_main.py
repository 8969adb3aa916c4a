"""The table of commands: it says what each command says of itself, and `bench --help` imports none of them."""

from __future__ import annotations

import subprocess
import sys

import click
import pytest
from click.testing import CliRunner

from bench.cli.main import COMMANDS, cli


@pytest.mark.parametrize("name", COMMANDS)
def test_the_line_of_a_command_is_its_own(name: str) -> None:
    """Each command is there under its name, and its help begins with the words of the table."""
    command = cli.get_command(click.Context(cli), name)
    assert command is not None
    assert command.name == name
    line = COMMANDS[name][1].rstrip(".")
    assert " ".join((command.help or "").split()).startswith(line)


def test_no_line_is_cut_off() -> None:
    """`bench --help` has every line of the table in full, in the order of the table."""
    text = " ".join(CliRunner().invoke(cli, ["--help"]).output.split())
    places = [text.index(f" {name} {line}") for name, (_, line) in COMMANDS.items()]
    assert places == sorted(places)


def test_the_help_imports_no_command() -> None:
    """Nothing of a command is imported for `bench --help`, and for `bench run --help` neither the SDK nor pandas."""
    heavy = ("cloup", "bench.plan", "openai", "pandas", "httpx2", "pydantic", "numpy")
    program = (
        "import sys; from bench.cli.main import cli; cli(sys.argv[1:], standalone_mode=False); "
        f"print([name for name in {heavy} if name in sys.modules])"
    )
    for arguments, imported in ((["--help"], []), (["run", "--help"], ["cloup", "bench.plan"])):
        done = subprocess.run(
            [sys.executable, "-c", program, *arguments], capture_output=True, text=True, encoding="utf-8", check=True
        )
        assert done.stdout.splitlines()[-1] == str(imported)


def test_an_option_is_below_its_group(monkeypatch: pytest.MonkeyPatch) -> None:
    """The help of `run` has its groups, also after another command with the same options was imported."""
    monkeypatch.setenv("COLUMNS", "100")
    CliRunner().invoke(cli, ["try", "--help"])
    text = CliRunner().invoke(cli, ["run", "--help"]).output
    heads = [line for line in text.splitlines() if line.endswith(":") and not line.startswith(" ")]
    assert heads == [
        "Target:",
        "Workload:",
        "How much:",
        "Load:",
        "Checks:",
        "Output:",
        "Other options:",
        "Examples:",
    ]
    load = text[text.index("\nLoad:") : text.index("\nChecks:")]
    assert "--rate R,R,…" in load
    assert "--pairs" not in load
