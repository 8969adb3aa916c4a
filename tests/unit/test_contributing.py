"""What contributors are told holds: the files that pages name exist, and each way to run the checks runs the same."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT

FILE = re.compile(r"`((?:bench|plugins|tests|tools|docs|reports)/[\w./-]*|\.ci/run)`")
FORMS = sorted(path for path in ROOT.glob(".github/ISSUE_TEMPLATE/*.yml") if path.name != "config.yml")


def loaded(name: str) -> Any:
    """Parse a YAML file of the checkout."""
    return yaml.safe_load((ROOT / name).read_text("utf-8"))


@pytest.mark.parametrize("page", ["CONTRIBUTING.md", "docs/architecture.md"])
def test_every_file_that_a_page_names_exists(page: str) -> None:
    """A path in backquotes is there in the checkout; capital letters stand for a name to choose."""
    names = FILE.findall((ROOT / page).read_text("utf-8"))
    assert names
    assert [name for name in names if name == name.lower() and not (ROOT / name).exists()] == []


def test_each_room_stands_in_the_architecture() -> None:
    """The screen of docs/architecture.md names every folder of bench/ and no other, in the order of the contract."""
    screen = re.search(r"```text\n(.*?)```", (ROOT / "docs/architecture.md").read_text("utf-8"), re.DOTALL)
    layers = re.search(
        r'containers = \["bench"\]\nlayers = \[(.*?)\]', (ROOT / "pyproject.toml").read_text(), re.DOTALL
    )
    assert screen
    assert layers
    shown = re.findall(r"^([a-z]+)(?: +([a-z]+))?  ", screen[1], re.MULTILINE)
    shown = [[room for room in line if room] for line in shown]
    assert shown == [re.findall(r"\w+", line) for line in re.findall(r'"(.+?)"', layers[1])]
    folders = {path.name for path in (ROOT / "bench").iterdir() if (path / "__init__.py").exists()}
    assert {room for line in shown for room in line} == folders


def test_pre_commit_runs_what_make_check_runs() -> None:
    """The hooks are the commands of `make check`, in their order, in the project's environment."""
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    commands = [
        line.strip("\t@").replace("$(PY)", ".venv/bin/python -m").replace("$(BIN)", ".venv/bin")
        for line in recipe[1].splitlines()
    ]
    (local,) = loaded(".pre-commit-config.yaml")["repos"]
    hooks = [hook["entry"] for hook in local["hooks"]]
    assert hooks == ["make --silent .venv/.dev", *commands]


def test_the_workflow_runs_everything() -> None:
    """GitHub runs `.ci/run` on each push and pull request."""
    workflow = loaded(".github/workflows/ci.yml")
    (job,) = workflow["jobs"].values()
    assert "bash .ci/run" in job["steps"][-1]["run"]
    # YAML 1.1 reads the key `on` as true
    assert set(workflow[True]) == {"push", "pull_request"}


@pytest.mark.parametrize("form", FORMS, ids=lambda path: path.stem)
def test_issue_forms_ask_for_something(form: Any) -> None:
    """Each form has a name, a description and fields with a label; ids are not given twice."""
    said = yaml.safe_load(form.read_text("utf-8"))
    assert said["name"]
    assert said["description"].endswith(".")
    assert all(field["attributes"]["label"] for field in said["body"])
    ids = [field["id"] for field in said["body"]]
    assert len(set(ids)) == len(ids)
