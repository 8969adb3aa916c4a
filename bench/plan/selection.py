"""Make the cells of the plan from what the user named."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from itertools import product
from pathlib import Path

from bench.core.errors import BenchError, RunInvalid, unknown
from bench.core.load import Load
from bench.core.plugins.loader import Registry
from bench.core.scenario import API_NAMES, OTHER_API, Api, Prompt, Scenario, is_sync
from bench.core.target import Target
from bench.core.trial import Delivery
from bench.plan.plan import BOTH, Client, PlannedCell

CORE = "core"
"""The tag of the scenarios that `bench run` runs when none is named."""
ALL = "all"
"""The name that stands for every scenario."""


def split_arguments(arguments: Sequence[str]) -> tuple[list[str], list[Path]]:
    """Split arguments into names and files. A file is what ends in .py or has a folder in front."""
    files = [Path(argument) for argument in arguments if argument.endswith(".py") or "/" in argument]
    return [argument for argument in arguments if Path(argument) not in files], files


def choose_scenarios(
    registry: Registry, names: Sequence[str], files: Sequence[Path], tags: Sequence[str] = (), api: Api = "responses"
) -> list[Scenario]:
    """Return the named scenarios, those of the named files and those with a named tag, else the core set.

    They are in the order asked for, each once. The core set is that of `api`; what is named is taken whatever its API.
    """
    for name in names:
        if name not in {*registry.scenarios, ALL}:
            file = f"./{name}.py"
            hint = f"a file is named as {file}" if Path(file).is_file() else "bench list shows all"
            raise unknown("scenario", name, [*registry.scenarios, ALL], hint=hint)
    paths = {file.resolve() for file in files}
    from_files = [name for name, (_, found) in registry.scenarios.items() if found.path in paths]
    if files and not from_files:
        raise BenchError(f"{files[0]}: registers no scenario; `register_scenarios` must yield one")
    named = [one for name in names for one in (registry.scenarios if name == ALL else [name])]
    chosen = [*named, *from_files, *_names_with_tags(registry, tags, api)] or _names_with_tags(registry, [CORE], api)
    return [registry.scenarios[name][0] for name in dict.fromkeys(chosen)]


def _names_with_tags(registry: Registry, tags: Sequence[str], api: Api) -> list[str]:
    """Return the names of the scenarios with any of these tags, tag by tag. Each API has a core set of its own."""
    by_tag: dict[str, list[str]] = {CORE: []}
    for name, (scenario, _) in registry.scenarios.items():
        for tag in scenario.tags:
            if tag == CORE and scenario.api != api:
                continue
            by_tag.setdefault(tag, []).append(name)
    for tag in tags:
        if tag not in by_tag:
            raise unknown("tag", tag, by_tag, hint=f"all tags: {', '.join(sorted(by_tag))}")
    return [name for tag in tags for name in by_tag[tag]]


def make_cells(
    scenarios: Sequence[Scenario],
    choices: Sequence[tuple[Target, str]],
    *,
    delivery: str,
    loads: Sequence[Load],
    clients: Sequence[Client],
    prompts: Mapping[str, Sequence[Prompt]],
    params: Mapping[str, Sequence[str]],
    notice: Callable[[str], None],
) -> list[PlannedCell]:
    """Make a cell of each scenario, parameters, (target, model), client and load that go together.

    What cannot be done is said once and is no failure. `params` has the texts of the cells by scenario.
    """
    cells, said, reasons = list[PlannedCell](), dict[str, None](), dict[str, None]()
    for scenario in scenarios:
        # one with a stack of its own has no other client
        for (target, model), client in product(choices, ["own"] if scenario.client == "own" else clients):
            if why := _target_hindrance(scenario, target, delivery) or _client_hindrance(client, scenario):
                reasons |= {why: None}
                said |= {f"unsupported: {scenario.name} on {target.name} ({why})": None}
                continue
            asks = len(prompts[scenario.name])
            for text, load in product(params[scenario.name], loads):
                cells.append(_cell(len(cells), scenario, text, target, model, client, load, delivery, asks))
    for line in said:
        notice(line)
    if not cells:
        raise RunInvalid(f"nothing to run: no chosen scenario is supported there ({'; '.join(reasons)})")
    return cells


def _client_hindrance(client: str, scenario: Scenario) -> str:
    if client != "wire":
        return ""
    if is_sync(scenario):
        return "it is synchronous and the client wire is not: use --client sdk"
    return "the client wire has no WebSocket: use --client sdk" if "websocket" in scenario.needs else ""


def _target_hindrance(scenario: Scenario, target: Target, delivery: str) -> str:
    if scenario.api in target.lacks and scenario.client == "sdk":
        return f"no {API_NAMES[scenario.api]} there: try --api {OTHER_API[scenario.api]}, with no scenario named"
    missing = sorted(set(scenario.needs) & set(target.lacks))
    if missing:
        return f"the target lacks {', '.join(missing)}"
    if "websocket" in scenario.needs and find_spec("websockets") is None:
        return "it needs the package websockets: install streambench[realtime]"
    return "it has no blocking counterpart" if delivery == "blocking" and scenario.blocking is None else ""


def _cell(
    number: int,
    scenario: Scenario,
    params: str,
    target: Target,
    model: str,
    client: str,
    load: Load,
    delivery: str,
    asks: int,
) -> PlannedCell:
    deliveries: tuple[Delivery, ...] = BOTH if scenario.blocking else ("streamed",)
    return PlannedCell(
        cell=number,
        scenario=scenario.name,
        params=params,
        api=scenario.api,
        target=target.name,
        host=target.host,
        simulated=target.simulated,
        model=model,
        client=client,
        load=load.label,
        description=scenario.description,
        useful=scenario.useful_means,
        deliveries=tuple(d for d in deliveries if delivery in {"both", d}),
        asks=asks,
    )
