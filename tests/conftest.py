"""What holds for every test: a clean environment, and a look for the tool that a test needs."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence

import hypothesis
import pytest

from tests.support import transformers_server
from tests.support.chromium import missing as missing_chromium
from tests.support.parts import litellm, nginx
from tests.support.shelf import Shelf

PROXIES = {"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"}
OLDEST_NODE = (20, 15)
"""aimock's."""

PASSES = ("alone", "paced", "shared")
"""One test at a time; several that mostly wait; as many as there are processors."""

# On a busy machine an example can take longer than hypothesis' 200 ms; that says nothing about the code.
hypothesis.settings.register_profile("no deadline", deadline=None)
hypothesis.settings.load_profile("no deadline")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the Makefile run the tests in passes, on top of whatever -m and -k choose."""
    parser.addoption("--pass", action="append", dest="passes", choices=PASSES, help="Only the tests of this pass.")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep the tests of the passes asked for."""
    passes: Sequence[str] = config.getoption("passes") or PASSES
    config.hook.pytest_deselected(items=[item for item in items if pass_of(item) not in passes])
    items[:] = [item for item in items if pass_of(item) in passes]


def pass_of(item: pytest.Item) -> str:
    """Name the pass of a test: by its mark, or `shared`."""
    return next((name for name in PASSES if item.get_closest_marker(name)), "shared")


@pytest.fixture(scope="session", autouse=True)
def environment() -> Iterator[None]:
    """No key, setting, proxy or pytest-xdist of whoever runs the tests reaches one, nor a process that it starts."""
    with pytest.MonkeyPatch.context() as patch:
        for name in list(os.environ):
            if name.startswith(("OPENAI_", "BENCH_", "PYTEST_XDIST_")) or name.upper() in PROXIES:
                patch.delenv(name)
        patch.setenv("COLUMNS", "100")
        yield


@pytest.fixture(scope="session")
def shelf(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """The finished runs that tests read; workers of pytest-xdist share them."""
    base = tmp_path_factory.getbasetemp()
    return Shelf((base.parent if hasattr(pytestconfig, "workerinput") else base) / "shelf")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """A test marked with a tool is skipped where that is missing, and fails there in CI, which installs it."""
    reasons = [missing() for mark, missing in MISSING.items() if item.get_closest_marker(mark)]
    if reason := next(filter(None, reasons), None):
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)


def missing_node() -> str | None:
    """What is missing to run a server written in JavaScript; None when nothing is."""
    if not (shutil.which("node") and shutil.which("npm")):
        return "needs node and npm: install them (Debian, Ubuntu: apt-get install nodejs npm)"
    said = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout
    version = tuple(map(int, re.findall(r"\d+", said)[:2]))
    return None if version >= OLDEST_NODE else f"needs node 20.15 or newer, this is {said.strip()}"


MISSING: Mapping[str, Callable[[], str | None]] = {
    "node": missing_node,
    "nginx": nginx.missing,
    "litellm": litellm.missing,
    "torch": transformers_server.missing,
    "chromium": missing_chromium,
}
"""By mark: what is missing."""
