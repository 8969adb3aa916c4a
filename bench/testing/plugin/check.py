"""`bench check` and `bench.testing.check`: a scenario is tried on the simulator, and judged."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import pluggy

from bench.core.errors import BenchError, RunInvalid
from bench.core.params import chosen_params, default_text
from bench.core.plugin_loader import load, new_manager
from bench.core.scenario import Scenario, fault_of
from bench.plan.selection import choose_scenarios, split_arguments
from bench.simulator.process import Simulator, running
from bench.testing.plugin.findings import Finding, answers
from bench.testing.plugin.observe import gather


def check_named(
    argument: str, params: Sequence[str], plugins: Sequence[Path], folders: Sequence[Path]
) -> Iterator[Finding]:
    """The findings about every scenario of a file, or about a named one, with each of the chosen parameters.

    BenchError when there is none, or when a parameter is not right.
    """
    names, files = split_arguments([argument])
    registry = load([*plugins, *files], folders)
    scenarios = choose_scenarios(registry, names, files)
    chosen = chosen_params(params, scenarios)
    with logged_simulator() as (simulator, truth):
        for scenario in scenarios:
            for text in chosen[scenario.name]:
                found = examine(scenario, simulator, truth, params=text, hooks=registry.manager)
                several = len(chosen[scenario.name]) > 1
                yield from (replace(one, scenario=f"{one.scenario} {text}") if several else one for one in found)


@contextmanager
def logged_simulator() -> Iterator[tuple[Simulator, Path]]:
    """A simulator, and the file that it logs to."""
    with TemporaryDirectory() as folder:
        truth = Path(folder) / "truth.jsonl"
        with running(truth=truth) as simulator:
            yield simulator, truth


def examine(
    scenario: Scenario,
    simulator: Simulator,
    truth: Path,
    *,
    params: str | None = None,
    hooks: pluggy.PluginManager | None = None,
) -> list[Finding]:
    """All findings about a scenario.

    `simulator` runs and logs to `truth`; `params` are its parameters as `cell_text` writes them, the defaults where
    there are none; `hooks` has the plugin's own observers. BenchError when it cannot be called at all.
    """
    if wrong := fault_of(scenario):
        raise BenchError(f"scenario {scenario.name!r}: {wrong}")
    chosen = default_text(scenario) if params is None else params
    try:
        seen = asyncio.run(gather(scenario, simulator, truth, chosen, hooks or new_manager()))
    except RunInvalid as error:  # what it needs is not installed
        return [Finding("SKIP", scenario.name, "all", str(error))]
    return [Finding(verdict, scenario.name, name, text) for name, (verdict, text) in answers(scenario, seen)]
