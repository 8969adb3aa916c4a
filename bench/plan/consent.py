"""Say what a run will cost, and ask before money is spent."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from math import ceil
from typing import TYPE_CHECKING

from bench.core.errors import BenchError
from bench.core.params import instance
from bench.core.target import FREE
from bench.core.text.terminal import say
from bench.plan.choice import Choice, scenario_cells
from bench.plan.cost.estimate import CostEstimate, Part, estimate
from bench.plan.plan import Phase, Plan
from bench.plan.settings import Settings, output_tokens
from bench.simulator.timing.profiles import find_profile

if TYPE_CHECKING:
    from bench.core.scenario import Prompt, Scenario

GUESSED_S = 5.0
"""What an answer is taken to last where a time ends the load: 300 tokens at 60 a second. Nobody knows before."""


def estimates(plan: Plan, choice: Choice, settings: Settings) -> dict[str, CostEstimate]:
    """Estimate the requests, tokens and costs of the plan for each `host/model`."""
    targets = {target.name: target for target, _ in choice.targets}
    scenarios = {scenario.name: scenario for scenario in choice.scenarios}
    parts: dict[str, list[Part]] = {}
    times = asked_times(plan)
    for cell in scenario_cells(plan):
        target = targets[cell.target]
        tokens = output_tokens(target, settings) or find_profile(settings.profile).tokens
        requests, length = requests_per_trial(scenarios[cell.scenario], cell.params)
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
    """Count the trials by cell and prompt. A segment that time ends counts as if each answer took `GUESSED_S`."""
    times = Counter((trial.cell, trial.ask) for trial in plan.trials)
    for segment in plan.segments:
        cell, count = plan.cells[segment.cell], segment.count
        if segment.seconds is not None:
            count = (cell.level.concurrency or 1) * ceil(segment.seconds / GUESSED_S)
        asks = cell.asks
        for place in range(min(count, asks)):
            times[segment.cell, (segment.first_number + place) % asks] += len(range(place, count, asks))
    return times


def requests_per_trial(scenario: Scenario, params: str) -> tuple[int, int | None]:
    """Return the number of requests of a trial, and the length that the scenario itself asks of each answer, if any."""
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
    """Count the characters that are sent of a prompt, roughly: not its script, which is for the simulator."""
    return len(prompt if isinstance(prompt, str) else str({k: v for k, v in prompt.items() if k != "sim"}))


def headline(plan: Plan) -> str:
    """Return the first line of every run: which models are measured, and whether they are real."""
    cells = scenario_cells(plan)
    real = sorted({f"{cell.model} at {cell.host}" for cell in cells if not cell.simulated})
    simulated = sorted({cell.model for cell in cells if cell.simulated})
    parts = [f"{', '.join(simulated)} on the embedded simulator (SIMULATED)"] if simulated else []
    return "; ".join([*parts, *(f"{name} (real)" for name in real)])


def describe(plan: Plan, choice: Choice, settings: Settings) -> str:
    """Describe the plan and its estimate, for `--dry-run`."""
    asked = estimates(plan, choice, settings)
    cells, phases = scenario_cells(plan), Counter(trial.phase for trial in plan.trials)
    for segment in plan.segments:
        phases[segment.phase] += segment.count if segment.seconds is None else 0
    width = max((len(cell.scenario) for cell in cells), default=0)
    kinds: dict[Phase, str] = {"measure": "measured", "warmup": "warm-up", "aa": "A/A", "calibrate": "calibration"}
    counted = ", ".join(f"{phases[phase]} {kind}" for phase, kind in kinds.items() if phases[phase])
    trials = f"{plan.size} trials ({counted})" if plan.size is not None else "as many trials as fit"
    most = "at most " if settings.precision is not None or settings.budgets else ""
    size = f"{len(cells)} cell{'s' if len(cells) > 1 else ''} × {most}{_amount(plan, settings)}"
    lines = [
        headline(plan),
        f"{size}, {trials}, {', '.join(load.label for load in settings.loads)}, seed {plan.seed}",
        *(
            f"  {cell.scenario:<{width}} {'+'.join(cell.deliveries):<18} {cell.target}/{cell.model} {cell.client} "
            f"{cell.load} {cell.params}".rstrip()
            for cell in cells
        ),
        *(asked[where].line(where) for where in sorted(asked)),
        *_by_time(plan),
        *_ends_earlier(settings),
        f"order: {', '.join(islice(_order_of_work(plan), 6))}, …",
        f"plan {plan.hash[:12]}; nothing was sent (--dry-run)",
    ]
    return "\n".join(lines) + "\n"


def _amount(plan: Plan, settings: Settings) -> str:
    """Say how much is measured of a cell: pairs one at a time, what was asked for under load."""
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
    """Say how long the load lasts, and what nobody can know before."""
    if plan.size is not None:
        return [f"the load lasts {plan.seconds:.0f} s or longer"] if plan.seconds else []
    lasts = f"the load lasts {plan.seconds:.0f} s or longer"
    guess = f"that is a guess, with answers of {GUESSED_S:g} s"
    return [f"{lasts}; how many requests fit is up to the endpoint: {guess} (a limit: --requests or --budget)"]


def _ends_earlier(settings: Settings) -> list[str]:
    precision = [f"at a precision of {100 * settings.precision:g} %"] if settings.precision is not None else []
    budgets = [f"within a budget of {budget.text}" for budget in settings.budgets]
    return [f"that is the most; it ends earlier {', '.join([*precision, *budgets])}"] if precision or budgets else []


def _order_of_work(plan: Plan) -> Iterator[str]:
    """Yield the order of the work: scenario, delivery, phase, and under load the number of trials or the time."""
    for trial in plan.trials:
        yield f"{plan.cells[trial.cell].scenario} {trial.delivery} ({trial.phase})"
    for segment in plan.segments:
        size = f"{segment.count} ×" if segment.seconds is None else f"{segment.seconds:g} s of"
        yield f"{size} {plan.cells[segment.cell].scenario} {segment.delivery} ({segment.phase})"


def ask_before_spending(plan: Plan, choice: Choice, settings: Settings, confirm: Callable[[str], bool]) -> None:
    """Say what a target that is neither the simulator nor this machine will be asked, and ask for consent.

    A budget in tokens or money is consent.
    """
    free = {target.name for target, _ in choice.targets if target.free}
    paid = {cell.target for cell in scenario_cells(plan)} - free
    if not paid:
        return
    for where, asked in sorted(estimates(plan, choice, settings).items()):
        if where.split("/")[0] in paid:
            say(asked.line(where))
    for line in _by_time(plan):
        say(line)
    require_consent(confirm, agreed=settings.yes or any(budget.kind != "time" for budget in settings.budgets))


def require_consent(confirm: Callable[[str], bool], *, agreed: bool) -> None:
    """Ask whether to send the requests, unless the user has agreed in advance. Raises `BenchError` on a no."""
    if not agreed and not confirm("Send them?"):
        raise BenchError("nothing was sent; --yes says yes in advance")
