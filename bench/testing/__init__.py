"""For the tests of a plugin: `from bench.testing import check, load`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.plugin_loader import load as load_plugins
from bench.core.scenario import Scenario
from bench.testing.plugin.check import examine, logged_simulator
from bench.testing.plugin.findings import Finding

__all__ = ["Finding", "check", "load"]


def load(path: Path | str) -> list[Scenario]:
    """The scenarios of a plugin file, sorted by name. Raises `BenchError` where `bench run` would refuse the file."""
    file = Path(path).resolve()
    found = load_plugins([file]).scenarios.values()
    scenarios = [scenario for scenario, source in found if source.path == file]
    if not scenarios:
        raise BenchError(f"{path}: registers no scenario; `register_scenarios` must yield one")
    return scenarios


def check(scenario: Scenario) -> Sequence[Finding]:
    """Is it sound? As `bench check`, on a simulator of its own: no key, no network. It takes a few seconds.

    Raises `AssertionError` with a line for each finding that is a FAIL; else all findings.
    """
    with logged_simulator() as (simulator, truth):
        findings = examine(scenario, simulator, truth)
    failed = [str(finding) for finding in findings if finding.verdict == "FAIL"]
    if failed:
        raise AssertionError("\n".join(failed))
    return findings
