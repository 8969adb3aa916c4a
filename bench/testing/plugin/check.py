"""Check a scenario on the simulator, for `bench check` and `bench.testing.check`."""

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
from bench.core.plugins.loader import load, new_manager
from bench.core.scenario import Scenario, fault_of
from bench.plan.selection import choose_scenarios, split_arguments
from bench.simulator.process import Simulator, running
from bench.testing.plugin.findings import Finding, answers
from bench.testing.plugin.observe import gather


def check_named(
    argument: str, params: Sequence[str], plugins: Sequence[Path], folders: Sequence[Path]
) -> Iterator[Finding]:
    """Yield the findings about every scenario of a file, or about a named one, with each of the chosen parameters.

    Raises `BenchError` if there is no such scenario or parameter.
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
    """Start a simulator. Yield it and the file that it logs to."""
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
    """Return all findings about a scenario.

    `simulator` logs to `truth`. `params` are the parameters as `cell_text` writes them, by default the scenario's
    defaults. `hooks` has the plugin's observers. Raises `BenchError` if the scenario cannot be called at all.
    """
    if wrong := fault_of(scenario):
        raise BenchError(f"scenario {scenario.name!r}: {wrong}")
    chosen = default_text(scenario) if params is None else params
    try:
        seen = asyncio.run(gather(scenario, simulator, truth, chosen, hooks or new_manager()))
    except RunInvalid as error:  # what it needs is not installed
        return [Finding("SKIP", scenario.name, "all", str(error))]
    return [Finding(verdict, scenario.name, name, text) for name, (verdict, text) in answers(scenario, seen)]
