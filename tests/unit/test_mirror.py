"""Tests are found by path: those of `bench/ROOM/NAME.py` in `tests/unit/ROOM/test_NAME.py`, or where they import it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import pytest

from tests.support.paths import ROOT

TESTS = ROOT / "tests"
CALLED_BY: Mapping[str, Sequence[str]] = {
    # What these compute is looked at in a summary, which `build` makes.
    "analysis": ["unit/analysis/test_build.py"],
    "analysis/cell": ["unit/analysis/test_build.py"],
    "analysis/claims": ["unit/analysis/claims/test_parts.py"],
    "analysis/comparison": ["unit/analysis/comparison/test_runs.py", "unit/analysis/comparison/test_ranking.py"],
    "analysis/load": ["unit/analysis/load/test_steady.py"],
    "analysis/outliers": ["unit/analysis/outliers/test_outliers.py"],
    # A command is called by what is typed.
    "cli/commands": ["integration/test_cli.py", "integration/test_author_tools.py", "integration/test_compare.py"],
    # Sockets, processes and servers are tested as such.
    "clients": ["integration/test_wire_client.py"],
    "clients/load_generator": ["integration/test_shooter.py"],
    "clients/sdk": ["integration/test_tap.py", "plugins/test_text_sync.py", "plugins/test_text_ws.py"],
    "doctor/probe": ["integration/test_doctor_matrix.py"],
    "run/memory": ["integration/test_memory.py"],
    "run/outcome": ["integration/test_outcomes.py"],
    "run/preflight": ["integration/test_preflight.py"],
    "run/trial": ["integration/test_outcomes.py", "integration/test_runner.py"],
    "run/workers": ["integration/test_workers.py"],
    "run/workers/dask": ["integration/test_cluster.py"],
    "simulator/replies": ["unit/simulator/replies/test_responses.py"],
    "simulator/routes": ["integration/test_simulator.py", "integration/test_simulator_sent.py"],
    "testing/plugin": ["integration/test_author_tools.py"],
    # Definitions and words: held by the tables and texts that they become.
    "core": ["unit/core/test_params.py", "unit/core/test_slo.py", "unit/cli/test_config_file.py"],
    "core/plugins": ["unit/core/plugins/test_loader.py"],
    "core/results": ["unit/reports/test_reports.py"],
    "core/text": ["unit/core/test_slo.py"],
    "core/results/metrics": ["unit/core/results/metrics/test_registry.py", "unit/test_docs.py"],
    "doctor/reports": ["unit/doctor/reports/test_reports.py"],
    "doctor/verdict": ["unit/doctor/verdict/test_judge.py", "unit/doctor/verdict/test_judge_rates.py"],
    "gate": ["unit/gate/test_judge.py"],
    "gate/pytest/beside": ["integration/test_pytest_plugin.py"],
    "records": ["unit/records/test_journal.py"],
    "reports/charts": ["unit/reports/charts/test_charts.py"],
    "reports/charts/waterfall": ["unit/reports/charts/waterfall/test_waterfall.py"],
    "reports/comparison": ["unit/analysis/comparison/test_runs.py"],
    "reports/page": ["unit/reports/test_reports.py", "integration/test_browser.py"],
    "reports/tables": ["unit/reports/test_reports.py"],
    "reports/terminal": ["unit/reports/terminal/test_report.py"],
    "run/stopping": ["unit/run/stopping/test_stopping.py"],
    "simulator/json_schema": ["unit/simulator/json_schema/test_samples.py"],
}
"""By folder: the tests of modules that no test imports, because they are only reached through others."""


def modules() -> Iterator[Path]:
    """The modules of `bench/`, relative to it."""
    for file in sorted((ROOT / "bench").rglob("*.py")):
        if not file.name.startswith("__"):
            yield file.relative_to(ROOT / "bench")


def imported(file: Path) -> Iterator[str]:
    """What a file imports, by its dotted names."""
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)
        elif isinstance(node, ast.Import):
            yield from (name.name for name in node.names)


def test_every_module_has_its_tests() -> None:
    """A file at its path, a test that imports it, or an entry for its folder that says which tests reach it."""
    names = {name for file in TESTS.rglob("*.py") for name in imported(file)}
    lost = [
        str(module)
        for module in modules()
        if not (TESTS / "unit" / module.parent / f"test_{module.name}").exists()
        and f"bench.{'.'.join(module.with_suffix('').parts)}" not in names
        and module.parent.as_posix() not in CALLED_BY
    ]
    assert lost == []


@pytest.mark.parametrize("folder", CALLED_BY)
def test_the_list_is_right(folder: str) -> None:
    """Each folder and each of its test files is there."""
    assert (ROOT / "bench" / folder).is_dir()
    assert [file for file in CALLED_BY[folder] if not (TESTS / file).is_file()] == []


def test_every_folder_of_unit_tests_is_one_of_bench() -> None:
    """Nothing is left where a room was; helpers of the tests have their own tests in `support`."""
    folders = {file.parent.relative_to(TESTS / "unit") for file in (TESTS / "unit").rglob("test_*.py")}
    assert sorted(str(one) for one in folders - {Path("support")} if not (ROOT / "bench" / one).is_dir()) == []
