"""What `bench run` is about to do, before it does anything: the choice, its estimate, and the user's consent."""

from __future__ import annotations

import os
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from math import ceil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bench import manager, selection
from bench.arrivals import Arrivals
from bench.budget import parse_budget
from bench.calibration import calibration_cells
from bench.checks import check_prompt_scripts
from bench.config import Config, resolve_targets
from bench.errors import BenchError
from bench.estimate import Estimate, Part, estimate
from bench.lengths import parse_lengths
from bench.load import Load
from bench.params import chosen_params, instance
from bench.plan import FEWEST_CHECKED, ROUNDS, Amount, Cell, Phase, Plan, make_plan
from bench.precision import FIRST_LOOK
from bench.progress import say
from bench.prompts import load_prompts
from bench.selection import Client
from bench.synthetic_prompts import synthetic_prompts, with_shared_prefix
from bench.target import Price, Target

if TYPE_CHECKING:
    from bench.scenario import Api, Prompt, Scenario

DEFAULT_OUTPUT_TOKENS = 300
"""Asked of a real endpoint when no length is given: without a cap nobody can say what a run costs."""
DEFAULT_PAIRS = 36
DEFAULT_RETRIES = 2
GUESSED_S = 5.0
"""What an answer is taken to last where a time ends the load: 300 tokens at 60 a second. Nobody knows before."""
MOST_MADE_UP = 1000
"""Prompts; with more requests they come in turn."""
MOST_PAIRS = 400
"""With a precision and no number of pairs: at most so many."""
FREE = Price(input=0, output=0)
ANY_MODEL = "(no model given)"


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything that the command line of `bench run` said, with its defaults."""

    arguments: Sequence[str] = ()
    tags: Sequence[str] = ()
    api: Api = "responses"
    """Whose core set is run when nothing is named."""
    params: Sequence[str] = ()
    """`SCENARIO.KEY=VALUE,…`, as typed."""
    targets: Sequence[str] = ()
    base_url: str | None = None
    models: Sequence[str] = ()
    api_key_env: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    extra_body: Mapping[str, Any] = field(default_factory=dict)
    prompt: str | None = None
    prompts: str | None = None
    output_tokens: int | None = None
    pairs: int | None = None
    """As given; `most_pairs` is what the plan has."""
    warmup: int = 3
    delivery: str = "both"
    clients: Sequence[Client] = ("sdk",)
    concurrency: Sequence[int] = ()
    """Closed loop, each a load of its own; `loads` is what the plan has."""
    rates: Sequence[float] = ()
    """Open loop: trials a second, each a load of its own."""
    arrivals: Arrivals = "poisson"
    ramp: float = 0.0
    """Seconds over which the load of a segment comes up."""
    duration: float | None = None
    """Seconds for which each cell under load is measured in each delivery."""
    requests: int | None = None
    """So many trials instead."""
    max_in_flight: int = 500
    slos: Sequence[str] = ()
    """`ttft=500ms`, as typed."""
    events: float = 1.0
    """Share of the trials whose events and pieces are stored."""
    workers: int = 1
    scheduler: str | None = None
    input_tokens: str | None = None
    """Lengths of made-up prompts, as typed."""
    shared_prefix: float = 0.0
    retries: int | None = None
    """As given; `max_retries` is what is asked of the SDK."""
    deadline: float = 120.0
    seed: int | None = None
    profile: str = "quick"
    faults: Sequence[str] = ()
    """`KIND[:VALUE]=PROBABILITY`, as typed."""
    script: Path | None = None
    memory: bool = True
    self_check: bool = True
    """A/A pairs and calibration trials in between."""
    precision: float | None = None
    """Stop a cell when its intervals are as narrow: a fraction."""
    budgets: Sequence[str] = ()
    """`10m`, `200k-tokens`, `2usd`, as typed."""
    store_text: bool = False
    out: Path = Path("reports")
    name: str | None = None
    dry_run: bool = False
    yes: bool = False
    plugins: Sequence[Path] = ()
    plugins_dirs: Sequence[Path] = ()
    config: Config = field(default_factory=Config)

    @property
    def most_pairs(self) -> int:
        """Pairs of each cell, at most: as asked for, else 36, or 400 where a precision ends it earlier."""
        return self.pairs or (DEFAULT_PAIRS if self.precision is None else MOST_PAIRS)

    @property
    def loads(self) -> Sequence[Load]:
        """Each level of load: one at a time where none was asked for."""
        closed = self.concurrency or (() if self.rates else (1,))
        return [*(Load(concurrency=number) for number in closed), *(Load(rate=rate) for rate in self.rates)]

    @property
    def shared(self) -> bool:
        """Do several processes measure, or others than this one?"""
        return self.workers > 1 or self.scheduler is not None

    @property
    def max_retries(self) -> int:
        """Hidden retries of the SDK: 2 as in every app, none beside the client `wire`, which makes one attempt."""
        return self.retries if self.retries is not None else 0 if "wire" in self.clients else DEFAULT_RETRIES

    @property
    def rounds(self) -> int:
        """Rounds of each cell under load: small ones where the run may end early, or one delivery would have it all.

        That is 18 trials or seconds in each. With a ramp, which comes in each, a budget does not divide it further.
        """
        if self.precision is None and (not self.budgets or self.ramp):
            return ROUNDS
        most = max(self.most_pairs, self.requests or 0, int(self.duration or 0))
        return max(ROUNDS, most * ROUNDS // DEFAULT_PAIRS)


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
        """The plan, with the models that preflight found for targets that were asked for none."""
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
        calibrated = settings.self_check and not settings.shared
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


def calibrates(settings: Settings) -> bool:
    """Will the plan have calibration streams? They take the simulator, whatever the targets are."""
    return settings.self_check and settings.most_pairs >= FEWEST_CHECKED and not settings.shared


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


def of_simulator(settings: Settings) -> list[str]:
    """What a report has to say about how the simulator was told to answer."""
    faults = [f"faults were injected: {', '.join(settings.faults)}"] if settings.faults else []
    return [*faults, *([f"the simulator answered from the script {settings.script}"] if settings.script else [])]


def _check_simulated(settings: Settings, targets: Sequence[Target]) -> None:
    """What only the simulator does is asked of nothing else, and is right."""
    real = [target.name for target in targets if not target.simulated]
    asked = "--fault" if settings.faults else "--script" if settings.script else None
    if asked and real:
        raise BenchError(f"{asked} is for the simulator, and {real[0]} is none; use --target sim, or leave it out")
    if settings.faults:
        from bench.simulator.chances import parse_chances  # noqa: PLC0415

        parse_chances(settings.faults)
    if settings.script:
        from bench.simulator.script_file import read_scripts  # noqa: PLC0415

        read_scripts(settings.script)


def _check_stopping(settings: Settings, targets: Sequence[Target]) -> None:
    """A precision that is never looked at, or a budget in money where a price is missing, is a mistake."""
    if settings.precision is not None and settings.most_pairs < FIRST_LOOK:
        raise BenchError(
            f"--precision is looked at from {FIRST_LOOK} pairs on and --pairs is {settings.pairs}; leave --pairs out"
        )
    money = any(parse_budget(text).kind == "money" for text in settings.budgets)
    unknown_price = [target.name for target in targets if not target.free and target.price is None]
    if money and unknown_price:
        raise BenchError(
            f"--budget in money: target {unknown_price[0]} has no price; use one of bench.toml that says "
            "price = { input = …, output = … }, or give the budget in tokens"
        )


def _check_wire(settings: Settings, targets: Sequence[Target]) -> None:
    """The client `wire` goes through no proxy: said before a request goes through one."""
    if "wire" not in settings.clients:
        return
    from bench.clients.wire.errors import check_direct  # noqa: PLC0415

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
        return _made_up(settings, seed)
    prompts = load_prompts(settings.prompts, sys.stdin) if settings.prompts else []
    check_prompt_scripts(prompts, str(settings.prompts))
    return with_shared_prefix(prompts, settings.shared_prefix, seed) if settings.shared_prefix else prompts


def _made_up(settings: Settings, seed: int) -> Sequence[Prompt]:
    """As many as there are pairs, so that none has to be asked twice; at most `MOST_MADE_UP`."""
    if settings.prompts is not None:
        raise BenchError("--prompts and --input-tokens: give one of them")
    number = min(MOST_MADE_UP, max(settings.most_pairs, settings.requests or 0))
    return synthetic_prompts(parse_lengths(str(settings.input_tokens)), number, seed, settings.shared_prefix)


def output_tokens(target: Target, settings: Settings) -> int | None:
    """The length to ask of this target; None: the simulator's profile says."""
    return settings.output_tokens or (None if target.simulated else DEFAULT_OUTPUT_TOKENS)


