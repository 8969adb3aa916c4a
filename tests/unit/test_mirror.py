"""Tests are found by path: those of `bench/ROOM/NAME.py` in `tests/unit/ROOM/test_NAME.py`, or where they import it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from bench.cli.main import COMMANDS
from tests.support.paths import ROOT

BENCH = ROOT / "bench"
TESTS = ROOT / "tests"
CALLED_BY: Mapping[str, str] = {
    "analysis/cell/deltas": "unit/analysis/test_build.py",
    "analysis/cell/sdk_cost": "unit/analysis/test_build.py",
    "analysis/claims/endpoints": "unit/analysis/claims/test_usage.py",
    "analysis/comparison/align": "unit/analysis/comparison/test_runs.py",
    "analysis/comparison/paired": "unit/analysis/comparison/test_ranking.py",
    "analysis/comparison/watermarks": "unit/analysis/comparison/test_runs.py",
    "analysis/comparison/within_run": "unit/analysis/comparison/test_runs.py",
    "analysis/ids": "unit/analysis/test_build.py",
    "analysis/load/arm": "unit/analysis/load/test_steady.py",
    "analysis/outliers/causes": "unit/analysis/outliers/test_outliers.py",
    "analysis/outliers/context": "unit/analysis/outliers/test_outliers.py",
    "cli/commands/calibrate": "integration/test_calibration.py",
    "cli/commands/check": "integration/test_author_tools.py",
    "cli/commands/compare": "integration/test_compare.py",
    "cli/commands/compare_steps": "integration/test_compare.py",
    "cli/commands/conformance": "integration/test_conformance.py",
    "cli/commands/list_": "integration/test_cli.py",
    "cli/commands/new": "integration/test_author_tools.py",
    "cli/commands/report": "integration/test_run.py",
    "cli/commands/serve": "integration/test_faults.py",
    "clients/load_generator/alarm": "integration/test_shooter.py",
    "clients/load_generator/group": "integration/test_shooter.py",
    "clients/load_generator/shipping": "integration/test_shooter.py",
    "clients/sdk/connection": "integration/test_tap.py",
    "clients/sdk/lease": "integration/test_tap.py",
    "clients/sdk/sync_sockets": "integration/test_tap.py",
    "clients/sdk/tap": "integration/test_tap.py",
    "clients/sdk/websocket": "integration/test_tap.py",
    "clients/sdk/websocket_tap": "integration/test_tap.py",
    "core/results/metrics/attempts": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/checks": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/floors": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/gaps": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/latency": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/load": "unit/analysis/load/test_steady.py",
    "core/results/metrics/memory": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/pace": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/row_kinds": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/sdk": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/stalls": "unit/core/results/metrics/test_registry.py",
    "core/results/metrics/tokens": "unit/core/results/metrics/test_registry.py",
    "core/stalls": "unit/reports/charts/test_gaps.py",
    "core/text/option_text": "unit/core/test_slo.py",
    "core/text/text_file": "unit/plan/prompts/test_files.py",
    "doctor/probe/send": "integration/test_doctor_matrix.py",
    "doctor/probe/upstream": "integration/test_doctor_matrix.py",
    "doctor/reports/sheets": "unit/doctor/reports/test_reports.py",
    "doctor/reports/words": "unit/doctor/reports/test_reports.py",
    "doctor/verdict/growth": "unit/doctor/verdict/test_judge.py",
    "gate/pytest/beside/streambench_pytest": "integration/test_pytest_plugin.py",
    "gate/resolve": "unit/gate/test_judge.py",
    "records/write": "unit/reports/test_files.py",
    "reports/charts/memory": "unit/reports/charts/test_charts.py",
    "reports/charts/strips": "unit/reports/charts/test_charts.py",
    "reports/charts/waterfall/bars": "unit/reports/charts/test_charts.py",
    "reports/charts/waterfall/drawing": "unit/reports/charts/test_charts.py",
    "reports/charts/waterfall/typical_trials": "unit/reports/charts/waterfall/test_waterfall.py",
    "reports/comparison/json": "unit/analysis/comparison/test_runs.py",
    "reports/comparison/markdown": "unit/analysis/comparison/test_runs.py",
    "reports/page/beside": "unit/reports/test_reports.py",
    "reports/page/compare": "unit/analysis/comparison/test_runs.py",
    "reports/page/document": "unit/reports/test_reports.py",
    "reports/page/facts": "unit/reports/test_reports.py",
    "reports/page/glossary": "unit/reports/test_reports.py",
    "reports/page/grid": "unit/reports/test_reports.py",
    "reports/page/numbers": "unit/reports/test_reports.py",
    "reports/page/parts": "unit/reports/test_reports.py",
    "reports/tables/checks": "unit/reports/test_reports.py",
    "reports/terminal/sections": "unit/reports/terminal/test_report.py",
    "run/connect": "integration/test_runner.py",
    "run/context": "integration/test_runner.py",
    "run/memory/points": "integration/test_memory.py",
    "run/outcome/exceptions": "integration/test_outcomes.py",
    "run/preflight/connect_error": "integration/test_preflight.py",
    "run/preflight/connection_info": "integration/test_preflight.py",
    "run/preflight/error_body": "integration/test_preflight.py",
    "run/runner": "integration/test_runner.py",
    "run/stopping/limits": "integration/test_stopping.py",
    "run/trial/trial": "integration/test_outcomes.py",
    "run/workers/coordinator": "integration/test_workers.py",
    "run/workers/dask/tasks": "integration/test_cluster.py",
    "run/workers/processes": "integration/test_workers.py",
    "run/workers/worker": "integration/test_workers.py",
    "simulator/json_schema/values": "unit/simulator/json_schema/test_samples.py",
    "simulator/replies/output_items": "unit/simulator/replies/test_responses.py",
    "simulator/routes/app": "integration/test_simulator.py",
    "simulator/routes/exchange": "integration/test_simulator.py",
    "simulator/routes/sent": "integration/test_simulator.py",
    "testing/plugin/try_out": "integration/test_author_tools.py",
}
"""Modules that no test imports, because they are only reached through others; each with a test file that reaches it."""
LOADED_BY_PYTEST = "gate/pytest/beside/streambench_pytest"
"""pytest imports it by its entry point, so its name stands in no import."""


def dotted(file: Path) -> str:
    """A file's name as an import has it."""
    return ".".join(file.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")


SOURCES = {dotted(file): file for folder in (BENCH, TESTS / "support") for file in sorted(folder.rglob("*.py"))}
TEST_FILES = sorted(TESTS.rglob("test_*.py"))


@cache
def imported(file: Path) -> set[str]:
    """The sources that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{name.name}" for name in node.names)}
        elif isinstance(node, ast.Import):
            names |= {name.name for name in node.names}
    return names & SOURCES.keys()


@cache
def named(file: Path) -> set[str]:
    """The sources that a file imports or names in a string to start or load them; in a test, commands that it types."""
    names = set(imported(file))
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            names |= {node.value, f"{node.value}.__main__"}
            if node.value in COMMANDS and file.is_relative_to(TESTS):
                names.add(f"bench.cli.commands.{COMMANDS[node.value][0]}")
    return names & SOURCES.keys()


def reached(file: Path) -> set[str]:
    """The sources that a file names, and those that these name, and so on."""
    found: set[str] = set()
    waiting = named(file)
    while waiting:
        found |= waiting
        waiting = {name for source in waiting for name in named(SOURCES[source])} - found
    return found


def without_tests() -> Iterator[str]:
    """The modules of bench/ that have no test file at their path, and that no test file imports."""
    tested = {name for file in TEST_FILES for name in imported(file)}
    for name, file in SOURCES.items():
        if file.is_relative_to(BENCH) and not file.name.startswith("__") and name not in tested:
            module = file.relative_to(BENCH)
            if not (TESTS / "unit" / module.parent / f"test_{module.name}").exists():
                yield module.with_suffix("").as_posix()


def test_every_module_has_its_tests() -> None:
    """A file at its path, a test that imports it, or an entry that says which test reaches it; none too many."""
    assert sorted(without_tests()) == sorted(CALLED_BY)


@pytest.mark.parametrize("module", CALLED_BY)
def test_the_list_is_right(module: str) -> None:
    """The test file is there, and it reaches the module."""
    file = TESTS / CALLED_BY[module]
    assert file.is_file()
    assert module == LOADED_BY_PYTEST or dotted(BENCH / module) in reached(file)


def test_every_folder_of_unit_tests_is_one_of_bench() -> None:
    """Nothing is left where a room was; helpers of the tests have their own tests in `support`."""
    folders = {file.parent.relative_to(TESTS / "unit") for file in (TESTS / "unit").rglob("test_*.py")}
    assert sorted(str(one) for one in folders - {Path("support")} if not (BENCH / one).is_dir()) == []
