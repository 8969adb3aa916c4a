"""The fixture `stream_bench`: run `bench run` in a process of its own, and return the result.

pytest's threads, plugins and tracers have no place in a process that measures.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from bench.analysis.build import build
from bench.core.processes.child import import_environment, python
from bench.gate.pytest.result import Result
from bench.gate.terminal import EXIT_FAILED, EXIT_UNDECIDED
from bench.records.journal import MANIFEST

TRACERS = ("COV_CORE_", "COVERAGE_PROCESS_")
"""Environment variables by which a coverage tool follows into processes."""
OURS = frozenset({"out", "name", "yes"})
"""Options that the fixture gives itself."""
ANOTHER = frozenset({"target", "base_url"})
"""A call that says one of them means another endpoint than the session's."""


class StreamBench:
    """`stream_bench("text", pairs=36)`: run scenarios, get a `Result`."""

    def __init__(self, root: Path, out: Path, endpoint: Mapping[str, str]) -> None:
        """Run from `root`, where bench.toml is looked for, into folders in `out`; `endpoint` as options."""
        self._root, self._out, self._endpoint = root, out, endpoint

    def __call__(self, *scenarios: str | Path, **options: object) -> Result:
        """Run these scenarios or plugin files; the keyword arguments are the options of `bench run`.

        `base_url="http://…"` is `--base-url`, `memory=False` is `--no-memory` (the default here), a list repeats its
        option, a mapping is sent as JSON. The test fails where the run does not end well, with its last line. The
        conditions of bench.toml's `[gate]` do not hold here: the test says its own.
        """
        if given := OURS & set(options):
            pytest.fail(f"stream_bench gives {', '.join(sorted(given))} itself; leave it out", pytrace=False)
        endpoint = {} if ANOTHER & set(options) else self._endpoint
        own = {"name": _name(), "out": self._out, "yes": True}
        asked = {"memory": False, "fail_on": "none", **endpoint, **options, **own}
        before = self._runs()
        done = self._run([*map(str, scenarios), *arguments(asked)])
        made = sorted(self._runs() - before)
        if done.returncode or not made:
            pytest.fail("\n".join([_failure_text(done), *map(str, made)]), pytrace=False)
        return Result(build(made[-1]), made[-1])

    def _run(self, command: list[str]) -> subprocess.CompletedProcess[str]:
        """Run `bench run` to its end; what it printed is in the captured output of the test."""
        done = subprocess.run(
            [*python("bench"), "run", *command],
            cwd=self._root,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        sys.stdout.write(done.stdout)
        sys.stderr.write(done.stderr)
        return done

    def _runs(self) -> set[Path]:
        return {manifest.parent for manifest in self._out.glob(f"*/{MANIFEST}")}


def arguments(options: Mapping[str, object]) -> Iterator[str]:
    """Write the options as they stand on a command line."""
    for name, value in options.items():
        option = name.replace("_", "-")
        for one in value if isinstance(value, list | tuple) else [value]:
            if isinstance(one, bool):
                yield f"--{option}" if one else f"--no-{option}"
            elif one is not None:
                yield f"--{option}={json.dumps(one) if isinstance(one, Mapping) else one}"


def _name() -> str:
    """Return the name of the test that asked first, as `bench report NAME` takes it."""
    test = os.environ.get("PYTEST_CURRENT_TEST", "test").rpartition("::")[2].partition(" ")[0]
    return re.sub(r"[^\w.\[\]]+", "-", test).strip("-.")


def _environment() -> dict[str, str]:
    """Return the environment of the run: the modules that this process sees, and no tracer."""
    kept = {name: value for name, value in import_environment().items() if not name.startswith(TRACERS)}
    return {**kept, "PYTHONIOENCODING": "utf-8"}


def _failure_text(done: subprocess.CompletedProcess[str]) -> str:
    """Return the run's last line, which says what is wrong; of a gate that did not pass, the verdicts."""
    verdicts = [line for line in done.stdout.splitlines() if line.startswith(("FAIL ", "UNDECIDED "))]
    if verdicts and done.returncode in {EXIT_FAILED, EXIT_UNDECIDED}:
        return "\n".join([*verdicts, f"the gate did not pass (exit code {done.returncode})"])
    last = (done.stderr.strip() or "it said nothing").splitlines()[-1]
    return f"{last} (exit code {done.returncode})"