def estimates(plan: Plan, choice: Choice, settings: Settings) -> dict[str, Estimate]:
    """By `host, model`: what the plan will ask there."""
    from bench.simulator.profiles import find_profile  # noqa: PLC0415

    targets = {target.name: target for target, _ in choice.targets}
    scenarios = {scenario.name: scenario for scenario in choice.scenarios}
    parts: dict[str, list[Part]] = {}
    times = asked_times(plan)
    for cell in of_scenarios(plan):
        target = targets[cell.target]
        tokens = output_tokens(target, settings) or find_profile(settings.profile).tokens
        requests, length = of_a_trial(scenarios[cell.scenario], cell.params)
        for ask, prompt in enumerate(choice.prompts[cell.scenario]):
            own = prompt.get("output_tokens") if isinstance(prompt, Mapping) else None
            part = Part(
                times[cell.cell, ask],
                _input_chars(prompt),
                length or own or tokens,
                FREE if target.free else target.price,
                requests,
            )
            parts.setdefault(f"{cell.target}/{cell.model} ({cell.host})", []).append(part)
    return {where: estimate(of_cell) for where, of_cell in parts.items()}


def asked_times(plan: Plan) -> Counter[tuple[int, int]]:
    """By cell and prompt, how many trials ask it. Of a segment that time ends: if each took `GUESSED_S`."""
    times = Counter((trial.cell, trial.ask) for trial in plan.trials)
    for segment in plan.segments:
        cell, count = plan.cells[segment.cell], segment.count
        if segment.seconds is not None:
            count = (cell.level.concurrency or 1) * ceil(segment.seconds / GUESSED_S)
        asks = cell.asks
        for place in range(min(count, asks)):
            times[segment.cell, (segment.first_number + place) % asks] += len(range(place, count, asks))
    return times


