"""From what the user named to the cells of the plan. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench.errors import BenchError, RunInvalid
from bench.manager import Registry
from bench.nearest import unknown
from bench.plan import BOTH, Cell
from bench.scenario import Prompt, Scenario
from bench.target import Target
from bench.trial import Delivery

CORE = "core"
"""The tag of the scenarios that `bench run` runs when none is named."""


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """SCENARIO|FILE… → names, files. A file is what ends in .py or has a folder in front."""
    files = [Path(argument) for argument in arguments if argument.endswith(".py") or "/" in argument]
    return [argument for argument in arguments if Path(argument) not in files], files


def choose_scenarios(registry: Registry, names: Sequence[str], files: Sequence[Path]) -> list[Scenario]:
    """The named scenarios and those of the named files, else the core set. In the order asked for, each once."""
    for name in names:
        if name not in registry.scenarios:
            file = f"./{name}.py"
            hint = f"a file is named as {file}" if Path(file).is_file() else "bench list shows all"
            raise unknown("scenario", name, registry.scenarios, hint=hint)
    paths = {file.resolve() for file in files}
    from_files = [name for name, (_, found) in registry.scenarios.items() if found.path in paths]
    if files and not from_files:
        raise BenchError(f"{files[0]}: registers no scenario; `register_scenarios` must yield one")
    core = [name for name, (scenario, _) in registry.scenarios.items() if CORE in scenario.tags]
    chosen = [*names, *from_files] or core
    return [registry.scenarios[name][0] for name in dict.fromkeys(chosen)]


def make_cells(
    scenarios: Sequence[Scenario],
    choices: Sequence[tuple[Target, str]],
    *,
    delivery: str,
    concurrency: int,
    prompts: Mapping[str, Sequence[Prompt]],
    notice: Callable[[str], None],
) -> list[Cell]:
    """Every scenario on every (target, model) that can do it. What cannot be done is said once and is no failure."""
    cells: list[Cell] = []
    for scenario in scenarios:
        for target, model in choices:
            if why := _unsupported(scenario, target, delivery):
                notice(f"unsupported: {scenario.name} on {target.name} ({why})")
                continue
            cells.append(_cell(len(cells), scenario, target, model, delivery, concurrency, len(prompts[scenario.name])))
    if not cells:
        raise RunInvalid("nothing to run: no chosen scenario is supported there; `bench list` shows what each needs")
    return cells


def _unsupported(scenario: Scenario, target: Target, delivery: str) -> str:
    missing = sorted(set(scenario.needs) & set(target.lacks))
    if missing:
        return f"the target lacks {', '.join(missing)}"
    return "it has no blocking counterpart" if delivery == "blocking" and scenario.blocking is None else ""


def _cell(
    number: int, scenario: Scenario, target: Target, model: str, delivery: str, concurrency: int, asks: int
) -> Cell:
    deliveries: tuple[Delivery, ...] = BOTH if scenario.blocking else ("streamed",)
    return Cell(
        cell=number,
        scenario=scenario.name,
        params="",
        api=scenario.api,
        target=target.name,
        host=target.host,
        simulated=target.simulated,
        model=model,
        client="sdk",
        load=f"c={concurrency}",
        description=scenario.description,
        useful=scenario.useful_means,
        deliveries=tuple(d for d in deliveries if delivery in {"both", d}),
        asks=asks,
    )
