"""Write a plugin and its test that passes as written, for `bench new`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib.util import find_spec
from keyword import iskeyword
from pathlib import Path
from string import Template

from bench.core.errors import BenchError
from bench.core.plugins.loader import NAME, load

TEMPLATES = Path(__file__).parent / "templates"
IN_PACKAGE = ("pyproject.toml", "README.md")


def write_new(given: str, folder: Path, *, package: bool) -> str:
    """Write NAME.py and test_NAME.py, with `package` into a folder with a pyproject.toml. Return what to type next.

    Raises `BenchError` if a file exists already or the name is no valid one.
    """
    name = plugin_name(given)
    home = folder / name if package else folder
    texts = {home / file: text for file, text in files_of(name, package=package).items()}
    for path in [home] if package else texts:
        if path.exists():
            raise BenchError(f"{path.name} is there already; choose another name, or another folder")
    try:
        home.mkdir(exist_ok=True)
        for path, text in texts.items():
            with path.open("x", encoding="utf-8") as file:
                file.write(text)
    except OSError as error:
        raise BenchError(f"{home}: cannot be written ({error.strerror}); choose another folder") from error
    return next_steps(name, home.name if package else "", list(texts))


def plugin_name(given: str) -> str:
    """Turn a given name into the name of a scenario and its module: "My RAG" becomes `my_rag`."""
    name = re.sub(r"[\s.-]+", "_", given.strip().removesuffix(".py")).lower()
    if not NAME.fullmatch(name) or iskeyword(name) or name == "all":
        raise BenchError(f"{given!r} is no name for a scenario: use letters, digits and _, and begin with a letter")
    if name in load().scenarios:
        raise BenchError(f"there is a scenario {name!r} already (bench list shows all); choose another name")
    return name


def files_of(name: str, *, package: bool) -> Mapping[str, str]:
    """Return the text of each file by its name."""
    words = {"name": name, "dist": f"bench-{name.replace('_', '-')}"}
    files = {f"{name}.py": "plugin.py", f"test_{name}.py": "test_plugin.py"}
    files |= {file: file for file in IN_PACKAGE} if package else {}
    templates = {file: (TEMPLATES / f"{template}.txt").read_text("utf-8") for file, template in files.items()}
    return {file: Template(template).substitute(words) for file, template in templates.items()}


def next_steps(name: str, folder: str, written: list[Path]) -> str:
    """Return the text that lists the next commands."""
    steps = {
        f"bench try ./{name}.py": "each piece as it comes",
        f"bench check ./{name}.py": "is it sound?",
        f"pytest test_{name}.py": "the same as a test" + ("" if find_spec("pytest") else " (pip install pytest)"),
        f"bench run ./{name}.py": "measure it, on the simulator",
    }
    steps = (
        {f"cd {folder}": "", **steps, "pip install -e .": "then `bench run` finds it by its name"} if folder else steps
    )
    wide = max(map(len, steps))
    lines = [f"  {command:<{wide}}   {what}".rstrip() for command, what in steps.items()]
    return "\n".join([f"Written: {', '.join(path.name for path in written)}. Next:", *lines])
