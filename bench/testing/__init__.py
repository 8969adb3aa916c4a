"""Load and check scenarios in the tests of a plugin: `from bench.testing import check, load`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.core.errors import BenchError
from bench.core.plugins.loader import load as load_plugins
from bench.core.scenario import Scenario
from bench.testing.plugin.check import examine, logged_simulator
from bench.testing.plugin.findings import Finding

__all__ = ["Finding", "check", "load"]


def load(path: Path | str) -> list[Scenario]:
    """Return the scenarios of a plugin file by name. Raises `BenchError` if `bench run` would refuse the file."""
    file = Path(path).resolve()
    found = load_plugins([file]).scenarios.values()
    scenarios = [scenario for scenario, source in found if source.path == file]
    if not scenarios:
        raise BenchError(f"{path}: registers no scenario; `register_scenarios` must yield one")
    return scenarios


def check(scenario: Scenario) -> Sequence[Finding]:
    """Check a scenario as `bench check` does, on a simulator: no key, no network, a few seconds.

    Returns all findings. Raises `AssertionError` with a line for each FAIL.
    """
    with logged_simulator() as (simulator, truth):
        findings = examine(scenario, simulator, truth)
    failed = [str(finding) for finding in findings if finding.verdict == "FAIL"]
    if failed:
        raise AssertionError("\n".join(failed))
    return findings
