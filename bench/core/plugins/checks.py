"""Check that bench understands what a plugin says of its scenarios and targets; each raises `BenchError`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping

from pydantic import BaseModel, ValidationError

from bench.core.errors import BenchError, unknown
from bench.core.params import cell_text
from bench.core.scenario import API_NAMES, NEEDS, Prompt, Scenario


def check_declared(scenario: Scenario, where: str) -> None:
    """Check a scenario's name, needs, connection, parameters and scripts. The error begins with `where`."""
    if scenario.name == "all":
        raise BenchError(f"{where}: `bench run all` means every scenario; choose another name")
    check_words(scenario.needs, where, "needs", NEEDS)
    if scenario.connection not in {"warm", "cold"}:
        raise BenchError(f"{where}: `connection` is 'warm' or 'cold', not {scenario.connection!r}")
    if scenario.setup is not None and not callable(scenario.setup):
        raise BenchError(
            f"{where}: `setup` must be a function with @asynccontextmanager above it (@contextmanager for a plain one)"
        )
    _check_params(scenario, where)
    requests: object = scenario.requests  # plugins are seldom type-checked
    if not callable(requests) and not (isinstance(requests, int) and requests >= 1):
        raise BenchError(f"{where}: `requests` is a number from 1, or a function of the parameters that gives one")
    if scenario.sim:
        check_sim(scenario.sim, where)
    check_prompt_scripts(scenario.prompts, where)


def check_lacks(words: Iterable[str], where: str) -> None:
    """Check that these are what a target can lack: capabilities, or an API."""
    check_words(words, where, "lacks", [*NEEDS, *API_NAMES])


def check_words(words: Iterable[str], where: str, name: str, known: Collection[str]) -> None:
    """Check that each of these words is known."""
    if isinstance(words, str):
        raise BenchError(f'{where}: `{name}` is a list: ["{words}"]')
    for word in words:
        if word not in known:
            raise BenchError(f"{where}: {name}: {unknown('capability', word, known)}")


def check_prompt_scripts(prompts: Iterable[Prompt], where: str) -> None:
    """Check that each prompt's `sim`, where it has one, is a script."""
    for number, prompt in enumerate(prompts):
        if isinstance(prompt, Mapping) and "sim" in prompt:
            check_sim(prompt["sim"], f"{where}: prompt {number + 1}")


def check_sim(sim: object, where: str) -> None:
    """Check that the simulator understands a script. The error names the turn and the key."""
    from bench.core.script import Turn  # noqa: PLC0415  (30 ms that only plugins with a script need)

    if not isinstance(sim, list | tuple) or not sim or not all(isinstance(turn, Mapping) for turn in sim):
        raise BenchError(f"{where}: `sim` is a list of mappings, one for each turn (docs/simulator.md, Scripts)")
    for number, turn in enumerate(sim):
        try:
            Turn.model_validate(turn)
        except ValidationError as error:
            first = error.errors(include_url=False, include_context=False)[0]
            place = ".".join([f"sim[{number}]", *map(str, first["loc"])])
            raise BenchError(f"{where}: {place}: {first['msg']} (docs/simulator.md, Scripts)") from error


def _check_params(scenario: Scenario, where: str) -> None:
    model = scenario.params
    if model is None:
        return
    if not isinstance(model, type(BaseModel)):  # plugins are seldom type-checked
        raise BenchError(f"{where}: `params` must be a pydantic model: a class, not {model!r}")
    try:
        model.model_validate_json(cell_text(model()))
    except ValidationError as error:
        first = error.errors(include_url=False, include_context=False)[0]
        name = ".".join(map(str, first["loc"]))
        raise BenchError(f"{where}: `params` needs a default for every field: {name}: {first['msg']}") from error