def of_a_trial(scenario: Scenario, params: str) -> tuple[int, int | None]:
    """How many answers it asks for, and the length that it asks of each itself, if it does."""
    try:
        values = instance(scenario, params)
        requests = scenario.requests(values) if callable(scenario.requests) else scenario.requests
        return requests, scenario.output_tokens(values) if scenario.output_tokens else None
    except Exception as error:
        raise BenchError(
            f"scenario {scenario.name!r}: its `requests` or `output_tokens` failed ({type(error).__name__}: {error}); "
            "correct the plugin"
        ) from error


def _input_chars(prompt: Prompt) -> int:
    """Roughly what is sent of it: not the script, which is for the simulator."""
    return len(prompt if isinstance(prompt, str) else str({k: v for k, v in prompt.items() if k != "sim"}))


def of_scenarios(plan: Plan) -> list[Cell]:
    """The cells that were asked for; the others are the run's check on itself, and free."""
    return [cell for cell in plan.cells if cell.role == "scenario"]


def headline(plan: Plan) -> str:
    """Who is measured, and whether it is real: the first line of every run."""
    cells = of_scenarios(plan)
    real = sorted({f"{cell.model} at {cell.host}" for cell in cells if not cell.simulated})
    simulated = sorted({cell.model for cell in cells if cell.simulated})
    parts = [f"{', '.join(simulated)} on the embedded simulator (SIMULATED)"] if simulated else []
    return "; ".join([*parts, *(f"{name} (real)" for name in real)])


