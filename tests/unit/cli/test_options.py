"""What click makes of a declared option."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cloup
import pytest
from click.shell_completion import CompletionItem
from click.testing import CliRunner

from bench.cli.options import OptionType, declared_options
from bench.plan.options.kinds import PATH, one_of, whole_number
from bench.plan.options.option import given_values, option, toml_options


@dataclass(frozen=True, kw_only=True)
class Tuning:
    """Options that are declared here and nowhere else."""

    turns: int = option(3, "-n", "--turns", kind=whole_number(1), toml=True, group="Load", help="Number of turns.")
    names: Sequence[str] = option((), "--name", repeat=True, finish=sorted, metavar="NAME", help="A name.")
    folders: Sequence[Path] = option((), "--folder", kind=PATH, repeat=True, env="TUNING_FOLDERS", help="A folder.")
    quick: bool = option(False, "--quick/--slow", help="Be quick.")


@cloup.command()
@declared_options(Tuning)
def tune(**options: Any) -> None:
    """Print the options."""
    print(Tuning(**given_values(Tuning, options)))


@pytest.mark.parametrize(
    ("arguments", "tuning"),
    [
        ([], Tuning()),
        (["-n", "5", "--quick"], Tuning(turns=5, quick=True)),
        (["--name", "b", "--name", "a"], Tuning(names=["a", "b"])),
        (["--folder", "x"], Tuning(folders=(Path("x"),))),
    ],
)
def test_a_declaration_is_an_option(arguments: list[str], tuning: Tuning) -> None:
    """What is given reaches its field, and the rest keeps its default."""
    assert CliRunner().invoke(tune, arguments).output == f"{tuning}\n"


def test_its_help_and_its_bounds() -> None:
    """The group, the flags, the bounds that a value must keep, and a wrong value as click says it."""
    text = CliRunner().invoke(tune, ["--help"]).output
    assert "Load:\n  -n, --turns INTEGER  Number of turns.  [x>=1]\n" in text
    assert "--name NAME" in text
    assert "--folder PATH" in text
    failed = CliRunner().invoke(tune, ["--turns", "0"])
    assert failed.exit_code == 2
    assert "Invalid value for '-n' / '--turns': 0 is not in the range x>=1." in failed.output


def test_a_variable_says_the_same() -> None:
    """Paths of an environment variable are separated as in the PATH of the system."""
    env = {"TUNING_FOLDERS": f"a b{os.pathsep}c"}
    assert CliRunner().invoke(tune, [], env=env).output == f"{Tuning(folders=(Path('a b'), Path('c')))}\n"


def test_a_file_takes_what_is_declared_for_it() -> None:
    """Only an option that says so may stand in bench.toml."""
    assert list(toml_options(Tuning)) == ["turns"]


def test_words_and_paths_are_completed() -> None:
    """A shell is offered the words that begin so, or files."""

    def offered(kind: OptionType, text: str) -> list[tuple[Any, str]]:
        items: list[CompletionItem] = kind.shell_complete(None, None, text)  # type: ignore[arg-type]
        return [(item.value, item.type) for item in items]

    assert offered(OptionType(one_of("both", "blocking", "streamed")), "b") == [
        ("both", "plain"),
        ("blocking", "plain"),
    ]
    assert offered(OptionType(PATH), "x") == [("x", "file")]
