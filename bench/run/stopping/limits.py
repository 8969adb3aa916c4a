"""Turn the settings of a run into what may end it early: precision, budgets, and the most a trial can take."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from itertools import islice

from bench.core.errors import BenchError
from bench.core.scenario import Prompt
from bench.core.target import FREE
from bench.plan.choice import Choice
from bench.plan.consent import requests_per_trial
from bench.plan.plan import Plan
from bench.plan.settings import Settings, output_tokens
from bench.run.stopping.ledger import Ceiling, Ledger
from bench.run.stopping.stopping import Stopping
from bench.simulator.timing.profiles import find_profile

ADDED = 500
"""Tokens that a scenario may add to a prompt (instructions, tools, a schema), until its first answer shows how many."""
NONCE_BYTES = 24


def stopping_for(plan: Plan, choice: Choice, settings: Settings, capped: Mapping[str, bool]) -> Stopping:
    """Return what may end this run early. `capped`, by target: every model there takes a cap on its answers.

    Raises `BenchError` if a budget in tokens or money cannot be kept, or the first pairs do not fit into it.
    """
    budgets = settings.budgets
    counted = next((budget for budget in budgets if budget.kind != "time"), None)
    for target, _ in choice.targets:
        if counted and not target.simulated and not capped[target.name]:
            raise BenchError(
                f"--budget {counted.text}: target {target.name} takes no cap on the length of its answers, so nobody "
                "can say what a request costs; give a time, for instance --budget 10m"
            )
    most = dict(_ceilings(plan, choice, settings, capped))
    ledger = Ledger(budgets=budgets, most=most, max_retries=settings.max_retries)
    _check_first(plan, ledger)
    return Stopping(precision=settings.precision, budgets=budgets, ledger=ledger)


def _check_first(plan: Plan, ledger: Ledger) -> None:
    """Raise `BenchError` if the budget is too small for the first pair, or the first concurrent pairs."""
    group = next(plan.groups())
    at_once = group.load.concurrency or 1
    trials = [trial for unit in islice(group.units(), at_once) for trial in unit]
    if budget := ledger.exceeded_by(trials):
        tokens, usd = map(sum, zip(*map(ledger.reserve, trials), strict=True))
        needed = f"{tokens:,} tokens" if budget.kind == "tokens" else f"{usd:.2g} USD"
        pairs = "one pair" if at_once == 1 else f"{at_once} at a time"
        fewer = "" if at_once == 1 else ", a smaller --concurrency"
        raise BenchError(
            f"--budget {budget.text}: {pairs} of {group.cell.scenario} may take {needed}, every request "
            f"tried {ledger.max_retries + 1} times (--max-retries); give more{fewer}, or a smaller --output-tokens"
        )


def _ceilings(
    plan: Plan, choice: Choice, settings: Settings, capped: Mapping[str, bool]
) -> Iterator[tuple[tuple[int, int], Ceiling]]:
    """Yield by cell and ask the most a trial can take: the prompt's bytes (a token has at least one) and the cap.

    The simulator, which is free, counts with the profile's length; a script may exceed that length.
    """
    targets = {target.name: target for target, _ in choice.targets}
    for cell in (cell for cell in plan.cells if cell.role == "scenario"):
        target = targets[cell.target]
        requests, length = requests_per_trial(choice.registry.scenarios[cell.scenario][0], cell.params)
        usual = output_tokens(target, settings) or find_profile(settings.profile).tokens
        for ask, prompt in enumerate(choice.prompts[cell.scenario]):
            own = prompt.get("output_tokens") if isinstance(prompt, Mapping) else None
            yield (
                (cell.cell, ask),
                Ceiling(
                    requests=requests,
                    input=_bytes(prompt) + NONCE_BYTES + (0 if target.simulated else ADDED),
                    output=(length or own or usual) if target.simulated or capped.get(target.name) else 0,
                    price=FREE if target.free else target.price,
                ),
            )


def _bytes(prompt: Prompt) -> int:
    """Count the UTF-8 bytes of a prompt that are sent: all but the simulator's script."""
    if isinstance(prompt, str):
        return len(prompt.encode("utf-8", "replace"))
    sent = {name: value for name, value in prompt.items() if name != "sim"}
    return len(json.dumps(sent, ensure_ascii=False, default=str).encode("utf-8", "replace"))
