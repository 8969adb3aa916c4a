"""What `bench new` writes, and under which names."""

from __future__ import annotations

import ast
import tomllib
from pathlib import Path

import pytest

from bench.core.errors import BenchError
from bench.testing.plugin.new import files_of, plugin_name, write_new


@pytest.mark.parametrize(
    ("given", "name"), [("rag", "rag"), ("My RAG", "my_rag"), ("agent-loop2.py", "agent_loop2"), (" a.b ", "a_b")]
)
def test_names_are_normalised(given: str, name: str) -> None:
    """Capitals, blanks, dashes and the file's suffix become the name of a scenario."""
    assert plugin_name(given) == name


@pytest.mark.parametrize("given", ["", "2fast", "a/b", "über", "class", "all", "text", "../up"])
def test_what_cannot_be_a_name_is_refused(given: str) -> None:
    """No name, a Python keyword, a word of the command line and a scenario that is there: one line that says so."""
    with pytest.raises(BenchError, match=r"no name for a scenario|already"):
        plugin_name(given)


def test_everything_is_filled_in() -> None:
    """Code parses, the entry point names the module, and no placeholder is left."""
    files = files_of("my_rag", package=True)
    assert set(files) == {"my_rag.py", "test_my_rag.py", "pyproject.toml", "README.md"}
    assert [name for name, text in files.items() if "$" in text] == []
    for name in ("my_rag.py", "test_my_rag.py"):
        assert ast.get_docstring(ast.parse(files[name]))
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["entry-points"]["bench"] == {"my_rag": "my_rag"}
    assert (project["name"], project["dependencies"]) == ("bench-my-rag", ["streambench"])


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    """One file that is there is reason enough to write none."""
    (tmp_path / "test_mine.py").write_text("mine")
    with pytest.raises(BenchError, match=r"test_mine\.py is there already"):
        write_new("mine", tmp_path, package=False)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("test_mine.py", "mine")]


def test_what_to_type_next(tmp_path: Path) -> None:
    """A package begins with `cd`, and ends with its installation."""
    said = write_new("mine", tmp_path, package=True).splitlines()
    assert said[1].split() == ["cd", "mine"]
    assert said[-1].split()[:4] == ["pip", "install", "-e", "."]
