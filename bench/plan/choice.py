"""Choose scenarios, targets and prompts of a run, before anything is sent."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from bench.core.errors import BenchError
from bench.core.params import chosen_params
from bench.core.plugins import loader as manager
from bench.core.plugins.checks import check_prompt_scripts
from bench.core.target import Target
from bench.core.text.terminal import say
from bench.plan import selection
from bench.plan.calibration import calibration_cells
from bench.plan.plan import Plan, PlannedCell
from bench.plan.prompts.files import load_prompts
from bench.plan.prompts.lengths import Lengths
from bench.plan.prompts.synthetic import synthetic_prompts, with_shared_prefix
from bench.plan.schedule import Amount, make_plan
from bench.plan.settings import FIRST_LOOK, Settings
from bench.plan.targets import resolve_targets
from bench.simulator.fault_injection.chances import parse_chances
from bench.simulator.script_file import read_scripts

if TYPE_CHECKING:
    from bench.core.scenario import Prompt, Scenario

MOST_MADE_UP = 1000
"""Prompts; with more requests they come in turn."""
ANY_MODEL = "(no model given)"


@dataclass(frozen=True, kw_only=True)
class Choice:
    """What is to be run. No request has been made yet, so a model may still be open."""

    registry: manager.Registry
    scenarios: Sequence[Scenario]
    targets: Sequence[tuple[Target, str | None]]
    prompts: Mapping[str, Sequence[Prompt]]
    """By scenario."""
    params: Mapping[str, Sequence[str]]
    """By scenario: the parameters of each of its cells, as text."""
    seed: int
    simulator: str | None = None
    """Where the embedded simulator listens, once it was started."""

    def plan(self, settings: Settings, models: Mapping[str, str], notice: Callable[[str], None]) -> Plan:
        """Make the plan, with the models that preflight found for targets that were asked for none."""
        cells = selection.make_cells(
            self.scenarios,
            [(target, model or models.get(target.name, ANY_MODEL)) for target, model in self.targets],
            delivery=settings.delivery,
            loads=settings.loads,
            clients=settings.clients,
            prompts=self.prompts,
            params=self.params,
            notice=notice,
        )
        used = [client for client in settings.clients if any(cell.client == client for cell in cells)]
        calibrated = settings.self_check and not settings.several_processes
        known = calibration_cells(len(cells), settings.loads, used or ["sdk"]) if calibrated else []
        return make_plan(
            cells,
            pairs=settings.most_pairs,
            warmup=max(settings.warmup, settings.workers) if settings.warmup else 0,
            seed=self.seed,
            calibration=known,
            aa=settings.self_check,
            rounds=settings.rounds,
            amount=Amount(requests=settings.requests, seconds=settings.duration),
            arrivals=settings.arrivals,
            ramp_s=settings.ramp,
        )


def choose(settings: Settings) -> Choice:
    """Load the plugins and find everything that was named."""
    names, files = selection.split_arguments(settings.arguments)
    registry = manager.load([*settings.plugins, *files], settings.plugins_dirs)
    resolved = resolve_targets(
        settings.config,
        registry.plugin_targets(),
        target_names=settings.targets,
        base_url=settings.base_url,
        models=settings.models,
        api_key_env=settings.api_key_env,
        headers=settings.headers,
        extra_body=settings.extra_body,
        environ=os.environ,
    )
    for line in resolved.notices:
        say(line)
    _check_simulated(settings, [target for target, _ in resolved.choices])
    _check_stopping(settings, [target for target, _ in resolved.choices])
    _check_wire(settings, [target for target, _ in resolved.choices])
    scenarios = selection.choose_scenarios(registry, names, files, settings.tags, settings.api)
    if settings.api == "chat" and settings.api not in {scenario.api for scenario in scenarios}:
        say(f"--api {settings.api} changes nothing: it chooses among core scenarios, and others were named")
    seed = settings.seed if settings.seed is not None else int.from_bytes(os.urandom(4))
    prompts = _own_prompts(settings, seed)
    return Choice(
        registry=registry,
        scenarios=scenarios,
        targets=resolved.choices,
        prompts={scenario.name: prompts or scenario.prompts for scenario in scenarios},
        params=chosen_params(settings.params, scenarios),
        seed=seed,
    )


def simulator_notes(settings: Settings) -> list[str]:
    """Return the notes of a report about faults and scripts of the simulator."""
    faults = [f"faults were injected: {', '.join(settings.faults)}"] if settings.faults else []
    return [*faults, *([f"the simulator answered from the script {settings.script}"] if settings.script else [])]


def _check_simulated(settings: Settings, targets: Sequence[Target]) -> None:
    """Raise BenchError for faults or a script with a real target, or with a mistake in them."""
    real = [target.name for target in targets if not target.simulated]
    asked = "--fault" if settings.faults else "--script" if settings.script else None
    if asked and real:
        raise BenchError(f"{asked} is for the simulator, and {real[0]} is none; use --target sim, or leave it out")
    parse_chances(settings.faults)
    if settings.script:
        read_scripts(settings.script)


def _check_stopping(settings: Settings, targets: Sequence[Target]) -> None:
    """Raise BenchError for a precision that is never looked at, and for a budget in money without a price."""
    if settings.precision is not None and settings.most_pairs < FIRST_LOOK:
        raise BenchError(
            f"--precision is looked at from {FIRST_LOOK} pairs on and --pairs is {settings.pairs}; leave --pairs out"
        )
    money = any(budget.kind == "money" for budget in settings.budgets)
    unknown_price = [target.name for target in targets if not target.free and target.price is None]
    if money and unknown_price:
        raise BenchError(
            f"--budget in money: target {unknown_price[0]} has no price; use one of bench.toml that says "
            "price = { input = …, output = … }, or give the budget in tokens"
        )


def _check_wire(settings: Settings, targets: Sequence[Target]) -> None:
    """Raise BenchError where a proxy is set for a target and the client `wire`, which goes through none, is chosen."""
    if "wire" not in settings.clients:
        return
    from bench.clients.wire.errors import check_direct  # noqa: PLC0415  (it imports the SDK)

    for target in targets:
        if target.base_url and not target.simulated:
            check_direct(target.base_url)


def _own_prompts(settings: Settings, seed: int) -> Sequence[Prompt]:
    if settings.prompt is not None and (settings.prompts or settings.input_tokens) is not None:
        other = "--prompts" if settings.prompts is not None else "--input-tokens"
        raise BenchError(f"--prompt and {other}: give one of them")
    if settings.prompt is not None:
        return [settings.prompt]
    if settings.input_tokens is not None:
        return _made_up(settings, settings.input_tokens, seed)
    prompts = load_prompts(settings.prompts, sys.stdin) if settings.prompts else []
    check_prompt_scripts(prompts, str(settings.prompts))
    return with_shared_prefix(prompts, settings.shared_prefix, seed) if settings.shared_prefix else prompts


def _made_up(settings: Settings, lengths: Lengths, seed: int) -> Sequence[Prompt]:
    """Make a prompt for each pair, so that none is asked twice; at most `MOST_MADE_UP`."""
    if settings.prompts is not None:
        raise BenchError("--prompts and --input-tokens: give one of them")
    number = min(MOST_MADE_UP, max(settings.most_pairs, settings.requests or 0))
    return synthetic_prompts(lengths, number, seed, settings.shared_prefix)


def scenario_cells(plan: Plan) -> list[PlannedCell]:
    """Return the cells that were asked for; the others are the run's check on itself, and free."""
    return [cell for cell in plan.cells if cell.role == "scenario"]