def describe(plan: Plan, choice: Choice, settings: Settings) -> str:
    """The plan and its estimate, for `--dry-run`."""
    asked = estimates(plan, choice, settings)
    cells, phases = of_scenarios(plan), Counter(trial.phase for trial in plan.trials)
    for segment in plan.segments:
        phases[segment.phase] += segment.count if segment.seconds is None else 0
    width = max((len(cell.scenario) for cell in cells), default=0)
    kinds: dict[Phase, str] = {"measure": "measured", "warmup": "warm-up", "aa": "A/A", "calibrate": "calibration"}
    counted = ", ".join(f"{phases[phase]} {kind}" for phase, kind in kinds.items() if phases[phase])
    trials = f"{plan.size} trials ({counted})" if plan.size is not None else "as many trials as fit"
    size = f"{len(cells)} cell{'s' if len(cells) > 1 else ''} × {_at_most(settings)}{_amount(plan, settings)}"
    lines = [
        headline(plan),
        f"{size}, {trials}, {', '.join(load.label for load in settings.loads)}, seed {plan.seed}",
        *(f"  {cell.scenario:<{width}} {'+'.join(cell.deliveries):<18} {_where(cell)}".rstrip() for cell in cells),
        *(asked[where].line(where) for where in sorted(asked)),
        *_by_time(plan),
        *_ends_earlier(settings),
        f"order: {', '.join(map(_short, islice(_kinds(plan), 6)))}, …",
        f"plan {plan.hash[:12]}; nothing was sent (--dry-run)",
    ]
    return "\n".join(lines) + "\n"


def _amount(plan: Plan, settings: Settings) -> str:
    """How much is measured of a cell: one trial at a time the pairs, under load what was asked for."""
    alone = f"{plan.pairs} pairs"
    if not plan.segments:
        return alone
    amount = f"{plan.pairs} pairs or more"
    if settings.duration is not None:
        amount = f"{settings.duration:g} s of each delivery"
    elif settings.requests:
        amount = f"{settings.requests} requests of each delivery"
    return f"{amount} ({alone} at c=1)" if plan.trials else amount


def _by_time(plan: Plan) -> list[str]:
    """What nobody can know before."""
    if plan.size is not None:
        return [f"the load lasts {plan.seconds:.0f} s or longer"] if plan.seconds else []
    lasts = f"the load lasts {plan.seconds:.0f} s or longer"
    guess = f"that is a guess, with answers of {GUESSED_S:g} s"
    return [f"{lasts}; how many requests fit is up to the endpoint: {guess} (a limit: --requests or --budget)"]


def _at_most(settings: Settings) -> str:
    return "at most " if settings.precision is not None or settings.budgets else ""


def _ends_earlier(settings: Settings) -> list[str]:
    precision = [f"at a precision of {100 * settings.precision:g} %"] if settings.precision is not None else []
    budgets = [f"within a budget of {parse_budget(text).text}" for text in settings.budgets]
    return [f"that is the most; it ends earlier {', '.join([*precision, *budgets])}"] if precision or budgets else []


def _where(cell: Cell) -> str:
    return f"{cell.target}/{cell.model} {cell.client} {cell.load} {cell.params}"


def _kinds(plan: Plan) -> Iterator[tuple[Cell, str, str, str]]:
    """What runs in which order: cell, delivery, phase, and under load how many of it, or for how long."""
    yield from ((plan.cells[trial.cell], trial.delivery, trial.phase, "") for trial in plan.trials)
    for segment in plan.segments:
        size = f"{segment.count} × " if segment.seconds is None else f"{segment.seconds:g} s of "
        yield plan.cells[segment.cell], segment.delivery, segment.phase, size


def _short(kind: tuple[Cell, str, str, str]) -> str:
    cell, delivery, phase, size = kind
    return f"{size}{cell.scenario} {delivery} ({phase})"


def ask_before_spending(plan: Plan, choice: Choice, settings: Settings, confirm: Callable[[str], bool]) -> None:
    """Where a target is neither the simulator nor this machine: say what will be asked, and ask.

    A budget in tokens or money is an answer.
    """
    free = {target.name for target, _ in choice.targets if target.free}
    paid = {cell.target for cell in of_scenarios(plan)} - free
    if not paid:
        return
    for where, asked in sorted(estimates(plan, choice, settings).items()):
        if where.split("/")[0] in paid:
            say(asked.line(where))
    for line in _by_time(plan):
        say(line)
    agreed = settings.yes or any(parse_budget(text).kind != "time" for text in settings.budgets)
    if not agreed and not confirm("Send them?"):
        raise BenchError("nothing was sent; --yes says yes in advance")
